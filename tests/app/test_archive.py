"""Rows on their way into history, which may refuse them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.archive import Upkeep
from app.history.delta import DeltaHistory
from app.replay import append_markers
from app.worker import WorkerPlan
from features.errors import StoreFailed
from tests.lines import TICK_S, FlakyHistory, Line, open_line
from tests.recorded import recorded

LINES = recorded(30, seed=5, failing=range(16, 26))


def test_rows_that_wait_for_history_are_bounded(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0, flush_rows=2)) as line:
        line.with_flaky_history().refusing = True
        line.send(LINES[:40])
        line.pass_to(line.tick + 1)
        with pytest.raises(StoreFailed, match="the bucket is gone"):
            _step_every_ten_minutes(line)
        assert line.worker.flow.chronicle.n_rows < 200


def _step_every_ten_minutes(line: Line) -> None:
    for _ in range(100):
        line.seconds[0] += 600.0
        line.worker.step()


def test_files_of_history_are_joined_once_a_day_whatever_the_restarts(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        line.send(LINES[:4])
        joined: list[int] = []
        for hours in (0, 10, 13, 2, 21, 3):
            line.new_worker()
            history = line.with_flaky_history()
            _pass_hours(line, hours)
            line.worker.archive.finish()
            joined.append(history.optimised)
        assert joined == [0, 0, 0, 1, 0, 1], "after 25 h and after 24 h more"


def test_files_that_cannot_be_joined_are_left_for_tomorrow(tmp_path: Path) -> None:
    class Unjoined(FlakyHistory):
        def optimise(self, now_s: int | None = None) -> None:
            self.optimised += 1
            raise StoreFailed("the bucket is gone")

    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        line.worker.archive.history = history = Unjoined(line.history)
        line.send(LINES[:4])
        for hours in (0, 24, 1, 1):
            _pass_hours(line, hours)
            line.worker.archive.finish()
        assert history.optimised == line.telemetry.value("faults", place="history") == 1
        assert not line.worker.failing


def _pass_hours(line: Line, hours: int) -> None:
    line.tick += hours * 60 + 1
    append_markers(line.store.log, range(line.tick, line.tick + 1), TICK_S)
    line.worker.drain()


def test_only_the_node_that_leads_tends_history(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        history, archive = line.with_flaky_history(), line.worker.archive
        line.send(LINES[:4])
        leading = [False]
        archive.upkeep = Upkeep(lambda: leading[0])
        for hours in (0, 25, 25):
            _pass_hours(line, hours)
        archive.finish()
        assert history.optimised == 0
        leading[0] = True
        for hours in (1, 25):
            _pass_hours(line, hours)
        archive.finish()
        assert history.optimised == 1


def test_a_tick_does_not_wait_for_upkeep_and_it_runs_once_at_a_time(tmp_path: Path) -> None:
    class Slow(FlakyHistory):
        began, go_on, most = threading.Event(), threading.Event(), 0

        def optimise(self, now_s: int | None = None) -> None:
            self.optimised += 1
            self.most = max(self.most, self.optimised)
            self.began.set()
            assert self.go_on.wait(60.0)
            self.optimised -= 1

    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        line.worker.archive.history = history = Slow(line.history)
        line.send(LINES[:4])
        for hours in (0, 25, 25, 25):
            _pass_hours(line, hours)
        assert history.began.wait(60.0)
        assert line.worker.flow.memory.tick == line.tick, "ticks were closed while it ran"
        history.go_on.set()
        line.worker.archive.finish()
        assert (history.most, history.optimised) == (1, 0)


def test_days_go_by_the_time_of_the_log(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        line.worker.archive.history = DeltaHistory(tmp_path / "history", keep_days={"windows": 2})
        line.send(LINES[:20])
        _pass_hours(line, 1)
        assert line.history.read("windows").num_rows > 0
        for kept, hours in ((True, 25), (False, 48)):
            _pass_hours(line, hours)
            line.worker.archive.finish()
            assert (line.history.read("windows").num_rows > 0) == kept
        assert line.history.read("facts").num_rows > 0, "of a table that keeps all"
