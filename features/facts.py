"""What is known of a whole service beside its counts.

That is: error categories, new fingerprints, levels, versions and instances.

`gather` takes facts during a tick, `advance` hands them out for history and applies them; replay and
training call `apply` with the same facts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import taxonomy
from features.arrays import Float32Array, FloatArray, IntArray
from features.levels import MAX_LEVELS, Levels
from features.planes import Planes
from features.rings import Columns, chronological

__all__ = ["CATEGORIES", "MAX_LEVELS", "Fact", "Facts", "leading_category"]

CATEGORIES = (*taxonomy.CATEGORIES, taxonomy.UNKNOWN)
"""The 13 categories, and what could not be told."""

_SLOTS = 64
_FINE = 60
_ALL = slice(None)
_AHEAD = _SLOTS - _FINE - 1
_NOVEL, _STARTED = len(CATEGORIES), len(CATEGORIES) + 1  # columns beside those of the categories
_MAX_NAMES = 256  # instances and versions remembered for a service, guessed


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing learnt about a service in a window.

    Parameters
    ----------
    row : int
        Row of the whole service.
    window : int
        The window's number.
    kind : {"category", "novel", "level", "instance", "version", "edge"}
        What it is.
    name : str
        Category, fingerprint, metric name, instance, version or callee.
    value : float
        How many, or the level's value.
    """

    row: int
    window: int
    kind: str
    name: str
    value: float


def leading_category(counts: FloatArray) -> str:
    """Return the category with the most errors, ``unknown`` where there are none.

    Parameters
    ----------
    counts : FloatArray, shape (14,)
        Errors in the order of `CATEGORIES`.

    Examples
    --------
    >>> leading_category(np.eye(14)[3]), leading_category(np.zeros(14))
    ('processing', 'unknown')
    """
    return CATEGORIES[int(counts.argmax())] if counts.any() else taxonomy.UNKNOWN


class _Kept:
    """What `features.snapshot` keeps of facts, under the names that it always had."""

    def __init__(self) -> None:
        self.counts = Planes(len(CATEGORIES) + 2, _SLOTS)
        self.levels = Levels(_SLOTS)
        self._own = Columns(changed=("i8", (), -1), born=("i8", (), -1))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._own[name]

    def __len__(self) -> int:
        return len(self._own["born"])

    def grow(self, length: int) -> None:
        for part in (self.counts, self.levels, self._own):
            part.grow(length)

    def snapshot(self, rows: IntArray) -> dict[str, NDArray[Any]]:
        counts = self.counts.dense(np.arange(_SLOTS), rows=rows)
        counted = {"category": counts[:, :, :_NOVEL], "novel": counts[:, :, _NOVEL], "started": counts[:, :, _STARTED]}
        return {**counted, **self.levels.snapshot(rows), **self._own.snapshot(rows)}

    def restore(self, rows: IntArray, arrays: Mapping[str, NDArray[Any]]) -> None:
        counts = [arrays["category"], arrays["novel"][:, :, None], arrays["started"][:, :, None]]
        self.counts.restore(rows, np.concatenate(counts, axis=2))
        self.levels.restore(rows, arrays)
        self._own.restore(rows, arrays)


