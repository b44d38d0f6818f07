"""History run again through the same memory that live code uses, tick by tick.

`app.job` has history read into a `Recording`; `training.dataset` walks it. What was known at a tick is
what was received by then, because a Recording is ordered by receipt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray, IntArray
from features.errors import InvalidValue
from features.facts import Fact
from features.incident import Standing
from features.memory import Memory
from features.series import SeriesKey
from features.windows import WIDTH, Increment

__all__ = ["Recording", "walk"]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What history holds of some time, in columns.

    Parameters
    ----------
    keys : tuple of SeriesKey
        All series; whole services come before their operations.
    ticks : IntArray, shape (t,)
        Numbers of the ticks that were closed, ascending: a tick without data is in it too.
    received : IntArray, shape (r,)
        Tick at whose end each increment became known, ascending.
    series, window : IntArray, shape (r,)
        Index into `keys`, and the window that gained.
    values : FloatArray, shape (r, WIDTH)
        What it gained.
    fact_received, fact_series, fact_window : IntArray, shape (f,)
        The same for facts, ascending by receipt.
    fact_kind, fact_name : tuple of str, length f
        As `features.facts.Fact`.
    fact_value : FloatArray, shape (f,)
        As `features.facts.Fact`.

    Raises
    ------
    InvalidValue
        When something is not in order of receipt, or an operation comes before its service.
    """

    keys: tuple[SeriesKey, ...]
    ticks: IntArray
    received: IntArray
    series: IntArray
    window: IntArray
    values: FloatArray
    fact_received: IntArray
    fact_series: IntArray
    fact_window: IntArray
    fact_kind: tuple[str, ...]
    fact_name: tuple[str, ...]
    fact_value: FloatArray

    def __post_init__(self) -> None:
        for name in ("ticks", "received", "fact_received"):
            values = getattr(self, name)
            if len(values) and (np.diff(values) < 0).any():
                raise InvalidValue(f"{name} must be ascending")
        if self.values.shape != (len(self.received), WIDTH):
            raise InvalidValue(f"values must be ({len(self.received)}, {WIDTH}), got {self.values.shape}")


def walk(recording: Recording, memory: Memory) -> Iterator[tuple[int, Standing]]:
    """Apply a Recording to a Memory and stop after every tick.

    Parameters
    ----------
    recording : Recording
        What was received, when.
    memory : Memory
        Empty; it is the caller's to read between two steps.

    Yields
    ------
    tick : int
        Number of the tick that just closed.
    standing : Standing
        Incidents as of it.
    """
    by_tick = np.searchsorted(recording.received, recording.ticks, "right").tolist()
    facts_by_tick = np.searchsorted(recording.fact_received, recording.ticks, "right").tolist()
    begin = facts_begin = 0
    # A series gets its row when it is first heard of, as it does live.
    row_of = np.full(len(recording.keys), -1, np.int64)
    for tick, end, facts_end in zip(recording.ticks.tolist(), by_tick, facts_by_tick, strict=True):
        part, facts_part = slice(begin, end), slice(facts_begin, facts_end)
        heard = np.unique(np.concatenate([recording.series[part], recording.fact_series[facts_part]]))
        for index in heard[row_of[heard] < 0].tolist():
            row_of[index] = memory.row_of_history(recording.keys[index])
        increment = Increment(tick, row_of[recording.series[part]], recording.window[part], recording.values[part])
        yield tick, memory.apply(increment, _facts(recording, facts_part, row_of))
        begin, facts_begin = end, facts_end


def _facts(recording: Recording, part: slice, row_of: IntArray) -> list[Fact]:
    return [
        Fact(row, window, kind, name, value)
        for row, window, kind, name, value in zip(
            row_of[recording.fact_series[part]].tolist(),
            recording.fact_window[part].tolist(),
            recording.fact_kind[part],
            recording.fact_name[part],
            recording.fact_value[part].tolist(),
            strict=True,
        )
    ]
