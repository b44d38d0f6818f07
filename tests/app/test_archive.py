"""Rows on their way into history, which may refuse them."""

from __future__ import annotations

from pathlib import Path

import pytest

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
            joined.append(history.optimised)
        assert joined == [0, 0, 0, 1, 0, 1], "after 25 h and after 24 h more"


def test_files_that_cannot_be_joined_are_left_for_tomorrow(tmp_path: Path) -> None:
    class Unjoined(FlakyHistory):
        def optimise(self) -> None:
            self.optimised += 1
            raise StoreFailed("the bucket is gone")

    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        line.worker.archive.history = history = Unjoined(line.history)
        line.send(LINES[:4])
        for hours in (0, 24, 1, 1):
            _pass_hours(line, hours)
        assert history.optimised == line.telemetry.value("faults", place="history") == 1
        assert not line.worker.failing


def _pass_hours(line: Line, hours: int) -> None:
    line.tick += hours * 60 + 1
    append_markers(line.store.log, range(line.tick, line.tick + 1), TICK_S)
    line.worker.drain()
