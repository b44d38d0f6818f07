"""How far a value leaves the range of all so far, and of those at this hour of the day.

`models.experts` asks it every tick, for all series at once.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.rings import Columns

__all__ = ["Extents"]

_DAY_H = 24


class Extents:
    """Least and largest values.

    Notes
    -----
    The hours before and after count as this one: what happens every day comes a little earlier or later.

    Examples
    --------
    >>> extents, one = Extents(), np.ones(1, np.bool_)
    >>> extents.columns.grow(1)
    >>> for hour in range(24):  # 10 at nights, 0 else
    ...     extents.learn(np.array([10.0 if hour < 6 else 0.0]), np.array([hour]), one)
    >>> extents.beyond(np.array([5.0]), np.array([12]), np.array([1e-9]))
    (array([0.]), array([0.5]))
    >>> extents.beyond(np.array([15.0]), np.array([3]), np.array([1e-9]))
    (array([0.5]), array([0.5]))
    """

    def __init__(self) -> None:
        self.columns = Columns(low=("f4", (_DAY_H,), np.inf), high=("f4", (_DAY_H,), -np.inf))

    def beyond(self, value: FloatArray, hour: IntArray, least: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far values leave the range of all so far and of this hour, in units of the width of all; 0 before any.

        Parameters
        ----------
        value : FloatArray, shape (n,)
            Finite.
        hour : IntArray, shape (n,)
            Of the day or of the week.
        least : FloatArray, shape (n,)
            Distance that counts as none, and the least width.
        """
        low, high = self.columns["low"].astype(float), self.columns["high"].astype(float)
        least_of_all, largest = low.min(1), high.max(1)
        known = np.isfinite(least_of_all)
        width = np.maximum(np.where(known, largest - np.where(known, least_of_all, 0.0), 0.0), least)
        row, near = np.arange(len(value))[:, None], (hour[:, None] + np.arange(-1, 2)) % _DAY_H
        at_hour = _outside(value, low[row, near].min(1), high[row, near].max(1), least)
        return _outside(value, least_of_all, largest, least) / width, at_hour / width

    def learn(self, value: FloatArray, hour: IntArray, usual: BoolArray) -> None:
        """Widen the ranges by the usual values."""
        row = np.flatnonzero(usual)
        place = (row, hour[row] % _DAY_H)
        low, high = self.columns["low"], self.columns["high"]
        low[place] = np.minimum(low[place], value[row])
        high[place] = np.maximum(high[place], value[row])


def _outside(value: FloatArray, low: FloatArray, high: FloatArray, least: FloatArray) -> FloatArray:
    """Return the distance from a range, 0 within it, within its precision and where there is none."""
    distance = np.maximum(np.maximum(value - high, low - value), 0.0)
    return np.where(np.isfinite(distance) & (distance > least), distance, 0.0)
