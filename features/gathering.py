"""Counts that were received during a tick, summed by row and window before the tick ends.

`features.windows` gathers here what Batches bring. Groups are kept as they came until some thousands wait, and are then
added at once: that costs less than adding each, and memory grows with the series, not with the requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, channel

__all__ = ["WIDTH", "Gathering"]

WIDTH = N_CHANNELS + N_BUCKETS
"""Columns of a window: the channels, then the duration histogram."""

_MAX = channel("duration_max_s")
_MAX_RAW = 4_096  # guessed: groups that wait as they came, about 1 MB
_MAX_PARTS = 1_024  # requests that these came in, however small
_ROW_BITS = 29  # of the number that stands for a row and a window; windows may lie 2**34 ahead

_Part = tuple[Sequence[int], IntArray, IntArray, FloatArray, FloatArray]


class Gathering:
    """Sums by row and window.

    A row's groups are added one by one in the order in which they came, whatever waits together, so that reading the
    log again gives the same bits.

    Examples
    --------
    >>> gathering = Gathering()
    >>> one = np.ones((2, WIDTH))
    >>> gathering.add([7, 8], np.array([0, 0]), np.array([100, 100]), one[:, :N_CHANNELS], one[:, N_CHANNELS:])
    >>> rows, windows, values = gathering.take()
    >>> rows.tolist(), windows.tolist(), values[:, 0].tolist(), values[:, 10].tolist()
    ([7], [100], [2.0], [1.0])
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._n_raw = 0
        self._singles: dict[tuple[int, int], float] = {}
        self._slots: dict[int, int] = {}
        self._sums: FloatArray = np.zeros((0, WIDTH))

    def add(self, rows: Sequence[int], places: IntArray, windows: IntArray, counts: FloatArray, histogram: FloatArray) -> None:
        """Gather groups.

        Parameters
        ----------
        rows : sequence of int
            Rows that `places` points into; groups of row -1 are left out.
        places, windows : IntArray, shape (g,)
            Place of the row, and number of the window of each group.
        counts : FloatArray, shape (g, N_CHANNELS)
            Channels.
        histogram : FloatArray, shape (g, N_BUCKETS)
            Durations.
        """
        self._parts.append((rows, places, windows, counts, histogram))
        self._n_raw += len(places)
        if self._n_raw > _MAX_RAW or len(self._parts) > _MAX_PARTS:
            self._sum()

    def put(self, row: int, window: int, column: int, value: float) -> None:
        """Gather one value of a column of whole numbers of 1/1024, whose sums are the same in any order."""
        key = (window << _ROW_BITS | row, column)
        self._singles[key] = self._singles.get(key, 0.0) + value

    def take(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return rows, windows and sums, ordered by row and window, and begin again with nothing."""
        self._sum()
        self._add_singles()
        codes = np.fromiter(self._slots, np.int64, len(self._slots))
        rows, windows = codes & ((1 << _ROW_BITS) - 1), codes >> _ROW_BITS
        order = np.lexsort((windows, rows))
        values = self._sums[: len(codes)][order]
        self._slots, self._sums = {}, np.zeros((0, WIDTH))
        return rows[order], windows[order], values

    def _sum(self) -> None:
        if not self._parts:
            return
        tables, places, windows, counts, histograms = zip(*self._parts, strict=True)
        self._parts.clear()
        self._n_raw = 0
        first = np.cumsum([0, *(len(table) for table in tables[:-1])])
        table = np.array([row for rows in tables for row in rows], np.int64)
        row = table[np.concatenate(places) + np.repeat(first, [len(part) for part in places])]
        values = np.concatenate([np.concatenate(counts), np.concatenate(histograms)], axis=1)
        code = np.concatenate(windows) << _ROW_BITS | row
        known = row >= 0
        self._add(*((code, values) if known.all() else (code[known], values[known])))

    def _add_singles(self) -> None:
        if self._singles:
            values = np.zeros((len(self._singles), WIDTH))
            values[np.arange(len(values)), [column for _, column in self._singles]] = list(self._singles.values())
            self._add(np.array([code for code, _ in self._singles], np.int64), values)
            self._singles.clear()

    def _add(self, code: IntArray, values: FloatArray) -> None:
        slots, distinct = self._slots, np.unique(code, return_inverse=True)
        slot = np.array([slots.setdefault(one, len(slots)) for one in distinct[0].tolist()], np.int64)[distinct[1]]
        if len(slots) > len(self._sums):
            bigger = np.zeros((max(len(slots), 2 * len(self._sums)), WIDTH))
            bigger[: len(self._sums)] = self._sums
            self._sums = bigger
        top = values[:, _MAX].copy()
        values[:, _MAX] = 0.0
        # In one dimension, where NumPy is fast; each sum takes its terms in order.
        np.add.at(self._sums.reshape(-1), (slot[:, None] * WIDTH + np.arange(WIDTH)).reshape(-1), values.reshape(-1))
        np.maximum.at(self._sums.reshape(-1), slot * WIDTH + _MAX, top)
