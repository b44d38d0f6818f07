"""Vectorised arithmetic over windows: sums, slopes, decays, Poisson tails, quantiles, entropy.

Pure functions over arrays whose first axis is the series; `features.extract` and
`features.incident` are built from them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import BUCKETS, N_BUCKETS

__all__ = ["decayed", "entropy", "log_factorial", "pooled", "quantile", "ratio", "shrunk", "slope", "surprise"]

_TERMS = 48
_NOTHING = 1e-17  # of a sum, below half its last bit
_LIMIT = 300.0
_PRIOR_SPANS = 7.0  # guessed: spans of borrowed time in which one event is expected before anything is seen


def ratio(part: FloatArray, whole: FloatArray, prior: float = 0.0, weight: float = 0.0) -> FloatArray:
    """Divide with a prior, and give 0 where there is nothing to divide by.

    Parameters
    ----------
    part, whole : FloatArray, same shape
        Counts.
    prior, weight : float
        The ratio assumed for `weight` imagined observations.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, 0.0]
    """
    denominator = whole + weight
    return np.divide(part + prior * weight, denominator, out=np.zeros_like(denominator, float), where=denominator > 0)


def shrunk(count: FloatArray, time: FloatArray, level: FloatArray | float, borrow: float) -> FloatArray:
    """Return events in a unit of time, weighed against imagined time at the rate of a broader level.

    Parameters
    ----------
    count, time : FloatArray, same shape
        Events, and the time in which they were counted.
    level : FloatArray or float
        The broader rate.
    borrow : float
        The time for which it is imagined, above 0.

    Examples
    --------
    >>> shrunk(np.array([0.0, 5.0]), np.array([0.0, 8.0]), 0.5, 2.0).tolist()
    [0.5, 0.6]
    """
    return (count + borrow * level) / (time + borrow)


def pooled(
    count: FloatArray, time: FloatArray, pools: Sequence[IntArray], borrow: float, beyond: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return events in a unit of time of each one: by itself, and as pools of ever closer relatives let expect.

    Parameters
    ----------
    count, time : FloatArray, shape (n,)
        Events, and the time in which they were counted.
    pools : sequence of IntArray, shape (n,)
        Number of each one's pool, the broadest partition first.
    borrow : float
        Time for which a level weighs as much as the next broader one.
    beyond : FloatArray, shape (p, 2), optional
        Events and time of those of each of the broadest pools that are not among these.

    Returns
    -------
    own, of_all : FloatArray, shape (n,)
        Above 0. Before anything is seen both are one event in seven times `borrow`.

    Examples
    --------
    >>> everyone, service = np.array([0, 0, 0]), np.array([0, 0, 1])
    >>> own, of_all = pooled(np.array([0.0, 9.0, 0.0]), np.full(3, 10.0), (everyone, service), 1.0)
    >>> own.round(3).tolist(), of_all.round(3).tolist()
    ([0.013, 0.831, 0.013], [0.04, 0.858, 0.002])

    References
    ----------
    Efron, Morris (1975), Data analysis using Stein's estimator and its generalizations, JASA 70 (the shrinkage, here with a
    fixed weight).
    """
    prior, weight = 1.0 / (_PRIOR_SPANS * borrow), _PRIOR_SPANS * borrow
    level: FloatArray = np.full(len(count), prior)
    for pool in pools:
        of_pool, time_of_pool = (np.bincount(pool, values).astype(float) for values in (count, time))
        if beyond is not None:
            more, beyond = beyond[: len(of_pool)], None
            of_pool, time_of_pool = of_pool + more[:, 0], time_of_pool + more[:, 1]
        of_pool, time_of_pool = of_pool[pool], time_of_pool[pool]
        level = shrunk(of_pool, time_of_pool, level, weight)
        weight = borrow
    return shrunk(count, time, prior, borrow), shrunk(count, time, level, borrow)


def slope(values: FloatArray) -> FloatArray:
    """Return the least-squares slope along the last axis, in units per step.

    Examples
    --------
    >>> slope(np.array([[1.0, 3.0, 5.0]])).tolist()
    [2.0]
    """
    steps = np.arange(values.shape[-1], dtype=float)
    steps -= steps.mean()
    return values @ (steps / (steps @ steps))


def decayed(values: FloatArray, time_constant: float) -> FloatArray:
    """Return the exponentially weighted mean along the last axis, newest last.

    Examples
    --------
    >>> decayed(np.ones((1, 5)), 3.0).round(6).tolist()
    [1.0]
    """
    age = np.arange(values.shape[-1] - 1, -1, -1.0)
    weights = np.exp(-age / time_constant)
    return values @ (weights / weights.sum())


