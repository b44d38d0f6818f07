"""Predictions read back from history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from app.alerts.budget import DAY_S
from app.alerts.past import Past, said_of
from app.alerts.routes import Route
from app.history.delta import DeltaHistory
from app.history.tables import rows_schema
from tests.alert_builders import a_route, at

NOON_S = int(at(0).timestamp())


def a_history(folder: Path, rows: list[tuple[str, str, int, float, str]]) -> Past:
    """Write predictions: service, operation, seconds after noon, probability within 15 minutes, status."""
    said = [
        {
            "tenant": "default",
            "service": service,
            "operation": operation,
            "as_of": NOON_S + s,
            "p5": p / 2,
            "p15": p,
            "p60": p,
            "status": status,
            "model_version": "prior",
            "id": f"{service}-{s}",
            "partition": 0,
            "offset": number,
        }
        for number, (service, operation, s, p, status) in enumerate(rows, 1)
    ]
    history = DeltaHistory(folder)
    history.append({"predictions": pa.Table.from_pylist(said, rows_schema("predictions"))}, {0: len(rows)})
    return Past(history)


ROWS = [
    ("cart", "*", 60, 0.25, "ok"),
    ("cart", "*", 0, 0.5, "in_incident"),
    ("cart", "GET /", 0, 0.75, "ok"),
    ("payment", "*", DAY_S, 1.0, "prior"),
]


def test_what_was_said_comes_day_by_day_in_order_without_what_says_nothing(tmp_path: Path) -> None:
    past = a_history(tmp_path, ROWS)
    days = list(past.days("default", NOON_S, NOON_S + 2 * DAY_S))
    assert [day.num_rows for day in days] == [3, 1, 0]
    said, n_series, n_rows = said_of(days, "default", a_route())
    assert (n_series, n_rows) == (2, 3)
    np.testing.assert_array_equal(said.p, [np.nan, 0.25, 1.0])
    assert said.as_of_s.tolist() == [NOON_S, NOON_S + 60, NOON_S + DAY_S]
    assert (said.series.tolist(), said.page.tolist()) == ([0, 0, 1], [0, 0, 0])
    assert said_of(days, "default", a_route(by_service=True))[0].page.tolist() == [0, 0, 1]
    assert said_of(days, "default", a_route(operations=True))[1] == 3


def test_nothing_said_is_nothing(tmp_path: Path) -> None:
    said, n_series, n_rows = said_of(Past(DeltaHistory(tmp_path)).days("default", 0, DAY_S), "default", Route("pages"))
    assert (len(said.p), n_series, n_rows, said.days) == (0, 0, 0, 0)


def test_the_points_of_a_series_are_its_own_in_order(tmp_path: Path) -> None:
    points = a_history(tmp_path, ROWS).points("default", "cart", "*", at(0), at(60))
    assert [(point.at_s - NOON_S, point.value, point.status) for point in points["15min"]] == [
        (0.0, 0.5, "in_incident"),
        (60.0, 0.25, "ok"),
    ]
    assert [point.value for point in points["5min"]] == [0.25, 0.125]
