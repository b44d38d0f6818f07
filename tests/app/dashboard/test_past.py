"""What is read of history for a page is what was appended, in bins."""

from __future__ import annotations

from datetime import UTC, datetime
from math import nan
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.dashboard.past import Past
from app.history.delta import DeltaHistory
from app.history.tables import SCHEMAS, rows_schema
from features.batch import BUCKETS

END_S = 1_772_452_800  # a whole hour


def window(
    minute: int, *, service: str = "a", operation: str = "*", errors: float = 0.0, total: float = 0.0
) -> dict[str, object]:
    row: dict[str, object] = {
        **dict.fromkeys(SCHEMAS["windows"].names, 0.0),
        "errors": errors,
        "total": total,
        "failed": errors,
    }
    start = END_S - 60 * minute
    histogram = [0.0] * 5 + [total] + [0.0] * (len(BUCKETS) - 5) if total else None
    of = {"tenant": "t", "service": service, "operation": operation, "window": start, "received": start + 60}
    return row | of | {"histogram": histogram, "partition": 0, "offset": 1000 - minute}


def _sides(lower: float, upper: float, **others: float) -> dict[str, float]:
    return {"errors_lower": lower, "errors_upper": upper, **others}


@pytest.fixture
def past(tmp_path: Path) -> Past:
    history = DeltaHistory(tmp_path)
    windows = [window(10, errors=2.0, total=8.0), window(10, errors=1.0), window(9), window(9, operation="GET", errors=50.0)]
    windows[0]["duration_sum_s"] = 2.0
    windows.append(window(9, service="b", errors=70.0))
    key = {"tenant": "t", "service": "a", "operation": "*", "status": "ok", "model_version": "v", "id": "p", "partition": 0}
    predictions = [
        {**key, "as_of": END_S - 60 * minute, "p5": 0.1, "p15": 0.2, "p60": minute / 100, "offset": 1000 - minute, **sides}
        for minute, sides in ((3, {}), (2, _sides(1.0, 4.0)), (1, _sides(2.0, 6.0, latency_lower=0.25, latency_upper=0.5)))
    ]
    place = {"tenant": "t", "service": "a", "kind": "version", "value": 1.0, "received": END_S, "partition": 0}
    facts = [
        {**place, "name": name, "window": END_S - 60 * at, "offset": 1000 - at} for name, at in (("1", 30), ("2", 5), ("1", 4))
    ]
    rows = {"windows": windows, "predictions": predictions, "facts": facts}
    history.append({name: pa.Table.from_pylist(some, rows_schema(name)) for name, some in rows.items()}, {0: 2000})
    return Past(history, lambda: datetime.fromtimestamp(END_S, UTC), 60)


def test_increments_of_a_window_add_up_and_other_series_stay_out(past: Past) -> None:
    found = past.service("t", "a", 3600.0)
    assert found.windows.start_s[:2].tolist() == [END_S - 600, END_S - 540]
    assert found.windows.errors[:2].tolist() == [3.0, 0.0]
    assert found.windows.requests[:2].tolist() == [8.0, 0.0]
    np.testing.assert_array_equal(found.windows.failed[:2], [3 / 8, nan])
    np.testing.assert_array_equal(found.windows.mean_s[:2], [0.25, nan])
    np.testing.assert_allclose(found.windows.p95_s[:2], [BUCKETS[5] * 2**-0.05, nan])
    assert found.versions == {"1": END_S - 1800, "2": END_S - 300}
    assert found.forecasts.horizons["60min"].round(4).tolist() == [0.03, 0.02, 0.01]


def test_windows_that_were_closed_without_a_request_are_zero_and_those_that_nobody_closed_are_missing(past: Past) -> None:
    found = past.service("t", "a", 3600.0).windows
    assert found.start_s[2:].tolist() == [END_S - 240, END_S - 180, END_S - 120], "a prediction is as of the end of each"
    assert (found.requests[2:].tolist(), found.errors[2:].tolist()) == ([0.0] * 3, [0.0] * 3)
    assert np.isnan(found.mean_s[2:]).all()
    assert np.isnan(found.p95_s[2:]).all()


