"""Leave out most of the rows after which nothing happened, and weigh the rest for them.

Used by the learners of `models.trees` and `models.linear` before they stack rows. Weights keep the
probabilities calibrated, which class weights or synthetic positives would not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import InvalidValue

__all__ = ["Thinning", "thin"]

_FEWEST = 2000
"""Negatives that are kept however few positives there are. Guessed: enough to place the quiet."""


@dataclass(frozen=True, slots=True)
class Thinning:
    """How many rows a learner takes.

    Parameters
    ----------
    per_positive : float
        Rows without an event kept for each row with one. Measured: 10 for 1 cost 0.005 of AP at a million
        rows for a third of the time; 60 is guessed, on the careful side of it.
    max_rows : int
        Bound of all rows, so that a fit has a bounded time. Guessed: the rows of neighbouring
        ticks say nearly the same.

    Raises
    ------
    InvalidValue
        When a bound is not positive.
    """

    per_positive: float = 60.0
    max_rows: int = 48_000

    def __post_init__(self) -> None:
        if self.per_positive <= 0 or self.max_rows < 1:
            raise InvalidValue(f"per_positive and max_rows must be above 0, got {self.per_positive} and {self.max_rows}")


def thin(
    y: FloatArray, at_risk: BoolArray, weight: FloatArray, thinning: Thinning, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Choose rows and weigh them so that every class keeps its total weight.

    Rows without an event that weigh more than 1 are a class of their own, and up to half of what may be kept: somebody spoke
    of them, and by chance alone hardly any of the few would stay.

    Parameters
    ----------
    y, at_risk : FloatArray, BoolArray
        Shape (n, 3), from `models.hazard.labels`.
    weight : FloatArray
        Shape (n,), above 0.
    thinning : Thinning
        How many.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    rows : IntArray
        Chosen rows, ascending.
    weights : FloatArray
        Their weights.

    Examples
    --------
    >>> y = np.zeros((9000, 3)); y[:50, 2] = 1
    >>> rows, w = thin(y, y == y, np.ones(9000), Thinning(), np.random.default_rng(0))
    >>> len(rows), float(w[:50].sum()), float(w[50:].sum().round())
    (3050, 50.0, 8950.0)
    """
    usable = at_risk.any(axis=1)
    event = (y > 0).any(axis=1) & usable
    positive, negative = np.flatnonzero(event), np.flatnonzero(usable & ~event)
    n_positive = min(len(positive), max(thinning.max_rows // 2, 1))
    wanted = int(max(thinning.per_positive * n_positive, _FEWEST))
    n_negative = min(len(negative), wanted, max(thinning.max_rows - n_positive, 1))
    spoken_of = weight[negative] > 1.0
    heavy, usual = negative[spoken_of], negative[~spoken_of]
    n_heavy = min(len(heavy), max(n_negative // 2, n_negative - len(usual)))
    chosen, weights = [], []
    for rows, n in ((positive, n_positive), (usual, min(len(usual), n_negative - n_heavy)), (heavy, n_heavy)):
        kept = rows if n == len(rows) else np.sort(rng.choice(rows, n, replace=False))
        total = weight[kept].sum()
        chosen.append(kept)
        weights.append(weight[kept] * (weight[rows].sum() / total) if total > 0 else weight[kept])
    rows, scaled = np.concatenate(chosen), np.concatenate(weights)
    order = np.argsort(rows, kind="stable")
    return rows[order].astype(np.int64), scaled[order]
