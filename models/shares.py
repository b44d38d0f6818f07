"""How shares of feature groups travel through a series of models, from columns to the log odds of the longest horizon.

Every forecaster's `shares` is made of these; `app.members.Members.shares` puts the forecasters' together. Where one model's output is
a weighted sum of others', shares are summed with the weights. Where it is a curve of one number, they are stretched alike: the
rescale rule.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from models.hazard import cumulate, from_logits, to_logits

__all__ = ["distance", "grouped", "horizon_shares", "rescaled"]

_LEVEL = 1e-9
"""Difference below which a curve is followed by its slope: a ratio of two smaller ones is mostly rounding."""


def grouped(parts: FloatArray, groups: IntArray) -> FloatArray:
    """Sum what columns contribute into groups.

    Parameters
    ----------
    parts : FloatArray
        Shape (..., n_features).
    groups : IntArray
        Shape (n_features,), the group of every column, from 0.

    Returns
    -------
    FloatArray
        Shape (..., n_groups).

    Examples
    --------
    >>> grouped(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 0])).tolist()
    [5.0, 2.0]
    """
    return parts @ (groups[:, None] == np.arange(groups.max(initial=-1) + 1)).astype(np.float64)


def distance(hazards: Callable[[Float32Array], FloatArray], x: Float32Array, background: Float32Array) -> FloatArray:
    """Return how far log odds of the hazards of rows (n, n_features) are from those of a background row, shape (n, intervals)."""
    z = to_logits(hazards(np.concatenate([background[None], x])))
    return z[1:] - z[0]


def rescaled(shares: FloatArray, after: FloatArray, slope: FloatArray | float = 1.0) -> FloatArray:
    """Carry shares of a number over to a curve of it: each keeps its part of the whole.

    Parameters
    ----------
    shares : FloatArray
        Shape (..., n_groups), whose sum is how far the number is from that of the background.
    after : FloatArray
        Shape (...), how far the curve is.
    slope : FloatArray or float
        Shape (...), of the curve, for where the number hardly differs. By default 1, that of a bound which does not bite.

    Returns
    -------
    FloatArray
        Shape (..., n_groups), whose sum is `after`.

    References
    ----------
    Shrikumar, Greenside, Kundaje (2017), Learning important features through propagating activation differences, ICML (the rule).
    Chen, Lundberg, Lee (2022), Explaining a series of models by propagating Shapley values, Nature Communications 13.

    Examples
    --------
    >>> rescaled(np.array([[3.0, -1.0]]), np.array([1.0])).tolist()
    [[1.5, -0.5]]
    """
    before = shares.sum(axis=-1)
    level = np.abs(before) <= _LEVEL
    ratio = np.where(level, slope, after / np.where(level, 1.0, before))
    return shares * ratio[..., None]


def horizon_shares(shares: FloatArray, hazards: FloatArray, background: FloatArray) -> FloatArray:
    """Turn shares of the intervals' log odds into shares of the longest horizon's.

    The distance of a row's log odds from the background's is divided among the intervals by their exact Shapley values, over
    all sets of intervals with the row's hazards and the others with the background's; what falls to an interval is divided among
    groups by the rescale rule.

    Parameters
    ----------
    shares : FloatArray
        Shape (n, intervals, n_groups), whose sums over groups are the intervals' distances in log odds.
    hazards : FloatArray
        Shape (n, intervals), of the rows.
    background : FloatArray
        Shape (intervals,), of the background.

    Returns
    -------
    FloatArray
        Shape (n, n_groups). Rows sum to the distance between ``to_logits(cumulate(hazards))[:, -1]`` and that of the background.

    References
    ----------
    Chen, Lundberg, Lee (2022), Explaining a series of models by propagating Shapley values, Nature Communications 13.

    Examples
    --------
    >>> horizon_shares(np.array([[[0.5, 1.5]]]), from_logits(np.array([[-1.0]])), from_logits(np.array([-3.0]))).round(9).tolist()
    [[0.5, 1.5]]
    """
    k = hazards.shape[1]
    held = (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(np.bool_)  # (sets, intervals)
    p = np.stack([cumulate(np.where(one, hazards, background))[:, -1] for one in held])
    z, middle = to_logits(p), from_logits((to_logits(hazards) + to_logits(background)) / 2.0)
    total = np.zeros(shares[:, 0].shape)
    for j in range(k):
        without = np.flatnonzero(~held[:, j])
        n_held = held[without].sum(axis=1)
        weight = np.array([factorial(n) * factorial(k - 1 - n) / factorial(k) for n in n_held])
        part = weight @ (z[without + 2**j] - z[without])
        # The log odds of 1 - prod(1 - h) rise by h / p for each that those of h do.
        slope = weight @ (middle[:, j] / p[without + 2**j])
        total += rescaled(shares[:, j], part, slope)
    return total
