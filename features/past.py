"""Keys that were seen before, in 20 bytes each: `features.repeats` remembers up to millions of them in a process.

As texts in dictionaries they took up to 400: ten minutes of full load were most of a gigabyte.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.arrays import IntArray, UInt64Array

__all__ = ["Past", "PastState", "key_of"]

V = TypeVar("V")

_UInt32Array = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class PastState:
    """A `Past` as plain values but for its values.

    Parameters
    ----------
    keys, ticks, places : bytes
        Of each key its hash, when it was seen and which of the values it has, as little-endian integers of 64, 64 and 32
        bits; ticks are signed, since a message of the log may say anything.
    """

    keys: bytes = b""
    ticks: bytes = b""
    places: bytes = b""


class Past(Generic[V]):
    """Keys with the tick at which they were seen and a value, of which few differ.

    Parameters
    ----------
    most : int
        Keys kept; the oldest go first.

    Examples
    --------
    >>> past = Past[str](100)
    >>> past.add({11: (7, "x"), 5: (8, "y")})
    >>> past.find(5), past.find(6), len(past)
    ((8, 'y'), None, 2)
    >>> past.forget(8)
    >>> past.find(11), past.find(5)
    (None, (8, 'y'))
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: list[V] = []
        self._put(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.uint32))

    def __len__(self) -> int:
        """Return how many keys are kept."""
        return len(self._keys)

    def find(self, key: int) -> tuple[int, V] | None:
        """Return when a key was seen and its value, if it is kept."""
        place = bisect_left(self._sorted, key)  # a view of integers: NumPy would make an object of each it looks at
        if place == len(self._sorted) or self._sorted[place] != key:
            return None
        return int(self._ticks[place]), self._values[self._places[place]]

    def add(self, seen: Mapping[int, tuple[int, V]]) -> None:
        """Keep keys with their tick and value, in place of what was kept of them before."""
        if not seen:
            return
        place_of = {value: place for place, value in enumerate(self._values)}
        for _, value in seen.values():
            place_of.setdefault(value, len(place_of))
        self._values = list(place_of)
        keys = np.fromiter(seen, np.uint64, len(seen))
        ticks = np.fromiter((tick for tick, _ in seen.values()), np.int64, len(seen))
        places = np.fromiter((place_of[value] for _, value in seen.values()), np.uint32, len(seen))
        keys = np.concatenate((self._keys, keys))
        order = np.argsort(keys, kind="stable")  # of equal ones the newest stands last
        keys = keys[order]
        last = np.append(keys[1:] != keys[:-1], True)
        self._put(
            keys[last], np.concatenate((self._ticks, ticks))[order][last], np.concatenate((self._places, places))[order][last]
        )
        if len(self) > self._most:
            surplus = len(self) - self._most + self._most // 16
            self._keep(np.sort(np.argsort(self._ticks, kind="stable")[surplus:]))

    def forget(self, since: int) -> None:
        """Drop what was seen before a tick, and values that no key has any more."""
        if len(self) and int(self._ticks.min()) < since:
            self._keep(np.flatnonzero(self._ticks >= since))

    def snapshot(self) -> tuple[PastState, list[V]]:
        """Return everything, the values apart."""
        keys, ticks, places = self._keys.astype("<u8"), self._ticks.astype("<i8"), self._places.astype("<u4")
        return PastState(keys.tobytes(), ticks.tobytes(), places.tobytes()), list(self._values)

    def restore(self, state: PastState, values: Sequence[V]) -> None:
        """Put a snapshot back."""
        self._values = list(values)
        keys, ticks = np.frombuffer(state.keys, "<u8").astype(np.uint64), np.frombuffer(state.ticks, "<i8").astype(np.int64)
        self._put(keys, ticks, np.frombuffer(state.places, "<u4").astype(np.uint32))

    def _keep(self, kept: IntArray) -> None:
        used, places = np.unique(self._places[kept], return_inverse=True)
        self._values = [self._values[place] for place in used.tolist()]
        self._put(self._keys[kept], self._ticks[kept], places.astype(np.uint32).reshape(-1))

    def _put(self, keys: UInt64Array, ticks: IntArray, places: _UInt32Array) -> None:
        self._keys, self._ticks, self._places = keys, ticks, places
        self._sorted = keys.data


def key_of(name: str) -> int:
    """Return the key of a name: its hash of 64 bits.

    Where a million names are kept, one in ten trillion new ones is taken for one of them.

    Examples
    --------
    >>> key_of("a") == key_of("a"), key_of("a") == key_of("b"), 0 <= key_of("a") < 2**64
    (True, False, True)
    """
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