def test_nothing_is_forecast_within_an_incident(tmp_path: Path) -> None:
    key = {**dict.fromkeys(rows_schema("predictions").names), "tenant": "t", "service": "a", "operation": "*", "partition": 0}
    rows = [
        {**key, "as_of": END_S - 60 * ago, "offset": 9 - ago, "status": status, "p5": 0.1, "p15": 0.2, "p60": 0.25}
        for ago, status in ((4, "ok"), (3, "in_incident"), (2, "in_incident"), (1, "prior"))
    ]
    DeltaHistory(tmp_path).append({"predictions": pa.Table.from_pylist(rows, rows_schema("predictions"))}, {0: 9})
    past = Past(DeltaHistory(tmp_path), lambda: datetime.fromtimestamp(END_S, UTC), 60)
    for values in past.service("t", "a", 3600.0).forecasts.horizons.values():
        assert np.isnan(values).tolist() == [False, True, True, False]
    assert [value for _, value in past.sparks("t")["a"]] == [0.25, None, None, 0.25]


def test_bounds_are_of_the_window_that_ended_when_a_prediction_was_made(past: Past) -> None:
    found = past.service("t", "a", 3600.0).bounds
    assert found.start_s.tolist() == [END_S - 240, END_S - 180, END_S - 120]
    assert found.end_s.tolist() == [END_S - 180, END_S - 120, END_S - 60]
    np.testing.assert_array_equal(found.sides["errors"], [[nan, 1.0, 2.0], [nan, 4.0, 6.0]])
    np.testing.assert_array_equal(found.sides["latency"], [[nan, nan, 0.25], [nan, nan, 0.5]])


def test_bounds_of_a_bin_are_the_mean_of_those_that_were_judged(past: Past) -> None:
    found = past.service("t", "a", 7 * 86_400.0).bounds
    assert (found.start_s.tolist(), found.end_s.tolist()) == ([END_S - 240], [END_S - 60])
    assert [side.tolist() for signal in ("errors", "latency") for side in found.sides[signal]] == [[1.5], [5.0], [0.25], [0.5]]


def test_bounds_of_errors_are_a_minute_whatever_a_window_lasts(tmp_path: Path) -> None:
    row = dict.fromkeys(rows_schema("predictions").names) | _sides(1.0, 5.0, latency_lower=0.25, latency_upper=0.5)
    row |= {"tenant": "t", "service": "a", "operation": "*", "as_of": END_S - 30, "partition": 0, "offset": 1}
    DeltaHistory(tmp_path).append({"predictions": pa.Table.from_pylist([row], rows_schema("predictions"))}, {0: 1})
    past = Past(DeltaHistory(tmp_path), lambda: datetime.fromtimestamp(END_S, UTC), 30)
    found = past.service("t", "a", 3600.0).bounds
    assert (found.start_s.tolist(), found.end_s.tolist()) == ([END_S - 60], [END_S - 30])
    assert [side.tolist() for signal in ("errors", "latency") for side in found.sides[signal]] == [[2.0], [10.0], [0.25], [0.5]]


def test_long_ranges_take_wider_bins(past: Past) -> None:
    found = past.service("t", "a", 7 * 86_400.0)
    assert found.windows.width_s == 28 * 60
    assert found.windows.errors.sum() * 28 == pytest.approx(3.0)
    assert len(found.forecasts.as_of_s) <= 2


def test_sparklines_are_in_order_of_time_and_nothing_is_nothing(past: Past, tmp_path: Path) -> None:
    assert [round(value or 0.0, 4) for _, value in past.sparks("t")["a"]] == [0.03, 0.02, 0.01]
    assert past.sparks("nobody") == {}
    empty = Past(DeltaHistory(tmp_path / "none"), lambda: datetime.fromtimestamp(END_S, UTC), 60).service("t", "a", 3600.0)
    assert len(empty.windows.start_s) == len(empty.forecasts.as_of_s) == len(empty.versions) == len(empty.bounds.end_s) == 0
