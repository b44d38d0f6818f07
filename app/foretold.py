"""What was predicted of each series lately, so that an incident can say how early it was seen coming.

`app.publish` keeps the probabilities of each tick here and asks when an incident begins. Nothing of it outlives the process: what was
predicted before a restart is not known after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from models.prediction import HORIZONS

__all__ = ["LEAST", "UNKNOWN", "Before", "Foretold"]

LEAST = 0.1
"""Probability for the longest horizon below which earlier predictions are not kept: nobody is warned by less. Guessed."""

_KEPT_TICKS = 60


@dataclass(frozen=True, slots=True)
class Before:
    """What was predicted before an incident began.

    Parameters
    ----------
    at_start : mapping of str to float, or None
        Probability by horizon that was the newest at its start; None where none is known.
    earlier : tuple of (int, mapping of str to float)
        Ticks of the hour before at which it was at risk, with probabilities by horizon, the earliest first.
    """

    at_start: Mapping[str, float] | None = None
    earlier: tuple[tuple[int, Mapping[str, float]], ...] = ()

    @classmethod
    def restored(
        cls, at_start: Mapping[str, float] | None = None, earlier: Sequence[tuple[int, Mapping[str, float]]] = ()
    ) -> Before:
        """Return what a snapshot holds; earlier releases kept only the newest probabilities, or none."""
        return cls(at_start, tuple((tick, p) for tick, p in earlier))


UNKNOWN = Before()
"""Where nothing is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sparse:
    """Probabilities of the few rows that were at risk."""

    rows: IntArray
    p: Float32Array


class Foretold:
    """Probabilities of the last ticks: of all series for as many as an incident's start may lie back, else of those at risk.

    Parameters
    ----------
    full_ticks : int
        Ticks of which all is kept.

    Examples
    --------
    >>> foretold = Foretold(1)
    >>> for tick, p in enumerate([0.2, 0.01, 0.3]):
    ...     foretold.remember(tick, np.array([[p / 4, p / 2, p]]))
    >>> known = foretold.before(0, 2)
    >>> known.at_start["60min"], [(tick, round(p["60min"], 3)) for tick, p in known.earlier]
    (0.3, [(0, 0.2)])
    >>> foretold.before(0, 0).at_start is None
    True
    """

    def __init__(self, full_ticks: int) -> None:
        self.full_ticks = full_ticks
        self._all: dict[int, FloatArray] = {}
        self._risky: dict[int, _Sparse] = {}

    def remember(self, tick: int, p: FloatArray) -> None:
        """Keep the probabilities of a tick, shape (n, n_horizons)."""
        self._all[tick] = p
        rows = np.flatnonzero(p[:, -1] >= LEAST)
        self._risky[tick] = _Sparse(rows, p[rows].astype(np.float32))
        # Ticks are passed over where a node was away.
        for old in [then for then in self._all if then < tick - self.full_ticks]:
            del self._all[old]
        for old in [then for then in self._risky if then < tick - _KEPT_TICKS - self.full_ticks]:
            del self._risky[old]

    def before(self, row: int, tick: int) -> Before:
        """Return what was predicted of a row up to a tick."""
        p = self._all.get(tick)
        earlier: list[tuple[int, Mapping[str, float]]] = []
        for then in sorted(then for then in self._risky if tick - _KEPT_TICKS <= then < tick):
            kept = self._risky[then]
            place = int(np.searchsorted(kept.rows, row))
            if place < len(kept.rows) and kept.rows[place] == row:
                earlier.append((then, _named(kept.p[place])))
        return Before(None if p is None or row >= len(p) else _named(p[row]), tuple(earlier))


def _named(p: FloatArray | Float32Array) -> dict[str, float]:
    return {name: float(one) for name, one in zip(HORIZONS, p.tolist(), strict=True)}
