"""What is known of a whole service beside its counts.

That is: error categories, new fingerprints, levels, versions and instances.

`gather` takes facts during a tick, `advance` hands them out for history and applies them; replay and
training call `apply` with the same facts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from features import taxonomy
from features.arrays import Float32Array, FloatArray, IntArray
from features.rings import Columns, chronological

__all__ = ["CATEGORIES", "MAX_LEVELS", "Fact", "Facts", "leading_category"]

CATEGORIES = (*taxonomy.CATEGORIES, taxonomy.UNKNOWN)
"""The 13 categories, and what could not be told."""

MAX_LEVELS = 32
"""Names of gauges and sums that are kept for a service."""

_SLOTS = 64
_FINE = 60
_ALL = slice(None)
_LEVEL_MEMORY = 1440.0
_AHEAD = _SLOTS - _FINE - 1
_MAX_NAMES = 256  # instances and versions remembered for a service, guessed
_MAX_LEVEL = 1e18  # its square and the sums of it are finite in single precision
_LEVEL_SEEN = 30  # values before a level has a mean of its own, guessed


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
        self.columns = Columns(
            category=("f4", (_SLOTS, len(CATEGORIES)), 0),
            novel=("f4", (_SLOTS,), 0),
            started=("f4", (_SLOTS,), 0),
            level=("f4", (MAX_LEVELS, _SLOTS), float("nan")),
            changed=("i8", (), -1),
            born=("i8", (), -1),
            level_mean=("f4", (MAX_LEVELS,), 0),
            level_square=("f4", (MAX_LEVELS,), 0),
            level_seen=("f4", (MAX_LEVELS,), 0),
        )
        self.level_names: list[dict[str, int]] = []
        self.instances: list[dict[str, int]] = []
        self.versions: list[dict[str, int]] = []
        self.names_dropped = 0
        self._pending: dict[tuple[int, int, str, str], float] = {}

    def grow(self, length: int) -> None:
        """Make room for `length` rows."""
        self.columns.grow(length)
        while len(self.level_names) < length:
            self.level_names.append({})
            self.instances.append({})
            self.versions.append({})

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
        for fact in facts:
            if tick - _FINE < fact.window < tick + _AHEAD:
                self._apply(fact)
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
        for now in range(max(since + 1, tick - _SLOTS), tick + 1):
            slot = (now - _FINE - 1) % _SLOTS
            for name in ("category", "novel", "started"):
                self.columns[name][rows, slot] = 0
            self.columns["level"][rows, :, slot] = np.nan
        self.tick = max(tick, self.tick)

    def categories(self, length: int) -> FloatArray:
        """Return errors by category over the last `length` windows, shape (n, 14)."""
        return self.columns["category"][:, chronological(self.tick - 1, length, _SLOTS)].sum(1)

    def novel(self, length: int) -> FloatArray:
        """Return first-seen fingerprints over the last `length` windows, shape (n,)."""
        return self.columns["novel"][:, chronological(self.tick - 1, length, _SLOTS)].sum(1)

    def started(self, length: int) -> FloatArray:
        """Return new instances over the last `length` windows, shape (n,)."""
        return self.columns["started"][:, chronological(self.tick - 1, length, _SLOTS)].sum(1)

    def levels(self) -> Float32Array:
        """Return levels over the last 60 windows, oldest first, NaN where absent, shape (n, 32, 60)."""
        return self.columns["level"][:, :, chronological(self.tick - 1, _FINE, _SLOTS)]

    def distance(self) -> FloatArray:
        """Return how many of its own deviations each level is from its long mean, shape (n, 32).

        Over the last five windows; 0 where a level is absent or was seen fewer than 30 times.
        """
        c = self.columns
        recent = c["level"][:, :, chronological(self.tick - 1, 5, _SLOTS)]
        known = ~np.isnan(recent)
        count = known.sum(2)
        now = np.where(known, recent, 0.0).sum(2) / np.maximum(count, 1)
        spread = np.sqrt(np.maximum(c["level_square"] - c["level_mean"] ** 2, 0.0)) + 1e-3 * np.abs(c["level_mean"]) + 1e-9
        usable = (count > 0) & (c["level_seen"] >= _LEVEL_SEEN)
        return np.where(usable, np.clip((now - c["level_mean"]) / spread, -20.0, 20.0), 0.0).astype(float)

    def since_change(self) -> IntArray:
        """Return ticks since the version last changed, -1 where it never did, shape (n,)."""
        changed = self.columns["changed"]
        return np.where(changed >= 0, self.tick - changed, -1)

    def _apply(self, fact: Fact) -> None:
        slot = fact.window % _SLOTS
        match fact.kind:
            case "category":
                self.columns["category"][fact.row, slot, CATEGORIES.index(fact.name)] += fact.value
            case "novel":
                self.columns["novel"][fact.row, slot] += fact.value
            case "level":
                self._apply_level(fact, slot)
            case "instance":
                if self._first_time(self.instances[fact.row], fact):
                    self.columns["started"][fact.row, slot] += 1
            case "version":
                if self._first_time(self.versions[fact.row], fact):
                    self.columns["changed"][fact.row] = fact.window
            case _:
                pass  # edges are applied by `features.graph`

    def _apply_level(self, fact: Fact, slot: int) -> None:
        if not math.isfinite(fact.value):
            return  # one NaN would stay in the running means for ever
        value = min(max(fact.value, -_MAX_LEVEL), _MAX_LEVEL)
        names = self.level_names[fact.row]
        if fact.name not in names and len(names) >= MAX_LEVELS:
            self.names_dropped += 1
            return
        place = (fact.row, names.setdefault(fact.name, len(names)))
        self.columns["level"][(*place, slot)] = value
        # A running mean at first, then exponentially weighted over about a day.
        seen = self.columns["level_seen"][place] = min(self.columns["level_seen"][place] + 1, _LEVEL_MEMORY)
        for name, moment in (("level_mean", value), ("level_square", value**2)):
            self.columns[name][place] += (moment - self.columns[name][place]) / seen

    @staticmethod
    def _first_time(seen: dict[str, int], fact: Fact) -> bool:
        """Remember a name; return whether it is new to a service that was known before."""
        news = fact.name not in seen and bool(seen)
        seen.pop(fact.name, None)
        seen[fact.name] = fact.window  # newest last
        if len(seen) > _MAX_NAMES:
            del seen[next(iter(seen))]
        return news
