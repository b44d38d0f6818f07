"""Which categories an incident would be of, if it began: a mixture of what its service shows and of what came before.

`features.evidence` counts, `training.categories` fits and scores, `models.ensemble` keeps the fitted mixture,
`app.publish` says what comes out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from features.arrays import Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.evidence import SOURCES
from features.facts import CATEGORIES

__all__ = ["FLOOR", "PRIOR", "CategoryMixture", "fit_mixture"]

FLOOR = "floor"
"""Name of the part that gives every category the same."""

_PULL = 10.0
"""Incidents that speak for the weights a fit starts from. Guessed."""


@dataclass(frozen=True, slots=True)
class CategoryMixture:
    """Weights of sources that each tell a distribution over categories.

    A source tells its counts with one more, spread over all categories. A source that counts nothing tells nothing, and the
    others share its weight.

    Parameters
    ----------
    weights : mapping of str to float
        By source of `features.evidence.SOURCES`, and of `FLOOR`; not negative, that of the floor positive, summing to 1.

    Raises
    ------
    InvalidValue
        When a source is unknown or weights are no shares.

    References
    ----------
    Perks (1947), Some observations on inverse probability, Journal of the Institute of Actuaries 73 (the count that is spread).
    Jelinek, Mercer (1980), Interpolated estimation of Markov source parameters from sparse data (mixing sources by weights
    that are fitted on later data).

    Examples
    --------
    >>> counts = np.zeros((1, len(SOURCES), len(CATEGORIES)))
    >>> counts[0, SOURCES.index("own"), 0] = 3.0
    >>> p = CategoryMixture({"own": 0.5, "now": 0.3, FLOOR: 0.2}).distribution(counts)[0]
    >>> round(float(p[0]), 3), round(float(p.sum()), 9)  # (0.5 * (3 + 1/14) / 4 + 0.2 / 14) / 0.7
    (0.569, 1.0)
    """

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = self.weights.keys() - {*SOURCES, FLOOR}
        if unknown:
            raise InvalidValue(f"sources must be of {(*SOURCES, FLOOR)}, got {sorted(unknown)}")
        values = self.weights.values()
        if not (min(values) >= 0 and self.weights.get(FLOOR, 0.0) > 0 and math.isclose(sum(values), 1.0, rel_tol=1e-6)):
            raise InvalidValue(f"weights must be shares that sum to 1, that of {FLOOR} above 0, got {dict(self.weights)}")

    def distribution(self, evidence: FloatArray | Float32Array) -> FloatArray:
        """Return the probability of each category of an incident, given that one begins.

        Parameters
        ----------
        evidence : FloatArray or Float32Array, shape (n, sources, 14)
            Counts, not negative, from `features.evidence.evidence`.

        Returns
        -------
        FloatArray, shape (n, 14)
            In the order of `features.facts.CATEGORIES`; rows sum to 1.
        """
        names = tuple(self.weights)
        told, speaks = _told(names, evidence)
        shares = np.array([self.weights[name] for name in names]) * speaks
        shares /= shares.sum(axis=1, keepdims=True)
        return np.einsum("ns,nsk->nk", shares, told)


PRIOR = CategoryMixture({"own": 0.4, "now": 0.25, "tenant": 0.15, "hour": 0.1, FLOOR: 0.1})
"""Weights before anything is fitted, and that few incidents hardly move. Guessed."""


def fit_mixture(prior: CategoryMixture, evidence: Float32Array, category: IntArray, weight: FloatArray) -> CategoryMixture:
    """Fit the weights of a mixture's sources by penalised likelihood.

    Parameters
    ----------
    prior : CategoryMixture
        Where the weights start; with few incidents they stay near. Its sources are those that are mixed.
    evidence : Float32Array, shape (n, sources, 14)
        As it was known before incidents.
    category : IntArray, shape (n,)
        Codes of their categories.
    weight : FloatArray, shape (n,)
        What each row counts for: the rows of one incident sum to 1.

    Returns
    -------
    CategoryMixture
        Of the same sources. The penalty is a Dirichlet distribution around the prior, worth ten incidents.

    Examples
    --------
    >>> counts = np.zeros((200, len(SOURCES), len(CATEGORIES)))
    >>> code = np.arange(200) % 14
    >>> counts[np.arange(200), SOURCES.index("now"), code] = 9.0  # right
    >>> counts[np.arange(200), SOURCES.index("own"), 13 - code] = 9.0  # wrong
    >>> fitted = fit_mixture(PRIOR, counts.astype(np.float32), code, np.ones(200))
    >>> fitted.weights["now"] > 0.6, fitted.weights["own"] < 0.05
    (True, True)
    """
    names = tuple(prior.weights)
    start = np.array([prior.weights[name] for name in names])
    told, speaks = _told(names, evidence)
    told = told[np.arange(len(category)), :, category]

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        shares = softmax(theta)
        said, silent = shares * speaks * told, shares * speaks
        right, whole = said.sum(axis=1, keepdims=True), silent.sum(axis=1, keepdims=True)
        value = -float(weight @ (np.log(right) - np.log(whole))[:, 0]) - _PULL * float(start @ np.log(shares))
        return value, -(weight @ (said / right - silent / whole)) - _PULL * (start - shares)

    found = minimize(loss, np.log(start), jac=True, method="L-BFGS-B", bounds=[(-15.0, 15.0)] * len(names))
    return CategoryMixture(dict(zip(names, softmax(found.x).tolist(), strict=True)))


def _told(names: tuple[str, ...], evidence: FloatArray | Float32Array) -> tuple[FloatArray, FloatArray]:
    """Return what each source tells, shape (n, s, 14), and 1 where it tells anything, shape (n, s)."""
    told = np.full((len(evidence), len(names), len(CATEGORIES)), 1.0 / len(CATEGORIES))
    speaks = np.ones((len(evidence), len(names)))
    for place, name in enumerate(names):
        if name != FLOOR:
            counts = evidence[:, SOURCES.index(name)].astype(np.float64)
            total = counts.sum(axis=1)
            told[:, place] = (counts + 1.0 / len(CATEGORIES)) / (total[:, None] + 1.0)
            speaks[:, place] = total > 0
    return told, speaks
