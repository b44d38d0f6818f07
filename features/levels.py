"""Gauges and sums of services: their last values and long means, one row a name, since most series have none.

`features.facts` keeps what services report in it; the level features read it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.rings import Columns

__all__ = ["MAX_LEVELS", "Levels"]

MAX_LEVELS = 32
"""Names of gauges and sums that are kept for a service."""

_MEMORY = 1440.0
_LARGEST = 1e18  # its square and the sums of it are finite in single precision
_SEEN = 30  # values before a level has a mean of its own, guessed
_MOMENTS = ("level_mean", "level_square", "level_seen")


class Levels:
    """Levels of all services by name.

    Parameters
    ----------
    slots : int
        Windows that are kept.

    Examples
    --------
    >>> levels = Levels(slots=4)
    >>> levels.grow(2)
    >>> levels.put(1, 3, "heap", 0.5)
    >>> levels.last(np.array([2, 3]))[1, 0].tolist(), levels.rows().tolist()
    ([nan, 0.5], [1])
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.names: defaultdict[int, dict[str, int]] = defaultdict(dict)
        """Places of a service's names, by row."""
        self.dropped = 0
        self._length = 0
        self._columns = Columns(level=("f4", (slots,), math.nan), **dict.fromkeys(_MOMENTS, ("f4", (), 0)))
        self._of: defaultdict[int, list[int]] = defaultdict(list)  # rows of `_columns`, in the order of places
        self._owner: list[int] = []
        self._place: list[int] = []

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        self._length = max(length, self._length)

    def rows(self) -> IntArray:
        """Return the rows that have levels, ascending."""
        return np.unique(np.array(self._owner, np.int64))

    def put(self, row: int, slot: int, name: str, value: float) -> None:
        """Keep a value; what is not finite is left out, and names beyond `MAX_LEVELS` are counted."""
        if not math.isfinite(value):
            return  # one NaN would stay in the running means for ever
        value = min(max(value, -_LARGEST), _LARGEST)
        names = self.names[row]
        if name not in names and len(names) >= MAX_LEVELS:
            self.dropped += 1
            return
        at, c = self._at(row, names.setdefault(name, len(names))), self._columns
        c["level"][at, slot] = value
        # A running mean at first, then exponentially weighted over about a day.
        seen = c["level_seen"][at] = min(c["level_seen"][at] + 1, _MEMORY)
        for moment, of_value in (("level_mean", value), ("level_square", value**2)):
            c[moment][at] += (of_value - c[moment][at]) / seen

    def clear(self, slot: int, rows: BoolArray | None = None) -> None:
        """Empty a slot of all rows, or of those that are marked."""
        if rows is None:
            self._columns["level"][:, slot] = math.nan
        else:
            self._columns["level"][rows[np.array(self._owner, np.int64)], slot] = math.nan

    def last(self, slots: IntArray, rows: IntArray | None = None) -> Float32Array:
        """Return the values of some slots, NaN where absent, of all rows or of some, shape (n, 32, slots)."""
        return self._spread(self._columns["level"][:, slots], math.nan, rows)

    def distance(self, slots: IntArray) -> FloatArray:
        """Return how many of its own deviations each level is from its long mean over some slots, shape (n, 32).

        0 where a level is absent or was seen fewer than 30 times.
        """
        c = self._columns
        recent = c["level"][:, slots]
        known = ~np.isnan(recent)
        count = known.sum(1)
        now = np.where(known, recent, 0.0).sum(1) / np.maximum(count, 1)
        spread = np.sqrt(np.maximum(c["level_square"] - c["level_mean"] ** 2, 0.0)) + 1e-3 * np.abs(c["level_mean"]) + 1e-9
        usable = (count > 0) & (c["level_seen"] >= _SEEN)
        return self._spread(np.where(usable, np.clip((now - c["level_mean"]) / spread, -20.0, 20.0), 0.0).astype(float), 0.0)

    def means(self, row: int) -> FloatArray:
        """Return the long means of a service's levels in the order of their names."""
        return self._columns["level_mean"][self._of.get(row, [])].astype(float)

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return what some rows hold, every place of every name."""
        values = {name: self._spread(self._columns[name], 0.0, rows) for name in _MOMENTS}
        return {"level": self.last(np.arange(self.slots), rows), **values}

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put the rows of a snapshot back; names come apart from it."""
        for place, (row, seen) in enumerate(zip(rows.tolist(), arrays["level_seen"], strict=True)):
            for k in np.flatnonzero(seen).tolist():
                at = self._at(row, k)
                for name in ("level", *_MOMENTS):
                    self._columns[name][at] = arrays[name][place, k]

    def _at(self, row: int, place: int) -> int:
        """Return where a level is, making room for it."""
        of_row = self._of[row]
        while len(of_row) <= place:
            self._place.append(len(of_row))
            of_row.append(len(self._owner))
            self._owner.append(row)
            self._columns.grow(len(self._owner))
        return of_row[place]

    def _spread(self, values: NDArray[Any], absent: float, rows: IntArray | None = None) -> NDArray[Any]:
        """Return values by row and place, of all rows or of some."""
        n = self._length if rows is None else len(rows)
        found = np.full((n, MAX_LEVELS, *values.shape[1:]), absent, values.dtype)
        owner, place = np.array(self._owner, np.int64), np.array(self._place, np.int64)
        if rows is not None:
            where = np.full(self._length, -1, np.int64)
            where[rows] = np.arange(n)
            owner = where[owner]
        kept = owner >= 0
        found[owner[kept], place[kept]] = values[kept]
        return found
