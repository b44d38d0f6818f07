"""How many errors would be too many: the incident rule turned round.

`app.trends` asks when a forecast meets it. The rule itself is in `features.incident`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from features.arrays import FloatArray
from features.incident import IncidentRule
from features.rates import ratio, surprise
from features.rhythm import EXPECTED

__all__ = ["lasting_limit"]

_TOTAL, _ERRORS = EXPECTED.index("total"), EXPECTED.index("errors")
_ROOTS = np.linspace(0.0, np.sqrt(500.0), 400)  # of means; `features.rates.surprise` is exact to 1 % up to 500


def lasting_limit(expected: FloatArray, rule: IncidentRule) -> FloatArray:
    """Return the errors a window from which on, when they last, windows break the rule, at the traffic that is usual, shape (n,).

    Parameters
    ----------
    expected : FloatArray, shape (n, 4)
        Usual counts of a window, in the order of `features.rhythm.EXPECTED`.
    rule : IncidentRule
        The rule.

    Examples
    --------
    >>> lasting_limit(np.array([[10.0, 0.0, 0.01, 0.0], [600.0, 5.0, 5.0, 0.0]]), IncidentRule()).round(1).tolist()
    [1.7, 30.0]
    """
    total, errors = expected[:, _TOTAL], expected[:, _ERRORS]
    usual = np.where(total > 0, ratio(errors, total, 0.001, 100.0) * total, errors)
    single = _least(usual, total, rule.min_errors, 1, rule)
    return np.minimum(single, _least(usual, total, rule.min_errors + rule.m - 1, rule.m, rule))


def _least(usual: FloatArray, total: FloatArray, least: int, windows: int, rule: IncidentRule) -> FloatArray:
    """Return the errors a window for which the sum of some windows breaks."""
    enough = np.maximum(rule.min_ratio * total * windows, improbable(usual * windows, rule.improbability))
    return np.maximum(enough, least) / windows


def improbable(mean: FloatArray, improbability: float) -> FloatArray:
    """Return the count that passes an improbability (-log10 of the Poisson tail), interpolated between whole ones."""
    counts = _improbable_counts(improbability)
    root = np.sqrt(mean)
    beyond = (counts[-1] - _ROOTS[-1] ** 2) / _ROOTS[-1]  # standard deviations above, from where they hardly change
    return np.where(root < _ROOTS[-1], np.interp(root, _ROOTS, counts), mean + beyond * root)


@lru_cache(maxsize=8)
def _improbable_counts(improbability: float) -> FloatArray:
    mean = _ROOTS**2
    low, high = np.floor(mean), mean + 40.0 * np.sqrt(mean + improbability) + 40.0 * improbability
    for _ in range(40):
        middle = np.floor((low + high) / 2.0)
        passed = surprise(middle, mean) > improbability
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    return np.ceil(high)
