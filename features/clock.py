"""Where on the time axis a Batch belongs: impossible times are replaced by the time of receipt.

`app.worker` calls `place` on every Batch it reads, before `features.memory.Memory.add`; the time of
receipt comes from the log, so that reading the log again gives the same placement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from features.batch import Batch
from features.errors import InvalidValue

__all__ = ["Clock", "place"]

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
        With possible times only.
    int
        How many groups, errors, levels and durations were moved.

    Examples
    --------
    >>> from features.batch import Level
    >>> moved, n = place(Batch("metrics", levels=(Level("payment", "heap", -5, 1.0),)), 10**18, Clock())
    >>> moved.levels[0].time_ns == 10**18, n
    (True, 1)
    """
    received_window_s = clock.tick(received_ns) * clock.tick_s
    oldest, newest = clock.bounds(received_ns)
    group_time = batch.group_time_s
    # By window, as errors are judged: an error must not part from the group that counts it.
    group_window = group_time // clock.tick_s
    wrong = (group_window < oldest) | (group_window > newest)
    errors = tuple(e if clock.possible(e.time_ns, received_ns) else replace(e, time_ns=received_ns) for e in batch.errors)
    levels = tuple(v if clock.possible(v.time_ns, received_ns) else replace(v, time_ns=received_ns) for v in batch.levels)
    durations = tuple(d if clock.possible(d.time_ns, received_ns) else replace(d, time_ns=received_ns) for d in batch.durations)
    moved = int(wrong.sum())
    moved += sum(a is not b for a, b in zip(errors, batch.errors, strict=True))
    moved += sum(a is not b for a, b in zip(levels, batch.levels, strict=True))
    moved += sum(a is not b for a, b in zip(durations, batch.durations, strict=True))
    if not moved:
        return batch, 0
    times = np.where(wrong, received_window_s, group_time)
    return replace(batch, group_time_s=times, errors=errors, levels=levels, durations=durations), moved
