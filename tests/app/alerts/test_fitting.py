"""Thresholds that follow the budget from day to day."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from app.alerts.budget import DAY_S
from app.alerts.fitting import Fitting, FittingParts
from app.alerts.past import Past
from app.cache.alert_records import ThresholdRecord
from app.cache.documents import decode_document, tenant_key
from app.history.delta import DeltaHistory
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import PartStopped, StoreFailed
from tests.alert_builders import a_route, at
from tests.api_builders import Clock
from tests.app.alerts.test_past import a_history


def a_fitting(documents: Documents, past: Past, clock: Clock) -> Fitting:
    parts = FittingParts(documents, past, Telemetry(), clock)
    return Fitting(parts, [a_route(threshold=None, budget_per_day=1.0), a_route(name="fixed")], 6.0, 7200.0)


def test_until_there_is_history_the_default_counts_then_the_budget_does(
    documents: Documents, tmp_path: Path, clock: Clock
) -> None:
    rows = [("cart", "*", hour * 3600, 0.6 if hour % 24 == 6 else 0.1, "ok") for hour in range(24 * 6)]
    clock.move(3600)
    fitting = a_fitting(documents, a_history(tmp_path / "history", rows), clock)
    (first,) = fitting.look("default")
    assert (first.threshold, first.basis, first.days, first.pages) == (0.5, "default", 1.0, 0)
    assert fitting.look("default") == []  # once a day
    clock.move(6 * DAY_S - 3600)
    (second,) = fitting.look("default")
    assert (second.basis, second.days, second.series, second.predictions, second.pages) == ("history", 7.0, 1, 144, 6)
    assert second.threshold == pytest.approx(0.6)
    assert second.resolve_below == pytest.approx(0.36)
    assert second.until is not None
    assert second.since == second.until - timedelta(days=6)
    assert [step.basis for step in second.steps] == ["default", "history"]
    assert second.at(at(3 * DAY_S)) == second.steps[0]
    assert second.at(at(0)) is None
    kept = fitting.parts.documents.get("thresholds", tenant_key("default", "pages"))
    assert kept is not None
    assert decode_document(kept.value, ThresholdRecord) == second


def test_another_budget_is_not_left_until_tomorrow(documents: Documents, tmp_path: Path, clock: Clock) -> None:
    fitting = a_fitting(documents, a_history(tmp_path / "history", [("cart", "*", 0, 0.5, "ok")]), clock)
    fitting.look("default")
    fitting.routes = [a_route(threshold=None, budget_per_day=9.0)]
    assert [record.budget_per_day for record in fitting.look("default")] == [9.0]
    for changed in ({"horizon": "5min"}, {"default_threshold": 0.7}, {"resolve_ratio": 0.5}, {"group_s": 0.0}):
        fitting.routes = [a_route(threshold=None, budget_per_day=9.0, **changed)]
        assert len(fitting.look("default")) == 1
        assert fitting.look("default") == []
    fitting.routes = [replace(fitting.routes[0], labels={"severity": "page"}, channels=("mail",), shadow=True)]
    assert fitting.look("default") == []


def test_a_budget_that_lets_calm_rows_through_looks_at_all_of_them(documents: Documents, tmp_path: Path, clock: Clock) -> None:
    rows = [("cart", "*", minute * 60, 0.001 * (1 + minute % 7), "ok") for minute in range(0, 6 * 1440, 30)]
    clock.move(6 * DAY_S)
    fitting = a_fitting(documents, a_history(tmp_path / "history", rows), clock)
    fitting.routes = [a_route(threshold=None, budget_per_day=1000.0, group_s=0.0)]
    (found,) = fitting.look("default")
    assert (found.threshold, found.predictions) == (pytest.approx(0.001), len(rows))


class Away(DeltaHistory):
    """A history that nobody can read."""

    def read(self, *_: object, **__: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise StoreFailed("nobody answers")


def test_a_history_that_is_away_is_counted_and_looked_at_again(documents: Documents, tmp_path: Path, clock: Clock) -> None:
    fitting = a_fitting(documents, Past(Away(tmp_path / "history")), clock)
    fitting.parts.documents.put("services", tenant_key("default", "cart"), b"{}")
    stop = threading.Event()
    thread = threading.Thread(target=fitting.run, args=(stop,))
    thread.start()
    while not fitting.parts.telemetry.value("faults", place="thresholds"):
        assert thread.is_alive()
    stop.set()
    thread.join()
    assert np.isclose(fitting.parts.telemetry.value("faults", place="thresholds"), 1.0)


def test_a_threshold_that_another_release_wrote_is_found_anew(documents: Documents, tmp_path: Path, clock: Clock) -> None:
    documents.put("thresholds", tenant_key("default", "pages"), b'{"tenant":"default"}')
    fitting = a_fitting(documents, a_history(tmp_path / "history", [("cart", "*", 0, 0.5, "ok")]), clock)
    assert [record.route for record in fitting.look("default")] == ["pages"]


def test_a_node_that_stops_reads_no_further_and_keeps_the_thresholds(
    documents: Documents, tmp_path: Path, clock: Clock
) -> None:
    fitting = a_fitting(documents, a_history(tmp_path / "history", [("cart", "*", 0, 0.5, "ok")]), clock)
    with pytest.raises(PartStopped):
        fitting.look("default", lambda: True)
    assert documents.items("thresholds") == []
