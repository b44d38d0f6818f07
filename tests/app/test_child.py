"""Work in a process of its own ends: done, failed, stopped or out of time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.child import Child
from app.history.contract import History
from app.history.delta import DeltaHistory
from features.errors import InvalidValue


def steps(n: int, history: History, progress: Callable[[float], None]) -> tuple[int, int]:
    """Return which process worked and how low its priority is, after telling of a few steps."""
    assert history.read("windows").num_rows == 0
    for step in range(n):
        progress(step / n)
    if n == 0:
        raise InvalidValue("n must be at least 1, got 0")
    return os.getpid(), os.nice(0)


def test_work_is_done_in_another_process_at_low_priority_and_tells_its_progress(tmp_path: Path) -> None:
    child, told = Child(partial(DeltaHistory, tmp_path), 60.0, threading.Event()), list[float]()
    process, priority = child.run("counting", partial(steps, 4), told.append)
    assert process != os.getpid()
    assert priority == min(os.nice(0) + 10, 19)
    assert told == [0.0, 0.25, 0.5, 0.75]
    with pytest.raises(InvalidValue, match="n must be at least 1, got 0"):
        child.run("counting", partial(steps, 0), told.append)


class ChattyPipe:
    """A child that reports progress without end."""

    def poll(self, timeout: float) -> bool:
        return timeout > 0

    def recv(self) -> tuple[str, float]:
        return "progress", 0.5


def test_progress_without_end_is_stopped_in_time_too(tmp_path: Path) -> None:
    child = Child(partial(DeltaHistory, tmp_path), 0.2, threading.Event())
    with pytest.raises(InvalidValue, match=r"training took over 0\.2 s"):
        child.follow("training", ChattyPipe(), lambda _share: None)  # pyright: ignore[reportArgumentType]