def log_factorial(n: FloatArray) -> FloatArray:
    """Return ln(n!) for n >= 0 by Stirling's series.

    Examples
    --------
    >>> log_factorial(np.array([2.0, 5.0, 170.0])).round(5).tolist()
    [0.69315, 4.78749, 706.57306]

    References
    ----------
    Abramowitz and Stegun (1964), 6.1.41, shifted by 8 for accuracy at small n.
    """
    z = n + 9.0
    shift = np.zeros_like(z)
    for k in range(1, 9):
        shift += np.log(n + k)
    stirling = (z - 0.5) * np.log(z) - z + 0.5 * np.log(2 * np.pi) + 1 / (12 * z) - 1 / (360 * z**3)
    return stirling - shift


def given_traffic(usual: FloatArray, usual_total: FloatArray, total: FloatArray, length: int = 1) -> FloatArray:
    """Return the count to expect over some windows at the usual share of the traffic that came.

    Without traffic it is the usual count: a service that only logs has no share.

    Parameters
    ----------
    usual, usual_total : FloatArray, shape (n,)
        Usual counts of a window, of what is expected and of all requests.
    total : FloatArray, shape (n,)
        Requests that came over the windows.
    length : int
        Windows.

    Examples
    --------
    >>> given_traffic(np.array([1.0, 1.0]), np.array([90.0, 90.0]), np.array([0.0, 50.0]), length=5).tolist()
    [5.0, 0.505]
    """
    share = ratio(usual, usual_total, 0.001, 10.0)
    return np.where(total > 0, share * total, usual * length)


def surprise(count: FloatArray, expected: FloatArray) -> FloatArray:
    """Return -log10 of the Poisson tail P(X >= count) for counts above the expectation, else 0.

    Parameters
    ----------
    count, expected : FloatArray, same shape
        Observed counts, and means >= 0 (raised to 1e-6, so that a first error ever is finite).

    Returns
    -------
    FloatArray
        In [0, 300].

    Examples
    --------
    >>> surprise(np.array([0.0, 1.0, 10.0]), np.array([5.0, 1.0, 1.0])).round(3).tolist()
    [0.0, 0.199, 6.953]

    Notes
    -----
    The tail is pmf(count) times a series whose terms fall faster than (expected / count)^j; the rest
    after 48 terms is bounded by a geometric series: within 1 % of the result for means up to 500.
    """
    mean = np.maximum(expected, 1e-6)
    k = np.maximum(count, 0.0)
    out = np.zeros(np.broadcast_shapes(k.shape, mean.shape))
    above = np.nonzero((k > 0) & (k >= mean))  # most windows hold no error at all
    out[above] = np.minimum(_decades(k[above], mean[above]), _LIMIT)
    return np.maximum(out, 0.0)


def _decades(k: FloatArray, mean: FloatArray) -> FloatArray:
    """Return -log10 P(X >= k) for k >= mean."""
    log_pmf = k * np.log(mean) - mean - log_factorial(k)
    term = np.ones_like(mean)
    total = np.ones_like(mean)
    for j in range(1, _TERMS):
        term = term * mean / (k + j)
        if (term < _NOTHING * total).all():  # what follows is smaller still and would change no bit
            return -(log_pmf + np.log(total)) / np.log(10.0)
        total = total + term
    quotient = np.minimum(mean / (k + _TERMS), 0.999)
    total = total + term * quotient / (1 - quotient)
    return -(log_pmf + np.log(total)) / np.log(10.0)


def quantile(histogram: FloatArray, q: float) -> FloatArray:
    """Return a quantile in seconds of log2 duration histograms, 0 where a histogram is empty.

    Parameters
    ----------
    histogram : FloatArray, shape (..., N_BUCKETS)
        Counts by bucket of `features.batch.BUCKETS`.
    q : float
        In (0, 1).

    Returns
    -------
    FloatArray
        Geometric interpolation within the bucket.

    Examples
    --------
    >>> h = np.zeros((1, 16)); h[0, 3] = 10
    >>> quantile(h, 0.5).round(6).tolist()
    [0.002896]
    """
    edges = np.log2(np.array([BUCKETS[0] / 2, *BUCKETS, BUCKETS[-1] * 2]))
    total = histogram.sum(-1)
    below = np.cumsum(histogram, -1)
    target = q * total
    place: IntArray = np.minimum((below < target[..., None]).sum(-1), N_BUCKETS - 1)
    inside = np.take_along_axis(histogram, place[..., None], -1)[..., 0]
    before = np.take_along_axis(below, place[..., None], -1)[..., 0] - inside
    share = np.clip(ratio(target - before, inside), 0.0, 1.0)
    value = np.exp2(edges[place] + share * (edges[place + 1] - edges[place]))
    return np.where(total > 0, value, 0.0)


def entropy(counts: FloatArray) -> FloatArray:
    """Return the entropy in bits of counts along the last axis, 0 where there are none.

    Examples
    --------
    >>> entropy(np.array([[2.0, 2.0], [4.0, 0.0], [0.0, 0.0]])).tolist()
    [1.0, 0.0, 0.0]
    """
    total = counts.sum(-1, keepdims=True)
    share = ratio(counts, np.broadcast_to(total, counts.shape).astype(float))
    return np.maximum(-(share * np.log2(np.where(share > 0, share, 1.0))).sum(-1), 0.0)
