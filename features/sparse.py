"""Columns that only some series have, where to keep them for all would cost too much.

`app.anomalies` keeps what it knows of the vital signs of busy services in them; `features.snapshot` takes and gives them like any others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import IntArray
from features.rings import Columns

__all__ = ["Slots", "Sparse"]


class Slots:
    """Which rows have a slot, in the order in which they took one; none is given back.

    Examples
    --------
    >>> slots = Slots()
    >>> slots.take(np.array([7, 3])).tolist(), slots.take(np.array([3, 9])).tolist(), slots.find(np.array([9, 8])).tolist()
    ([0, 1], [1, 2], [2, -1])
    """

    def __init__(self) -> None:
        self.rows: IntArray = np.zeros(0, np.int64)
        """The row of every slot."""
        self._slot: IntArray = np.zeros(0, np.int64)

    def find(self, rows: IntArray) -> IntArray:
        """Return the slots of rows, -1 where they have none."""
        known = rows < len(self._slot)
        found = np.full(len(rows), -1, np.int64)
        found[known] = self._slot[rows[known]]
        return found

    def take(self, rows: IntArray) -> IntArray:
        """Return the slots of rows, each row named once; those that have none take one."""
        new = rows[self.find(rows) < 0]
        if len(new):
            more = max(int(new.max()) + 1 - len(self._slot), 0)
            self._slot = np.concatenate([self._slot, np.full(more, -1, np.int64)])
            self._slot[new] = len(self.rows) + np.arange(len(new))
            self.rows = np.concatenate([self.rows, new])
        return self.find(rows)


class Sparse(Columns):
    """Columns of the rows that have a slot, `width` rows of them for each.

    Parameters
    ----------
    slots : Slots
        Who has one; several may share it.
    columns : Columns
        By slot.
    width : int
        Rows of `columns` that belong to a slot.
    """

    def __init__(self, slots: Slots, columns: Columns, width: int = 1) -> None:
        super().__init__()
        self._slots, self._columns, self._width = slots, columns, width

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    @property
    def nbytes_a_row(self) -> int:
        """Bytes of one series that has a slot."""
        return self._width * self._columns.nbytes_a_row

    def grow(self, length: int) -> None:
        """Make room for all slots; how many series there are does not matter."""
        del length
        self._columns.grow(self._width * len(self._slots.rows))

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return copies of what those of some rows have that have a slot, and which they are."""
        slots = self._slots.find(rows)
        return {"of": np.flatnonzero(slots >= 0), **self._columns.snapshot(self._places(slots[slots >= 0]))}

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put the rows of a snapshot back; those without a slot in it begin anew."""
        slots = self._slots.find(rows)
        self.grow(0)
        self._columns.restore(self._places(slots[slots >= 0]), {})
        if "of" in arrays:
            slots = self._slots.take(rows[arrays["of"]])
            self.grow(0)
            self._columns.restore(self._places(slots), arrays)

    def _places(self, slots: IntArray) -> IntArray:
        return (slots[:, None] * self._width + np.arange(self._width)).ravel()
