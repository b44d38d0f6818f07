"""How far the newest windows of a series are from what its own past lets expect: in bits, and since when.

`features.symptoms` asks it about counts, durations and levels; benchmarks ask it about recorded metrics. Nothing is learned or kept:
what is usual is fitted to the windows at hand, and windows that are off themselves hardly count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray

__all__ = ["RECENT", "Deviation", "of_counts", "of_means", "of_values"]

RECENT = 3
"""Newest windows that are judged, and that the past leaves out."""

_ROUNDS = 8  # guessed: enough for the weights to settle
_CAUCHY = 2.0  # guessed: deviations at which a window counts half
_LEAST_DISPERSION = 0.1  # guessed: counts that follow from others exactly still meet the edges of windows
_LEAST_RELATIVE = 0.01  # guessed: nobody wants to hear of less than that
_RIDGE = 1e-6
_RELATIVE_RIDGE = 1e-10  # guessed: far above what rounding does to parts that say the same, far below what tells others apart
_IMAGINED = 10.0  # guessed: exposure of an imagined window at the prior rate
_PRIOR = 0.002  # guessed: rate of what was never seen
_MAD = 1.4826  # of a normal distribution's spread
_EDGE = 0.25  # guessed: variance of a window's count that has nothing to do with its size, where a rate is fitted
_FREEDOM = (3.0, 8.0)  # guessed: fewer windows say no less than that, and however many there are, no more: days are not alike
_LEVEL_FREEDOM = 4.0  # guessed: levels jump more than counts
_LEAST_VALUES = 10  # guessed: windows before anything is unusual where nothing is assumed
_BEYOND = 3.0  # guessed: what a level did at most within the hour is three of its deviations
_SCANNED = np.log2(RECENT)
_MOST_BITS = 60.0
_ALONE = 0.5  # guessed: deviations by which the first window of a run must be off by itself
_ALIKE = 0.5  # guessed: bits


@dataclass(frozen=True, slots=True, eq=False)
class Deviation:
    """Of each series the run of newest windows that is off most.

    Parameters
    ----------
    bits : FloatArray, shape (n,)
        How unlikely it is, 0 or more; what a search over the lengths finds by chance is taken off.
    sign : FloatArray, shape (n,)
        1 above and -1 below what is expected.
    length : IntArray, shape (n,)
        Windows of the run, up to and with the newest.
    value, expected : FloatArray, shape (n,)
        A window's mean over the run.
    """

    bits: FloatArray
    sign: FloatArray
    length: IntArray
    value: FloatArray
    expected: FloatArray


def of_counts(y: FloatArray, x: FloatArray, prior: float | None = _PRIOR, quantile: float = 0.5) -> Deviation:
    """Judge counts given what they follow from.

    Parameters
    ----------
    y : FloatArray, shape (n, w)
        Counts by window, oldest first; windows may be of different lengths.
    x : FloatArray, shape (n, w, k)
        What they are proportional to, a sum of k parts; a window without any says nothing.
    prior : float, optional
        Rate of the first part that is assumed before anything is seen, with the weight of ten of it; for None nothing is unusual
        before ten windows were seen.
    quantile : float
        Of the windows' rates, where the fit starts: a low one where only more is bad, since up to so many windows may be bad ones.

    Returns
    -------
    Deviation
        Of every series.

    Examples
    --------
    >>> requests = np.full((2, 30, 1), 100.0)
    >>> errors = np.ones((2, 30)); errors[1, -2:] = 20.0
    >>> found = of_counts(errors, requests)
    >>> found.bits.round(0).tolist(), found.length.tolist()
    ([0.0, 31.0], [3, 2])

    Notes
    -----
    A quasi-Poisson regression through the origin, fitted by iteratively reweighted least squares with Cauchy weights, so that earlier
    incidents hardly move it. The tail is Student's, of as many degrees of freedom as windows count.

    References
    ----------
    Holland, Welsch (1977), Robust regression using iteratively reweighted least-squares, Communications in Statistics 6.
    """
    base_y, base_x = y[:, :-RECENT], x[:, :-RECENT]
    beta, dispersion, covariance, weight = _fit(base_y, base_x, prior, quantile)
    now_y, now_x = _runs(y[:, -RECENT:]), _runs(x[:, -RECENT:])
    expected = np.maximum((now_x * beta[:, None]).sum(2), 0.0)
    unsure = np.einsum("nrk,nkl,nrl->nr", now_x, covariance, now_x)
    spread = dispersion[:, None] * expected + unsure + 1.0 + (_LEAST_RELATIVE * expected) ** 2
    off = now_y - expected
    alone = np.diff(off, axis=1, prepend=0.0) / np.sqrt(np.maximum(np.diff(spread, axis=1, prepend=0.0), 1.0))
    known = prior is not None or base_x.any(2).sum(1, keepdims=True) >= _LEAST_VALUES
    heard = (x[:, -RECENT:].sum(2) > 0)[:, ::-1] & known
    return _strongest(off / np.sqrt(spread), weight, now_y, expected, heard & (np.abs(alone) >= _ALONE) & (alone * off > 0))


def of_means(mean: FloatArray, square: FloatArray, count: FloatArray) -> Deviation:
    """Judge means of windows that hold different numbers of observations.

    Parameters
    ----------
    mean, square : FloatArray, shape (n, w)
        Mean of the observations and of their squares in each window, oldest first.
    count : FloatArray, shape (n, w)
        Observations; a window without any says nothing.

    Returns
    -------
    Deviation
        `value` and `expected` are means of observations.

    Examples
    --------
    >>> mean = np.tile([1.0, 2.0], 15)[None]; mean[0, -1] = 9.0
    >>> found = of_means(mean, mean**2 + 1.0, np.full((1, 30), 50.0))
    >>> found.length.tolist(), found.bits.item() > 20.0
    ([1], True)
    """
    base, n = mean[:, :-RECENT], count[:, :-RECENT]
    heard = n > 0
    within = np.maximum(_ratio((n * (square[:, :-RECENT] - base**2)).sum(1), n.sum(1)), 0.01)
    centre, between, unsure, weight = _centre(base, n, heard, within)
    counts = _runs(count[:, -RECENT:])
    now = _ratio(_runs((mean * count)[:, -RECENT:]), counts)
    some = _runs((count[:, -RECENT:] > 0).astype(float))
    spread = _ratio(np.broadcast_to(within[:, None], counts.shape), counts) + _ratio(
        np.broadcast_to(between[:, None], some.shape), some
    )
    expected = np.broadcast_to(centre[:, None], now.shape)
    z = (now - expected) / np.sqrt(spread + unsure[:, None] + 1e-9)
    alone = (mean[:, -RECENT:] - centre[:, None])[:, ::-1]
    heard = count[:, -RECENT:][:, ::-1] > 0
    found = _strongest(z, weight, now, expected, heard & (alone**2 >= _ALONE**2 * between[:, None]) & (alone * z > 0))
    return Deviation(found.bits, found.sign, found.length, found.value * found.length, found.expected * found.length)


def of_values(values: FloatArray) -> Deviation:
    """Judge values of windows, such as levels.

    Parameters
    ----------
    values : FloatArray, shape (n, w)
        Oldest first, NaN where there is none.

    Examples
    --------
    >>> values = np.tile([1.0, 1.1, 0.9, 1.0], 10)[None]; values[0, -3:] = 5.0
    >>> found = of_values(values)
    >>> found.length.tolist(), found.value.round(1).tolist(), found.expected.round(1).tolist()
    ([3], [5.0], [1.0])
    """
    known = ~np.isnan(values)
    base = np.where(known, values, np.nan)[:, :-RECENT]
    count = known[:, :-RECENT].sum(1).astype(float)
    some = count >= _LEAST_VALUES
    centre, spread = np.zeros(len(values)), np.zeros(len(values))
    centre[some] = np.nanmedian(base[some], axis=1)
    spread[some] = _MAD * np.nanmedian(np.abs(base[some] - centre[some, None]), axis=1)
    # Half of all values may be alike: then the mean distance says how far the rest goes.
    away = np.abs(base[some] - centre[some, None])
    spread[some] = np.maximum.reduce([spread[some], np.nanmean(away, axis=1), np.nanmax(away, axis=1) / _BEYOND])
    now_n = _runs(known[:, -RECENT:].astype(float))
    now = _ratio(_runs(np.where(known, values, 0.0)[:, -RECENT:]), now_n)
    expected = np.broadcast_to(centre[:, None], now.shape)
    floor = _LEAST_RELATIVE * np.abs(centre) + 1e-9
    z = (now - expected) / np.sqrt(spread**2 + floor**2)[:, None]
    alone = np.where(known, values, centre[:, None])[:, -RECENT:][:, ::-1] - centre[:, None]
    begins = known[:, -RECENT:][:, ::-1] & some[:, None] & (np.abs(alone) >= _ALONE * spread[:, None]) & (alone * z > 0)
    found = _strongest(z, np.minimum(count, _LEVEL_FREEDOM), now, expected, begins)
    return Deviation(found.bits, found.sign, found.length, found.value * found.length, found.expected * found.length)


def _fit(
    y: FloatArray, x: FloatArray, prior: float | None, quantile: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return rates (n, k), dispersion (n,), covariance of the rates (n, k, k), and how many windows count (n,)."""
    n, _, k = x.shape
    imagined = np.eye(k)[0] * (0.0 if prior is None else _IMAGINED)
    dispersion, heard, size = np.ones(n), x.any(2), x.sum(2)
    rate = _quantile(_ratio(y, size), size, quantile)
    beta, mean = rate[:, None] * np.eye(k)[0], rate[:, None] * size
    weight = _weight(y, mean, dispersion) * heard
    matrix = np.zeros((n, k, k))
    for _ in range(_ROUNDS):
        precision = weight / (dispersion[:, None] * mean + _EDGE)
        matrix = np.einsum("nw,nwk,nwl->nkl", precision, x, x) + np.outer(imagined, imagined) / _EDGE
        diagonal = np.einsum("nkk->nk", matrix)  # a view
        diagonal += _RIDGE + _RELATIVE_RIDGE * diagonal
        vector = np.einsum("nw,nwk,nw->nk", precision, x, y) + imagined * _IMAGINED * (prior or 0.0) / _EDGE
        beta = np.linalg.solve(matrix, vector[:, :, None])[:, :, 0]
        mean = np.maximum((x * beta[:, None]).sum(2), 0.0)
        weight = _weight(y, mean, dispersion) * heard
        off = (weight * (y - mean) ** 2).sum(1)
        dispersion = np.maximum(_ratio(off, (weight * (mean + 1.0)).sum(1)), _LEAST_DISPERSION)
    return beta, dispersion, np.linalg.inv(matrix).astype(float), weight.sum(1)


