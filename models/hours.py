"""What is usual for a value at this hour of the day, in few bytes: for all series at once.

`app.trends` asks it about durations. Of counts `features.rhythm` knows by the hour of the week; `models.season` keeps spreads too.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.rings import Columns

__all__ = ["Hours"]

_HOURS, _HOUR_S = 24, 3600
_BORROWED_H = 4.0
"""Hours of values for which an hour of the day counts as any other."""
_DAYS = 10.0  # guessed: how long an hour of the day remembers, as in `models.season`
_WEEKS_H = 24.0 * 14  # guessed: how long the level of all hours remembers


class Hours:
    """A level, and by how much each hour of the day differs from it.

    Parameters
    ----------
    tick_s : int
        Seconds of a tick.

    Examples
    --------
    >>> hours = Hours(3600)
    >>> hours.columns.grow(1)
    >>> for tick in range(24 * 30):  # 5 at nights, 1 else
    ...     hours.learn(tick, np.array([5.0 if tick % 24 < 6 else 1.0]), np.array([True]))
    >>> [hours.usual(tick).round(1).tolist() for tick in (24 * 30, 24 * 30 + 12)]
    [[4.6], [1.1]]
    """

    def __init__(self, tick_s: int) -> None:
        self._tick_s = tick_s
        self._per_hour = _HOUR_S / tick_s
        self.columns = Columns(level=("f4", (), 0), learned=("u4", (), 0), hours=("f2", (_HOURS,), 0))

    def usual(self, tick: int) -> FloatArray:
        """Return what is usual in a window, shape (n,); 0 before anything is learned."""
        c = self.columns
        seen = c["learned"] / _HOURS
        share = seen / (seen + _BORROWED_H * self._per_hour)
        return c["level"] + share * c["hours"][:, self._hour(tick)].astype(float)

    def learn(self, tick: int, value: FloatArray, rows: BoolArray) -> None:
        """Take in a window's values."""
        c, hour = self.columns, self._hour(tick)
        learned = c["learned"][rows] + 1.0
        level = c["level"][rows] + (value[rows] - c["level"][rows]) / np.minimum(learned, _WEEKS_H * self._per_hour)
        old = c["hours"][rows, hour].astype(float)
        number = np.clip(learned / _HOURS, self._per_hour, _DAYS * self._per_hour)
        c["hours"][rows, hour] = old + (value[rows] - level - old) / number
        c["level"][rows] = level
        c["learned"][rows] += 1

    def _hour(self, tick: int) -> int:
        return tick * self._tick_s // _HOUR_S % _HOURS
