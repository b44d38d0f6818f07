"""Where on the time axis a Batch belongs: impossible times are replaced by the time of receipt.

`app.worker` calls `place` on every Batch it reads, before `features.memory.Memory.add`; the time of
receipt comes from the log, so that reading the log again gives the same placement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

import numpy as np

from features.batch import Batch
from features.errors import InvalidValue
from features.event import ErrorRecord

__all__ = ["TIME_AS_SENT", "Clock", "place"]

TIME_AS_SENT = "foreshock.time_as_sent"
"""Attribute of an error whose time was impossible: what its sender said, in unix nanoseconds; -1 is no time at all."""

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Clock:
    """The tick and how far a sender's clock may be off.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.
    ahead : int
        Windows that a time may lie in the future of its receipt; clocks of a fleet differ by seconds.
    past_ns : int
        Nanoseconds that a time may lie in the past, rounded to a whole window; older is a broken clock rather
        than a late delivery.

    Raises
    ------
    InvalidValue
        When the tick is not positive.
    """

    tick_s: int = 60
    ahead: int = 2
    past_ns: int = DAY_NS

    def __post_init__(self) -> None:
        if self.tick_s < 1:
            raise InvalidValue(f"tick_s must be >= 1, got {self.tick_s}")

    def tick(self, time_ns: int) -> int:
        """Return the number of the window that a time in unix nanoseconds falls into.

        Examples
        --------
        >>> Clock(60).tick(119 * 10**9)
        1
        """
        return time_ns // (self.tick_s * 10**9)

    @staticmethod
    def at(seconds: int) -> datetime:
        """Return unix seconds as an aware UTC time.

        Examples
        --------
        >>> Clock.at(0).isoformat()
        '1970-01-01T00:00:00+00:00'
        """
        return datetime.fromtimestamp(seconds, UTC)

    def possible(self, time_ns: int, received_ns: int) -> bool:
        """Return whether a time can be true, given when it was received."""
        oldest, newest = self.bounds(received_ns)
        return oldest <= self.tick(time_ns) <= newest

    def bounds(self, received_ns: int) -> tuple[int, int]:
        """Return the first and the last window that a time can lie in, given when it was received.

        Examples
        --------
        >>> Clock(60, past_ns=120 * 10**9).bounds(600 * 10**9)
        (8, 12)
        """
        return self.tick(received_ns - self.past_ns), self.tick(received_ns) + self.ahead


def place(batch: Batch, received_ns: int, clock: Clock) -> tuple[Batch, int]:
    """Give impossible times the time of receipt.

    Parameters
    ----------
    batch : Batch
        With times as their senders' clocks had them.
    received_ns : int
        Unix nanoseconds of receipt.
    clock : Clock
        The bounds.

    Returns
    -------
    Batch
        With possible times only; an error that was moved says so in `TIME_AS_SENT`, and of what durations that were
        moved began with nothing is known.
    int
        How many groups, errors, levels and durations were moved.

    Examples
    --------
    >>> from features.batch import Level
    >>> moved, n = place(Batch("metrics", levels=(Level("payment", "heap", -5, 1.0),)), 10**18, Clock())
    >>> moved.levels[0].time_ns == 10**18, n
    (True, 1)
    """
    oldest, newest = clock.bounds(received_ns)
    seconds = range(oldest * clock.tick_s, (newest + 1) * clock.tick_s)
    if _all_possible(batch, seconds):
        return batch, 0
    group_time = batch.group_time_s
    # By window, as errors are judged: an error must not part from the group that counts it.
    wrong = (group_time < seconds.start) | (group_time >= seconds.stop)
    times = np.where(wrong, clock.tick(received_ns) * clock.tick_s, group_time)
    errors = tuple(e if clock.possible(e.time_ns, received_ns) else _marked(e, received_ns) for e in batch.errors)
    levels = tuple(v if clock.possible(v.time_ns, received_ns) else replace(v, time_ns=received_ns) for v in batch.levels)
    # Such a clock says no more truth of the start, and beside the time of receipt it could look as if it had been just now.
    durations = tuple(
        d if clock.possible(d.time_ns, received_ns) else replace(d, time_ns=received_ns, start_ns=0) for d in batch.durations
    )
    moved = int(wrong.sum())
    moved += sum(a is not b for a, b in zip(errors, batch.errors, strict=True))
    moved += sum(a is not b for a, b in zip(levels, batch.levels, strict=True))
    moved += sum(a is not b for a, b in zip(durations, batch.durations, strict=True))
    return replace(batch, group_time_s=times, errors=errors, levels=levels, durations=durations), moved


def _all_possible(batch: Batch, seconds: range) -> bool:
    """Return whether every time lies within some seconds, as those of nearly all Batches do."""
    groups: list[int] = batch.group_time_s.tolist()
    if groups and not (seconds.start <= min(groups) and max(groups) < seconds.stop):
        return False
    start, stop = seconds.start * 10**9, seconds.stop * 10**9
    times = [record.time_ns for record in chain(batch.errors, batch.levels, batch.durations)]
    return not times or (start <= min(times) and max(times) < stop)


def _marked(record: ErrorRecord, received_ns: int) -> ErrorRecord:
    """Return an error at its time of receipt; the mark stands first, where no bound on attributes cuts it off."""
    said = str(record.time_ns)
    attributes = {TIME_AS_SENT: said} | dict(record.attributes) | {TIME_AS_SENT: said}
    return replace(record, time_ns=received_ns, attributes=attributes)
