"""Finds rows by their series and time, so that a verdict costs what it speaks of and not what history holds.

`training.labels` asks for the rows of a stretch, `training.labelled` for those around an incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from features.arrays import IntArray
from features.series import SeriesKey
from models.feedback import Selector

__all__ = ["SeriesRows"]


class SeriesRows:
    """Rows in the order of their series and time.

    Parameters
    ----------
    keys : sequence of SeriesKey
        All series.
    series, as_of_s : IntArray
        Shape (n,): index into `keys`, and unix seconds; in any order.

    Examples
    --------
    >>> web, cart = SeriesKey("default", "web", "*"), SeriesKey("default", "cart", "*")
    >>> rows = SeriesRows([web, cart], np.array([0, 1, 0, 1]), np.array([60, 60, 120, 120]))
    >>> rows.of(cart, 60, 120).tolist(), rows.of(Selector("default"), 100, 200).tolist()
    ([1], [2, 3])
    """

    def __init__(self, keys: Sequence[SeriesKey], series: IntArray, as_of_s: IntArray) -> None:
        self.keys = keys
        self.series = series
        self.as_of_s = as_of_s
        self._named: dict[Selector, tuple[int, ...]] = {}

    def of(self, series: SeriesKey | Selector, begin_s: float, end_s: float) -> IntArray:
        """Return the rows of the series that are meant with ``begin_s <= as_of < end_s``."""
        order, times, edges = self._sorted
        found: list[IntArray] = []
        for number in self._meant(series):
            first, last = edges[number], edges[number + 1]
            begin, end = np.searchsorted(times[first:last], (begin_s, end_s))
            found.append(order[first + begin : first + end])
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def _meant(self, series: SeriesKey | Selector) -> Iterable[int]:
        if isinstance(series, SeriesKey):
            number = self._number.get(series)
            return () if number is None else (number,)
        if series not in self._named:
            self._named[series] = tuple(number for number, key in enumerate(self.keys) if series.covers(key))
        return self._named[series]

    @cached_property
    def _number(self) -> dict[SeriesKey, int]:
        return {key: number for number, key in enumerate(self.keys)}

    @cached_property
    def _sorted(self) -> tuple[IntArray, IntArray, list[int]]:
        """Return the rows in order, their times, and where each series begins; only once somebody asks for any."""
        order: IntArray = np.lexsort((self.as_of_s, self.series))
        edges = np.searchsorted(self.series[order], np.arange(len(self.keys) + 1))
        return order, self.as_of_s[order], edges.tolist()
