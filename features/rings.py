"""Arrays by series that grow with the directory, and rings of windows over them.

Every part of `features.memory.Memory` keeps its state in `Columns`, so that one snapshot and one
restore serve all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from features.arrays import IntArray

__all__ = ["Columns", "Kept", "chronological"]


_SPARE = 16  # guessed: room grows by a sixteenth, so that hardly more of it is unused


class Kept(Protocol):
    """State by series that `features.snapshot` saves."""

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        ...

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return copies of some rows of everything."""
        ...

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put the rows of a snapshot back."""
        ...


class Columns:
    """Named arrays whose first axis is the series.

    Parameters
    ----------
    **shapes : tuple of (dtype, shape of one row, fill value)
        What each array holds.

    Examples
    --------
    >>> columns = Columns(seen=("i8", (), -1))
    >>> columns.grow(2)
    >>> columns["seen"].tolist()
    [-1, -1]
    """

    def __init__(self, **shapes: tuple[str, tuple[int, ...], float]) -> None:
        self._shapes = shapes
        self._length = 0
        self._arrays: dict[str, NDArray[Any]] = {name: np.full((0, *row), fill, t) for name, (t, row, fill) in shapes.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name][: self._length]

    @property
    def nbytes_a_row(self) -> int:
        """Bytes of one series."""
        return sum(np.dtype(t).itemsize * int(np.prod(row, dtype=int)) for t, row, _ in self._shapes.values())

    def grow(self, length: int) -> None:
        """Make room for `length` rows, filled with the fill values."""
        if length > len(next(iter(self._arrays.values()))):
            capacity = length + length // _SPARE + 8
            for name, (dtype, row, fill) in self._shapes.items():
                bigger = np.full((capacity, *row), fill, dtype)
                bigger[: self._length] = self._arrays[name][: self._length]
                self._arrays[name] = bigger
        self._length = max(length, self._length)

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return copies of some rows of every array."""
        return {name: self[name][rows] for name in self._shapes}

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put the rows of a snapshot back; an array that it does not hold, because it is older, begins with its fill value."""
        for name, (_, _, fill) in self._shapes.items():
            self[name][rows] = arrays.get(name, fill)


def chronological(last: int, length: int, slots: int) -> IntArray:
    """Return the slots of the `length` windows up to and with window `last`, oldest first.

    Examples
    --------
    >>> chronological(9, 3, 8).tolist()
    [7, 0, 1]
    """
    return np.arange(last - length + 1, last + 1) % slots