class Facts:
    """Service-level state over all rows (rows of operations stay empty).

    Examples
    --------
    >>> facts = Facts()
    >>> facts.grow(1)
    >>> facts.gather(0, 5, "level", "heap", 0.5)
    >>> [f.name for f in facts.advance(6)], facts.levels()[0, 0, -1].item()
    (['heap'], 0.5)
    """

    def __init__(self) -> None:
        self.tick = -1
        self.columns = _Kept()
        self.levels_of = self.columns.levels
        self.instances: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self.versions: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._pending: dict[tuple[int, int, str, str], float] = {}

    @property
    def level_names(self) -> defaultdict[int, dict[str, int]]:
        """Places of the names of a service's levels, by row."""
        return self.levels_of.names

    @property
    def names_dropped(self) -> int:
        """How many values of levels were left out because their service has too many."""
        return self.levels_of.dropped

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        self.columns.grow(length)

    def gather(self, row: int, window: int, kind: str, name: str, value: float) -> None:
        """Gather the fields of a `Fact` until the tick ends: levels keep the last value, the rest adds up."""
        key = (row, window, kind, name)
        self._pending[key] = value if kind == "level" else self._pending.get(key, 0.0) + value

    def advance(self, tick: int) -> list[Fact]:
        """Close every window before `tick` and return what came in since the last call, in a fixed order."""
        facts = [Fact(*key, value) for key, value in sorted(self._pending.items())]
        self._pending.clear()
        self.apply(tick, facts)
        return facts

    def apply(self, tick: int, facts: Iterable[Fact]) -> None:
        """Add facts and move the rings to a tick; what is too old or too far ahead for them is left out."""
        if self.tick < 0:
            self.tick = tick - 1
        self.turn(tick - 1)  # ticks may have been missed: their slots still hold what was there before
        counted: list[tuple[int, int, int, float]] = []
        for fact in facts:
            if tick - _FINE < fact.window < tick + _AHEAD:
                self._apply(fact, counted)
        if counted:
            places, values = np.array([where for *where, _ in counted], np.int64).T, np.array([value for *_, value in counted])
            self.columns.counts.add_numbers(places[0], places[1], places[2], values)
        self.turn(tick)

    def turn(self, tick: int, rows: IntArray | slice = _ALL, since: int | None = None) -> None:
        """Clear the slots of the windows that fall out of the rings.

        Parameters
        ----------
        tick : int
            The tick to move to; an earlier one changes nothing.
        rows : IntArray or slice
            Which rows; all by default.
        since : int, optional
            The tick at which the rows stand, where it is not that of the rings.
        """
        since = self.tick if since is None else since
        some = None if isinstance(rows, slice) else np.isin(np.arange(len(self.columns)), rows)
        for now in range(max(since + 1, tick - _SLOTS), tick + 1):
            slot = (now - _FINE - 1) % _SLOTS
            self.columns.counts.clear(slot, some)
            self.levels_of.clear(slot, some)
            if now % _FINE == 0:
                self.columns.counts.tidy()
        self.tick = max(tick, self.tick)

    def categories(self, length: int) -> FloatArray:
        """Return errors by category over the last `length` windows, shape (n, 14)."""
        return self._sums(length)[:, : len(CATEGORIES)]

    def novel(self, length: int) -> FloatArray:
        """Return first-seen fingerprints over the last `length` windows, shape (n,)."""
        return self._sums(length)[:, _NOVEL]

    def started(self, length: int) -> FloatArray:
        """Return new instances over the last `length` windows, shape (n,)."""
        return self._sums(length)[:, _STARTED]

    def levels(self, rows: IntArray | None = None) -> Float32Array:
        """Return levels over the last 60 windows, oldest first, NaN where absent, of all rows or of some, shape (n, 32, 60)."""
        return self.levels_of.last(chronological(self.tick - 1, _FINE, _SLOTS), rows)

    def distance(self) -> FloatArray:
        """Return how many of its own deviations each level is from its long mean, shape (n, 32).

        Over the last five windows; 0 where a level is absent or was seen fewer than 30 times.
        """
        return self.levels_of.distance(chronological(self.tick - 1, 5, _SLOTS))

    def since_change(self) -> IntArray:
        """Return ticks since the version last changed, -1 where it never did, shape (n,)."""
        changed = self.columns["changed"]
        return np.where(changed >= 0, self.tick - changed, -1)

    def _sums(self, length: int) -> FloatArray:
        return self.columns.counts.sums(chronological(self.tick - 1, length, _SLOTS))

    def _apply(self, fact: Fact, counted: list[tuple[int, int, int, float]]) -> None:
        """Apply a fact; what adds up is gathered, to be added with others at once."""
        slot = fact.window % _SLOTS
        match fact.kind:
            case "category":
                counted.append((fact.row, slot, CATEGORIES.index(fact.name), fact.value))
            case "novel":
                counted.append((fact.row, slot, _NOVEL, fact.value))
            case "level":
                self.levels_of.put(fact.row, slot, fact.name, fact.value)
            case "instance":
                if self._first_time(self.instances[fact.row], fact):
                    counted.append((fact.row, slot, _STARTED, 1.0))
            case "version":
                if self._first_time(self.versions[fact.row], fact):
                    self.columns["changed"][fact.row] = fact.window
            case _:
                pass  # edges are applied by `features.graph`

    @staticmethod
    def _first_time(seen: dict[str, int], fact: Fact) -> bool:
        """Remember a name; return whether it is new to a service that was known before."""
        news = fact.name not in seen and bool(seen)
        seen.pop(fact.name, None)
        seen[fact.name] = fact.window  # newest last
        if len(seen) > _MAX_NAMES:
            del seen[next(iter(seen))]
        return news
