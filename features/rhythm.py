"""What is usual for a series at this hour of the week.

`features.memory.Memory.advance` teaches it every closed window that broke no rule; the incident rule,
the surprise features and the anomaly score ask it what was to be expected.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.rates import ratio
from features.rings import Columns

__all__ = ["EXPECTED", "HOURS", "Rhythm"]

HOURS = 168
EXPECTED = ("total", "failed", "errors", "warnings")
"""What the baseline knows the mean of, in order."""

_YOUNG = 120.0  # guessed: windows for which an hour borrows half from the broader level
_MEMORY = 60.0 * 8  # guessed: an hour of the week remembers eight weeks of one-minute windows
_FLAT_MEMORY = 60.0 * 24 * 14


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
        width = len(EXPECTED) + 1  # the sums, then the number of windows
        self.columns = Columns(week=("f4", (HOURS, width), 0), flat=("f4", (width + 1,), 0))

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
        week, flat = self.columns["week"], self.columns["flat"]
        seen = np.concatenate([values[rows], np.ones((len(rows), 1))], axis=1)
        hour = self.hour(tick)
        fade = np.where(week[rows, hour, -1:] >= _MEMORY, 1 - 1 / _MEMORY, 1.0)
        week[rows, hour] = week[rows, hour] * fade + seen
        squared = values[rows, 2:3] ** 2
        fade = np.where(flat[rows, -2:-1] >= _FLAT_MEMORY, 1 - 1 / _FLAT_MEMORY, 1.0)
        flat[rows] = flat[rows] * fade + np.concatenate([seen, squared], axis=1)

    def expected(self, tick: int) -> FloatArray:
        """Return the mean per window at a tick, shape (n, 4)."""
        week, flat = self.columns["week"], self.columns["flat"]
        hour = self.hour(tick)
        count = flat[:, -2:-1]
        level = np.divide(flat[:, :-2], count, out=np.zeros_like(flat[:, :-2]), where=count > 0)
        for sums in (week[:, hour % 24 :: 24].sum(1), week[:, hour]):
            level = (sums[:, :-1] + _YOUNG * level) / (sums[:, -1:] + _YOUNG)
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
