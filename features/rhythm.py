"""What is usual for a series at this hour of the week.

`features.memory.Memory.advance` teaches it every closed window that broke no rule; the incident rule,
the surprise features and the anomaly score ask it what was to be expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.planes import Planes
from features.rates import ratio
from features.rings import Columns

__all__ = ["EXPECTED", "HOURS", "Rhythm"]

HOURS = 168
EXPECTED = ("total", "failed", "errors", "warnings")
"""What the baseline knows the mean of, in order."""

_YOUNG = 120.0  # guessed: windows for which an hour borrows half from the broader level
_MEMORY = 60.0 * 8  # guessed: an hour of the week remembers eight weeks of one-minute windows
_FLAT_MEMORY = 60.0 * 24 * 14
_MOST = 4e9  # whose root is about the largest number in half precision
_NO_HOUR = -1


class Rhythm:
    """Means by hour of week that back off to hour of day and then to flat while they are young.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.

    Examples
    --------
    >>> rhythm = Rhythm(60)
    >>> rhythm.columns.grow(1)
    >>> for tick in range(200):
    ...     rhythm.learn(tick, np.array([[10.0, 1.0, 1.0, 0.0]]), np.array([True]))
    >>> rhythm.expected(200).round(3).tolist()
    [[10.0, 1.0, 1.0, 0.0]]

    Notes
    -----
    Partial pooling by imagined observations: an hour with n windows weighs n / (n + 120) against the
    next broader level (Efron and Morris 1975, the same shrinkage with a fixed weight).
    """

    def __init__(self, tick_s: int = 60) -> None:
        self.tick_s = tick_s
        self.columns = _Kept()

    def hour(self, tick: int) -> int:
        """Return the hour of the week, 0 to 167, that a window starts in (the epoch was a Thursday)."""
        return (tick * self.tick_s // 3600) % HOURS

    def learn(self, tick: int, values: FloatArray, usual: BoolArray) -> None:
        """Add one closed window.

        Parameters
        ----------
        tick : int
            The window's number.
        values : FloatArray, shape (n, 4)
            Counts in the order of `EXPECTED`.
        usual : BoolArray, shape (n,)
            Rows to learn; a window within an incident is left out, or it would become the norm.
        """
        rows = np.flatnonzero(usual)
        now, flat = self.columns["now"], self.columns["flat"]
        seen = np.concatenate([values[rows], np.ones((len(rows), 1))], axis=1)
        self._turn(self.hour(tick))
        fade = np.where(now[rows, -1:] >= _MEMORY, 1 - 1 / _MEMORY, 1.0)
        now[rows] = now[rows] * fade + seen
        squared = values[rows, 2:3] ** 2
        fade = np.where(flat[rows, -2:-1] >= _FLAT_MEMORY, 1 - 1 / _FLAT_MEMORY, 1.0)
        flat[rows] = flat[rows] * fade + np.concatenate([seen, squared], axis=1)

    def expected(self, tick: int) -> FloatArray:
        """Return the mean per window at a tick, shape (n, 4)."""
        flat, hour = self.columns["flat"], self.hour(tick)
        count = flat[:, -2:-1]
        level = np.divide(flat[:, :-2], count, out=np.zeros_like(flat[:, :-2]), where=count > 0)
        sums = self._sums(np.arange(hour % 24, HOURS, 24))
        for one in (sums.sum(1), sums[:, hour // 24]):
            level = (one[:, :-1] + _YOUNG * level) / (one[:, -1:] + _YOUNG)
        return level.astype(float)

    def season(self, tick: int) -> FloatArray:
        """Return the logarithm of the errors that are usual at a tick's hour over those of any hour, shape (n,).

        One error in a week of windows is imagined beside both, so that a series without errors has no season.
        """
        flat, column = self.columns["flat"], EXPECTED.index("errors")
        any_hour = ratio(flat[:, column].astype(float), flat[:, -2].astype(float))
        imagined = self.tick_s / (HOURS * 3600.0)
        return np.log((self.expected(tick)[:, column] + imagined) / (any_hour + imagined))

    def dispersion(self) -> FloatArray:
        """Return variance over mean of the errors in a window, at least 1, shape (n,).

        Notes
        -----
        Pulled towards 1 by 60 imagined Poisson windows: few windows say little about a variance.
        """
        flat = self.columns["flat"].astype(float)
        count, total, squared = flat[:, -2], flat[:, 2], flat[:, -1]
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        variance = np.divide(squared, count, out=np.zeros_like(total), where=count > 0) - mean**2
        index = np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0)
        return np.maximum((index * count + 60.0) / (count + 60.0), 1.0)

    def windows_seen(self) -> IntArray:
        """Return how many windows each row was taught, shape (n,)."""
        return self.columns["flat"][:, -2].astype(np.int64)

    def _sums(self, hours: IntArray) -> Float32Array:
        """Return sums and numbers of the windows of some hours of the week, with those of the hour that is not over, shape (n, hours, 5)."""
        c = self.columns
        means, number = c.roots.dense(hours) ** 2, c["seen"][:, hours].astype(np.float32)
        at, place = np.nonzero(c["hour"][:, None] == hours)
        # What the hour not over brings pushes out what is oldest.
        number[at, place] = np.minimum(number[at, place], np.maximum(_MEMORY - c["now"][at, -1], 0.0))
        sums = np.concatenate([means * number[..., None], number[..., None]], axis=2)
        sums[at, place] += c["now"][at]
        return sums

    def _turn(self, hour: int) -> None:
        """Add the hour that is over to what is known of it, where another one begins."""
        c = self.columns
        if (c["hour"] == hour).all():
            return
        for old in np.unique(c["hour"]).tolist():
            if old in (hour, _NO_HOUR):
                continue
            marked: BoolArray = c["hour"] == old
            sums = self._sums(np.array([old]))[marked, 0]
            c.roots.replace(old, marked, _rooted(sums[:, :-1], sums[:, -1:]))
            c["seen"][marked, old] = np.rint(sums[:, -1])
            c["now"][marked] = 0.0
        c["hour"][:] = hour


class _Kept(Columns):
    """Roots of means by hour of week in half precision, whose errors are then below the noise of counts, and sums of the hour that is not over."""

    def __init__(self) -> None:
        width = len(EXPECTED)
        self.roots = Planes(width, HOURS, kinds=(np.float16,))
        super().__init__(
            seen=("u2", (HOURS,), 0),  # windows
            hour=("i2", (), _NO_HOUR),
            now=("f4", (width + 1,), 0),  # the sums, then the number of windows
            flat=("f4", (width + 2,), 0),
        )

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        super().grow(length)
        self.roots.grow(length)

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return copies of some rows of everything."""
        return {"root": self.roots.dense(np.arange(HOURS), rows=rows).astype(np.float16), **super().snapshot(rows)}

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put the rows of a snapshot back; earlier releases kept sums in single precision."""
        if "week" in arrays:
            sums, number = arrays["week"][..., :-1], arrays["week"][..., -1:]
            arrays = {**arrays, "root": _rooted(sums, number), "seen": np.rint(number[..., 0])}
        super().restore(rows, arrays)
        self.roots.restore(rows, arrays["root"].astype(np.float32))


def _rooted(sums: Float32Array, number: Float32Array) -> Float32Array:
    """Return the roots of means, within what half precision holds."""
    means = np.divide(sums, number, out=np.zeros_like(sums), where=number > 0)
    return np.sqrt(np.clip(means, 0.0, _MOST))
