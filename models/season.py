"""What is usual for a value at this hour of the day and of the week, for all series at once.

`models.experts` asks it every tick. `features.rhythm` does the same for the counts that the incident rule judges; here it is for any
value, at any distance of ticks, with its spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.rings import Columns

__all__ = ["Season", "Usual"]

_DAY_H, _WEEK_H, _HOUR_S = 24, 168, 3600.0
_WEEK_S = _WEEK_H * _HOUR_S
_BORROWED, _SPREAD_BORROWED, _WEEK_BORROWED = 3.0, 10.0, 10.0  # guessed: ticks for which the broader level counts
_DAYS, _WEEKS = 10.0, 5.0  # guessed: how long an hour of the day and of the week remembers
_FEWEST = 30.0  # guessed: ticks that an hour remembers at least, where ticks are long
_FIRST_S = 86_400.0  # before which the spread is too little known to be a unit
_BOUND = 20.0  # guessed: spreads that one value moves averages by, at most
_GAPS = 100.0  # guessed: ticks over which the distance between two is averaged


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What was to be expected.

    Parameters
    ----------
    of_day : FloatArray, shape (n,)
        The level at this hour of the day.
    of_week : FloatArray, shape (n,)
        What this hour of the week adds to it.
    spread : FloatArray, shape (n,)
        Mean absolute deviation at this hour of the day.
    hour : IntArray, shape (n,)
        Hour of the week, 0 to 167 (the epoch was a Thursday).
    """

    of_day: FloatArray
    of_week: FloatArray
    spread: FloatArray
    hour: IntArray


class Season:
    """Levels by hour.

    Notes
    -----
    An hour of the week holds half-precision units of the hour of the day's spread: two bytes each, and how often it was seen follows
    from the age of the series.

    Examples
    --------
    >>> season = Season()
    >>> season.columns.grow(1)
    >>> for hour in range(24 * 30):  # a value of 5 at nights, of 1 else
    ...     value = np.array([5.0 if hour % 24 < 6 else 1.0])
    ...     usual = season.usual(np.array([hour * 3600.0]), level=value, deviation=np.array([1.0]))
    ...     season.learn(value, usual, np.array([True]))
    >>> [season.usual(np.array([h * 3600.0]), value, np.array([1.0])).of_day.round(1).tolist() for h in (720, 732)]
    [[4.6], [1.0]]
    """

    def __init__(self) -> None:
        self.columns = Columns(
            born_s=("f8", (), np.nan),
            newest_s=("f8", (), np.nan),
            gap_s=("f4", (), 0),
            ticks=("u4", (), 0),
            hour=("i2", (), -1),
            within=("u2", (), 0),  # ticks of this hour
            day=("f4", (_DAY_H,), 0),
            spread=("f4", (_DAY_H,), 0),
            seen=("u1", (_DAY_H,), 0),
            week=("f2", (_WEEK_H,), 0),
        )

    def usual(self, time_s: FloatArray, level: FloatArray, deviation: FloatArray) -> Usual:
        """Return what is usual at a time.

        Parameters
        ----------
        time_s : FloatArray, shape (n,)
            Seconds since the epoch.
        level, deviation : FloatArray, shape (n,)
            What holds at any hour, for hours that are young.
        """
        c = self.columns
        self._tell_time(time_s)
        row = np.arange(len(time_s))
        hour = c["hour"].astype(np.int64)
        of_day, seen = hour % _DAY_H, c["seen"][row, hour % _DAY_H].astype(float)
        day = (c["day"][row, of_day] * seen + level * _BORROWED) / (seen + _BORROWED)
        spread = (c["spread"][row, of_day] * seen + deviation * _SPREAD_BORROWED) / (seen + _SPREAD_BORROWED)
        number = self._week_seen()
        week = c["week"][row, hour] * spread * number / (number + _WEEK_BORROWED)
        return Usual(day, week, spread, hour)

    def learn(self, value: FloatArray, usual: Usual, rows: BoolArray) -> None:
        """Add a tick's values where they are usual.

        Parameters
        ----------
        value : FloatArray, shape (n,)
            The values.
        usual : Usual
            What was expected of them.
        rows : BoolArray, shape (n,)
            Which to learn.
        """
        c, row = self.columns, np.flatnonzero(rows)
        hour = usual.hour[row]
        of_day, per_hour = hour % _DAY_H, self._per_hour()[row]
        off = (value - usual.of_day)[row]
        relative = np.clip(off / usual.spread[row], -_BOUND, _BOUND)
        old = np.clip(c["week"][row, hour].astype(float), -_BOUND, _BOUND)
        number = np.minimum(self._week_seen()[row] + 1.0, np.maximum(_WEEKS * per_hour, _FEWEST / 3.0))
        known = c["newest_s"][row] - c["born_s"][row] >= _FIRST_S
        c["week"][row, hour] = np.where(known, old + (relative - old) / number, 0.0)
        number = np.minimum(c["seen"][row, of_day] + 1.0, np.clip(_DAYS * per_hour, _FEWEST, 255.0))
        old = c["spread"][row, of_day].astype(float)
        c["spread"][row, of_day] = old + (np.abs(off) - old) / number
        c["day"][row, of_day] += (value[row] - c["day"][row, of_day]) / number
        c["seen"][row, of_day] = np.minimum(c["seen"][row, of_day], 254) + 1

    def _tell_time(self, time_s: FloatArray) -> None:
        """Note that a tick is over."""
        c = self.columns
        first = np.isnan(c["newest_s"])
        gap = np.maximum(np.where(first, 0.0, time_s - c["newest_s"]), 0.0)
        c["gap_s"][:] += (gap - c["gap_s"]) / np.clip(c["ticks"], 1.0, _GAPS)
        c["ticks"][:] += 1
        c["born_s"][:] = np.where(first, time_s, c["born_s"])
        c["newest_s"][:] = time_s
        hour = (time_s // _HOUR_S % _WEEK_H).astype(np.int16)
        c["within"][:] = np.where(hour == c["hour"], np.minimum(c["within"], 60_000) + 1, 0)
        c["hour"][:] = hour

    def _per_hour(self) -> FloatArray:
        return _HOUR_S / np.maximum(self.columns["gap_s"].astype(float), 1.0)

    def _week_seen(self) -> FloatArray:
        """Return how many ticks of this hour of the week there were before this one."""
        c = self.columns
        weeks = (c["newest_s"] - c["born_s"] - _FIRST_S) // _WEEK_S
        return np.maximum(weeks, 0.0) * self._per_hour() + c["within"]