def _weight(y: FloatArray, mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + (y - mean) ** 2 / (dispersion[:, None] * mean + 1.0) / _CAUCHY**2) ** 2


def _quantile(values: FloatArray, weights: FloatArray, quantile: float) -> FloatArray:
    """Return a quantile of each row of values that count by weights."""
    ordered = np.argsort(values, axis=1)
    below = np.cumsum(np.take_along_axis(weights, ordered, 1), axis=1)
    place = (below >= quantile * below[:, -1:]).argmax(1)
    return np.take_along_axis(values, np.take_along_axis(ordered, place[:, None], 1), 1)[:, 0]


def _centre(
    mean: FloatArray, count: FloatArray, heard: BoolArray, within: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return a robust mean, the variance between windows, that of the mean, and how many windows count, shape (n,) each."""
    own = _ratio(np.broadcast_to(within[:, None], count.shape), count)
    between, weight = within.copy(), heard.astype(float)
    centre = np.zeros(len(mean))
    precision = weight
    for _ in range(_ROUNDS):
        precision = weight / (own + between[:, None] + 1e-9)
        centre = _ratio((precision * mean).sum(1), precision.sum(1))
        off = (mean - centre[:, None]) ** 2
        weight = heard / (1.0 + off / (own + between[:, None] + 1e-9) / _CAUCHY**2)
        between = np.maximum(_ratio((weight * (off - own)).sum(1), weight.sum(1)), 0.01 * within)
    unsure: FloatArray = 1.0 / np.maximum(precision.sum(1), 1e-9)
    return centre, between, unsure, weight.sum(1)


def _runs(values: FloatArray) -> FloatArray:
    """Return the sums over the newest 1 to 5 windows, along the second axis."""
    return np.cumsum(values[:, ::-1], axis=1)


def _strongest(z: FloatArray, freedom: FloatArray, value: FloatArray, expected: FloatArray, begins: BoolArray) -> Deviation:
    """Choose of each series the length at which it is off most, of those whose first window is off the same way."""
    df = np.clip(freedom, *_FREEDOM)[:, None]
    bits = np.where(begins, (df + 1.0) / 2.0 * np.log2(1.0 + z**2 / df), 0.0)
    near = bits >= bits.max(1, keepdims=True) - _ALIKE
    place = bits.shape[1] - 1 - near[:, ::-1].argmax(1)  # the longest of those that say the same: it began that long ago
    rows = np.arange(len(z))
    length = place + 1
    found = np.clip(bits[rows, place] - _SCANNED, 0.0, _MOST_BITS)
    return Deviation(found, np.sign(z[rows, place]), length, value[rows, place] / length, expected[rows, place] / length)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)
