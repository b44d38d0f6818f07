"""How unlikely the last window was under what its series did so far.

`app.flow.forecast` gives every series' count with its expectation and dispersion once a tick; the score
goes into the `models.prediction.Prediction`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, gammainc, gammaln
from scipy.stats import nbinom, poisson

from features.arrays import FloatArray
from features.errors import InvalidValue

__all__ = ["tail"]

_SIDE = 0.025
"""Each side's tail of the expected bounds: 95 % of windows lie within."""

_FLOOR = 1e-3
"""Least expectation: one event in a thousand windows. Guessed; with none, any event would be impossible."""

_POISSON = 1.0 + 1e-6
"""Dispersion up to which a count is treated as Poisson."""


def tail(value: FloatArray, expected: FloatArray, dispersion: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return how likely a count as large as the given one is, and the range that would be usual.

    Counts are negative binomial with the given mean and ``variance = dispersion * mean``; a dispersion of 1
    is Poisson. The tail is the mid-p value ``P(X > v) + P(X = v) / 2``: without the half, a discrete tail
    is too large by its own mass and a quiet series of zeros would score 1 instead of about one half; it
    needs no random number, so the same window always has the same score.

    Parameters
    ----------
    value : FloatArray
        Shape (n,), counts, at least 0.
    expected : FloatArray
        Shape (n,), means, at least 0.
    dispersion : FloatArray
        Shape (n,), variance over mean; below 1 counts as 1.

    Returns
    -------
    probability, lower, upper : FloatArray
        Shape (n,): the tail probability in [0, 1], and the bounds that hold 95 % of windows.

    References
    ----------
    Lancaster (1961), Significance tests in discrete distributions, JASA 56.
    Noufaily et al. (2013), An improved algorithm for outbreak detection in multiple surveillance systems,
    Statistics in Medicine 32 (why counts of events need the negative binomial).

    Examples
    --------
    >>> p, lower, upper = tail(np.array([0.0, 9.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    >>> p.round(6).tolist(), upper.tolist()
    ([0.81606, 1e-06], [3.0, 3.0])
    """
    v, mean, spread = (np.asarray(a, dtype=np.float64) for a in (value, expected, dispersion))
    if not v.shape == mean.shape == spread.shape:
        raise InvalidValue(f"value, expected and dispersion must be of one shape, got {v.shape}, {mean.shape}, {spread.shape}")
    if v.size and not (v.min() >= 0 and mean.min() >= 0 and np.isfinite([v, mean, spread]).all()):
        raise InvalidValue(f"value and expected must be finite and at least 0, got from {v.min()} and {mean.min()}")
    mean = np.maximum(mean, _FLOOR)
    whole = np.floor(v)
    over = spread > _POISSON
    # Where a branch does not apply its arguments are set to something harmless.
    phi = np.where(over, spread, 2.0)
    size = mean / (phi - 1.0)
    above = np.where(over, betainc(whole + 1.0, size, (phi - 1.0) / phi), gammainc(whole + 1.0, mean))
    log_poisson = whole * np.log(mean) - mean - gammaln(whole + 1.0)
    log_binomial = (
        gammaln(whole + size) - gammaln(size) - gammaln(whole + 1.0) - size * np.log(phi) + whole * np.log((phi - 1.0) / phi)
    )
    equal = np.exp(np.where(over, log_binomial, log_poisson))
    lower = np.where(over, nbinom.ppf(_SIDE, size, 1.0 / phi), poisson.ppf(_SIDE, mean))
    upper = np.where(over, nbinom.ppf(1.0 - _SIDE, size, 1.0 / phi), poisson.ppf(1.0 - _SIDE, mean))
    return np.clip(above + 0.5 * equal, 0.0, 1.0), lower, upper
