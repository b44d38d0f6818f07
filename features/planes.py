"""Numbers by series, column and slot that take little room, because most are 0 and most others are small and whole.

`features.windows` keeps its rings in it and `features.facts` the errors by category. What a series holds in one column is a plane; it takes
room from its first number on, and a byte a slot while all its numbers are whole and below 256. Whatever room it takes, numbers come back to
the last bit of single precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["KINDS", "Planes", "Rings"]

_LARGEST = {np.uint8: 255.0, np.uint16: 65_535.0}  # whole numbers that the narrow kinds hold, from 0 on
KINDS: tuple[type[Any], ...] = (*_LARGEST, np.float32)
"""Bytes, two bytes and single precision."""

_KIND_BITS = 2  # of the number that says where a plane is
_NOWHERE = -1
_SPARE = 16  # guessed: room grows by a sixteenth, so that hardly more of it is unused


class _Pool:
    """Planes of one kind; slots come first, so that what is done to a slot of all planes runs through memory in order."""

    def __init__(self, slots: int, dtype: type[Any]) -> None:
        self._values: NDArray[Any] = np.zeros((slots, 0), dtype)
        self._owners: IntArray = np.zeros(0, np.int64)
        self._free: list[int] = []
        self._used = 0

    @property
    def values(self) -> NDArray[Any]:
        """Shape (slots, planes); zeros where nobody owns a plane."""
        return self._values[:, : self._used]

    @property
    def owners(self) -> IntArray:
        """Shape (planes,), row times columns plus column; -1 for a plane that is free."""
        return self._owners[: self._used]

    def take(self, owners: IntArray) -> IntArray:
        """Return empty planes for new owners."""
        again = min(len(self._free), len(owners))
        reused = [self._free.pop() for _ in range(again)]
        end = self._used + len(owners) - again
        if end > self._values.shape[1]:
            capacity = end + end // _SPARE + 8
            values, known = np.zeros((len(self._values), capacity), self._values.dtype), np.zeros(capacity, np.int64)
            values[:, : self._used], known[: self._used] = self.values, self.owners
            self._values, self._owners = values, known
        places = np.concatenate([np.array(reused, np.int64), np.arange(self._used, end)])
        self._used = end
        self._owners[places] = owners
        return places

    def give_back(self, places: IntArray) -> None:
        """Empty planes and let others have them."""
        self._values[:, places] = 0
        self._owners[places] = _NOWHERE
        self._free.extend(places.tolist())


class Planes:
    """Numbers by series, column and slot, 0 at first.

    Parameters
    ----------
    columns, slots : int
        Of each series.
    largest : int, optional
        Column whose numbers do not add up: the largest is kept.
    left_out : sequence of int, optional
        Columns of which nothing is kept.
    kinds : tuple of types, optional
        What planes are made of, the narrowest first; numbers are as exact as the last of them.

    Examples
    --------
    >>> planes = Planes(columns=2, slots=4)
    >>> planes.grow(1)
    >>> planes.add(np.array([0]), np.array([3]), np.array([[0.0, 300.0]]))
    >>> planes.dense(np.array([2, 3]))[0].tolist(), planes.n_planes
    ([[0.0, 0.0], [0.0, 300.0]], 1)
    """

    def __init__(
        self, columns: int, slots: int, largest: int = -1, left_out: Sequence[int] = (), kinds: tuple[type[Any], ...] = KINDS
    ) -> None:
        self.columns = columns
        self.slots = slots
        self._largest = largest
        self._length = 0
        self._places: NDArray[np.int32] = np.full((0, columns), _NOWHERE, np.int32)
        self._kept: BoolArray = ~np.isin(np.arange(columns), left_out)
        self._kinds = kinds
        self._pools = [_Pool(slots, dtype) for dtype in kinds]

    def __len__(self) -> int:
        return self._length

    @property
    def n_planes(self) -> int:
        """How many planes take room."""
        return int((self._places[: self._length] != _NOWHERE).sum())

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        if length > len(self._places):
            bigger = np.full((length + length // _SPARE + 8, self.columns), _NOWHERE, np.int32)
            bigger[: self._length] = self._places[: self._length]
            self._places = bigger
        self._length = max(length, self._length)

    def add(self, rows: IntArray, slots: IntArray, values: FloatArray) -> None:
        """Add numbers.

        Parameters
        ----------
        rows, slots : IntArray, shape (r,)
            Where; a place that comes several times takes all, one after the other.
        values : FloatArray, shape (r, columns)
            What.
        """
        at, column = np.nonzero(values)
        self.add_numbers(rows[at], slots[at], column, values[at, column])

    def add_numbers(self, row: IntArray, slot: IntArray, column: IntArray, value: FloatArray) -> None:
        """Add numbers one by one, shape (m,) each."""
        while len(row):
            key = (row * self.columns + column) * self.slots + slot
            if (key[1:] > key[:-1]).all():  # as they mostly come
                self._write(row, column, slot, value)
                break
            first = np.unique(key, return_index=True)[1]
            self._write(row[first], column[first], slot[first], value[first])
            rest = np.ones(len(row), np.bool_)
            rest[first] = False
            row, slot, column, value = row[rest], slot[rest], column[rest], value[rest]

    def move(self, slot: int, into: Planes, new: int, rows: BoolArray | None = None) -> None:
        """Add a slot to one of other planes of the same rows and columns, and empty it; of all rows or of those that are marked."""
        for pool in self._pools:
            values = pool.values[slot]
            held = np.flatnonzero(values)
            if not len(held):
                continue
            row, column = np.divmod(pool.owners[held], self.columns)
            if rows is not None:
                held, row, column = held[rows[row]], row[rows[row]], column[rows[row]]
            into._write(row, column, np.full(len(row), new), values[held])
            values[held] = 0

    def clear(self, slot: int, rows: BoolArray | None = None) -> None:
        """Empty a slot of all rows, or of those that are marked."""
        for pool in self._pools:
            values = pool.values[slot]
            if rows is None:
                values[:] = 0
            else:
                values[rows[pool.owners // self.columns] & (pool.owners >= 0)] = 0

    def replace(self, slot: int, rows: BoolArray, values: Float32Array) -> None:
        """Put numbers in place of a slot of the rows that are marked, shape (marked rows, columns)."""
        self.clear(slot, rows)
        at, column = np.nonzero(values)
        self._write(np.flatnonzero(rows)[at], column, np.full(len(at), slot), values[at, column])

    def tidy(self) -> None:
        """Give back the room of planes that hold nothing any more."""
        for pool in self._pools:
            places = np.flatnonzero((pool.owners >= 0) & ~pool.values.any(0))
            self._places.reshape(-1)[pool.owners[places]] = _NOWHERE
            pool.give_back(places)

    def sums(self, slots: IntArray) -> FloatArray:
        """Return the sums over some slots, shape (n, columns)."""
        total = np.zeros(self._length * self.columns)
        for pool in self._pools:
            owned = pool.owners >= 0
            exact = np.uint32 if pool.values.dtype.kind == "u" else np.float64
            summed = np.zeros(len(owned), exact)
            for slot in slots.tolist():
                summed += pool.values[slot]
            total[pool.owners[owned]] = summed[owned]
        return total.reshape(self._length, self.columns)

    def newest(self, slots: IntArray, columns: Sequence[int]) -> IntArray:
        """Return the place among some slots of the last number that is not 0, in any of some columns; -1 without one, shape (n,)."""
        place = np.full(self._length, -1, np.int64)
        for pool in self._pools:
            owned = np.flatnonzero(np.isin(pool.owners % self.columns, columns) & (pool.owners >= 0))
            held = pool.values[slots[::-1, None], owned[None]] != 0
            last = np.where(held.any(0), len(slots) - 1 - held.argmax(0), -1)
            np.maximum.at(place, pool.owners[owned] // self.columns, last)
        return place

    def dense(self, slots: IntArray, columns: slice = slice(None), rows: IntArray | None = None) -> Float32Array:
        """Return the numbers of some slots and columns, of all rows or of some, shape (n, slots, columns)."""
        places = self._places[: self._length] if rows is None else self._places[rows]
        places = places[:, columns]
        found = np.zeros((*places.shape, len(slots)), np.float32)
        for kind, pool in enumerate(self._pools):
            at = np.nonzero(_kind(places) == kind)
            found[at] = pool.values[slots[:, None], (places[at] >> _KIND_BITS)[None]].T
        return found.transpose(0, 2, 1)

    def restore(self, rows: IntArray, values: Float32Array) -> None:
        """Put numbers in place of whatever the rows held, shape (rows, slots, columns)."""
        for kind, pool in enumerate(self._pools):
            codes = self._places[rows]
            codes = codes[_kind(codes) == kind]
            pool.give_back((codes >> _KIND_BITS).astype(np.int64))
        self._places[rows] = _NOWHERE
        at, slot, column = np.nonzero(values)
        self._write(rows[at], column, slot, values[at, slot, column])

    def _write(self, row: IntArray, column: IntArray, slot: IntArray, values: FloatArray | Float32Array) -> None:
        """Add numbers to places that differ from each other."""
        kept = self._kept[column]
        if not kept.all():
            row, column, slot, values = row[kept], column[kept], slot[kept], values[kept]
        old, value = self._read(row, column, slot), values.astype(np.float32)
        new = np.where(column == self._largest, np.maximum(old, value), old + value)
        self._widen(row * self.columns + column, self._kinds_of(new))
        codes = self._places[row, column]
        for kind, pool in enumerate(self._pools):
            chosen = _kind(codes) == kind
            pool.values[slot[chosen], codes[chosen] >> _KIND_BITS] = new[chosen]

    def _read(self, row: IntArray, column: IntArray, slot: IntArray) -> Float32Array:
        codes = self._places[row, column]
        found = np.zeros(len(row), np.float32)
        for kind, pool in enumerate(self._pools):
            chosen = _kind(codes) == kind
            found[chosen] = pool.values[slot[chosen], codes[chosen] >> _KIND_BITS]
        return found

    def _kinds_of(self, values: Float32Array) -> IntArray:
        """Return the narrowest kind that holds each number exactly, else the last."""
        whole = (values == np.floor(values)) & (values >= 0.0)
        fits = [whole & (values <= _LARGEST[kind]) for kind in self._kinds[:-1]]
        last = len(self._kinds) - 1
        return np.select(fits, range(last), last).astype(np.int64) if fits else np.zeros(len(values), np.int64)

    def _widen(self, owner: IntArray, kind: IntArray) -> None:
        """Give planes that are to hold numbers of a kind the room for it."""
        places = self._places.reshape(-1)
        codes = places[owner]
        short = (codes == _NOWHERE) | (_kind(codes) < kind)
        if not short.any():
            return
        owners, place = np.unique(owner[short], return_inverse=True)
        wanted = np.zeros(len(owners), np.int64)
        np.maximum.at(wanted, place, kind[short])
        for number, pool in enumerate(self._pools):
            of_kind = owners[wanted == number]
            taken = pool.take(of_kind)
            self._move_in(pool, taken, places[of_kind])
            places[of_kind] = (taken << _KIND_BITS | number).astype(np.int32)

    def _move_in(self, into: _Pool, taken: IntArray, codes: NDArray[np.int32]) -> None:
        """Move what planes held until now into their new room."""
        for kind, pool in enumerate(self._pools):
            had = _kind(codes) == kind
            if had.any():
                old = (codes[had] >> _KIND_BITS).astype(np.int64)
                into.values[:, taken[had]] = pool.values[:, old]
                pool.give_back(old)


class Rings:
    """Named planes that are kept and put back together, as `features.rings.Columns` are.

    Parameters
    ----------
    **planes : Planes
        By name.
    """

    def __init__(self, **planes: Planes) -> None:
        self._planes = planes

    def __getitem__(self, name: str) -> Planes:
        return self._planes[name]

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        for planes in self._planes.values():
            planes.grow(length)

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Return some rows of all planes, every number of them."""
        return {name: planes.dense(np.arange(planes.slots), rows=rows) for name, planes in self._planes.items()}

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put the rows of a snapshot back; what it does not hold, because it is older, is 0."""
        for name, planes in self._planes.items():
            nothing = np.zeros((len(rows), planes.slots, planes.columns), np.float32)
            planes.restore(rows, arrays.get(name, nothing))


def _kind(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the kind of planes by where they are; one beyond all kinds for nowhere."""
    return codes & ((1 << _KIND_BITS) - 1)
