"""Discrete-time hazards: how labels are cut into intervals and put together again.

Takes the times to the next incident from `training.labels`, gives person-period rows to the learners of
`models.trees` and `models.linear`, and turns the hazards that every forecaster returns into probabilities
for the horizons of `models.prediction`, which therefore can never contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from models.prediction import HORIZONS

__all__ = [
    "EPSILON",
    "INTERVALS",
    "N_INTERVALS",
    "Intervals",
    "Stacked",
    "cumulate",
    "from_logits",
    "intervals_of",
    "labels",
    "log_losses",
    "reached",
    "stack",
    "to_logits",
]

Intervals = tuple[tuple[float, float], ...]
"""Seconds ``(begin, end]`` after ``as_of``, each beginning where the one before it ends."""


def intervals_of(horizons: Mapping[str, int]) -> Intervals:
    """Return the intervals that horizons cut the time after ``as_of`` into.

    Parameters
    ----------
    horizons : mapping of str to int
        Seconds by name, ascending.

    Raises
    ------
    InvalidValue
        When there are none, or they do not ascend from above 0.

    Examples
    --------
    >>> intervals_of({"1h": 3600, "6h": 21600})
    ((0.0, 3600.0), (3600.0, 21600.0))
    """
    ends = [float(end_s) for end_s in horizons.values()]
    if not ends or any(end <= begin for begin, end in zip((0.0, *ends), ends, strict=False)):
        raise InvalidValue(f"horizons must be at least one and ascend from above 0 s, got {dict(horizons)}")
    return tuple(zip((0.0, *ends[:-1]), ends, strict=True))


INTERVALS = intervals_of(HORIZONS)
"""Those of the service: (0, 5], (5, 15] and (15, 60] minutes."""

N_INTERVALS = len(INTERVALS)

EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1, so that a logit stays within 16.2. Guessed: one event in
ten million rows is less than any history can show."""


class Stacked(NamedTuple):
    """Person-period rows: one row for every interval that a row was at risk in.

    Attributes
    ----------
    x : Float32Array
        Shape (m, n_features + 1); the last column is the interval's number.
    y : FloatArray
        Shape (m,), 1 where an incident began in that interval.
    row : IntArray
        Shape (m,), which input row it came from.
    interval : IntArray
        Shape (m,), which interval it is.
    """

    x: Float32Array
    y: FloatArray
    row: IntArray
    interval: IntArray


def labels(wait_s: FloatArray, observed_s: FloatArray, intervals: Intervals = INTERVALS) -> tuple[FloatArray, BoolArray]:
    """Cut times to the next incident into interval labels, with censoring.

    A row is at risk in an interval when no incident began before the interval, and the interval was either
    observed to its end or an incident began in it. Everything else is unknown, which is not a negative.

    Parameters
    ----------
    wait_s : FloatArray
        Shape (n,), seconds from ``as_of`` to the next incident's start; inf when none was seen.
    observed_s : FloatArray
        Shape (n,), seconds from ``as_of`` to the end of the observation.
    intervals : tuple of (float, float)
        From `intervals_of`; k of them.

    Returns
    -------
    y : FloatArray
        Shape (n, k), 1 where the incident began in the interval.
    at_risk : BoolArray
        Shape (n, k), where `y` may be learned from and scored.

    References
    ----------
    Suresh, Severn, Ghosh (2022), Survival prediction models: an introduction to discrete-time modeling,
    BMC Medical Research Methodology 22.

    Examples
    --------
    >>> y, at_risk = labels(np.array([400.0, np.inf]), np.array([7200.0, 1000.0]))
    >>> y.astype(int).tolist(), at_risk.astype(int).tolist()
    ([[0, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 1, 0]])
    """
    wait = np.asarray(wait_s, dtype=np.float64)
    observed = np.asarray(observed_s, dtype=np.float64)
    if wait.shape != observed.shape or wait.ndim != 1:
        raise InvalidValue(f"wait_s and observed_s must be of one shape (n,), got {wait.shape} and {observed.shape}")
    if np.isnan(wait).any() or (wait <= 0).any():
        raise InvalidValue(f"wait_s must be above 0, got {np.nanmin(wait)}")
    seen = np.where(wait <= observed, wait, np.inf)
    begin, end = np.array(intervals).T
    event = (seen[:, None] > begin) & (seen[:, None] <= end)
    at_risk = event | ((seen[:, None] > end) & (observed[:, None] >= end))
    return event.astype(np.float64), at_risk


def stack(x: Float32Array, y: FloatArray, at_risk: BoolArray) -> Stacked:
    """Repeat every row once for each interval that it was at risk in.

    Parameters
    ----------
    x : Float32Array
        Shape (n, n_features).
    y, at_risk : FloatArray, BoolArray
        Shape (n, k), from `labels`.

    Returns
    -------
    Stacked
        Ordered by interval, then by row.

    Examples
    --------
    >>> s = stack(np.array([[7.0]], np.float32), np.array([[0.0, 1.0, 0.0]]), np.array([[True, True, False]]))
    >>> s.x.tolist(), s.y.tolist()
    ([[7.0, 0.0], [7.0, 1.0]], [0.0, 1.0])
    """
    if y.shape != at_risk.shape or y.ndim != 2 or len(y) != len(x):  # noqa: PLR2004 - rows and intervals
        raise InvalidValue(f"y and at_risk must be ({len(x)}, intervals), got {y.shape} and {at_risk.shape}")
    interval, row = np.nonzero(at_risk.T)
    stacked = np.empty((len(row), x.shape[1] + 1), dtype=np.float32)
    stacked[:, :-1] = x[row]
    stacked[:, -1] = interval
    return Stacked(stacked, y[row, interval].astype(np.float64), row.astype(np.int64), interval.astype(np.int64))


def cumulate(hazards: FloatArray) -> FloatArray:
    """Turn hazards into probabilities for the horizons.

    Parameters
    ----------
    hazards : FloatArray
        Shape (n, k), in [0, 1].

    Returns
    -------
    FloatArray
        Shape (n, k), never decreasing along the horizons.

    Examples
    --------
    >>> cumulate(np.array([[0.1, 0.0, 0.5]])).round(3).tolist()
    [[0.1, 0.1, 0.55]]
    """
    h = np.asarray(hazards, dtype=np.float64)
    if not ((h >= 0.0) & (h <= 1.0)).all():
        raise InvalidValue(f"hazards must be in [0, 1], got [{h.min()}, {h.max()}]")
    # maximum.accumulate: 1 - prod(1 - h) may fall by one rounding step where h is tiny.
    return np.maximum.accumulate(-np.expm1(np.cumsum(np.log1p(-np.minimum(h, 1.0 - 1e-15)), axis=1)), axis=1)


def reached(y: FloatArray, at_risk: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Turn interval labels into horizon labels.

    Parameters
    ----------
    y, at_risk : FloatArray, BoolArray
        Shape (n, k), from `labels`.

    Returns
    -------
    hit : FloatArray
        Shape (n, k), 1 where an incident began by the horizon's end.
    known : BoolArray
        Shape (n, k), where that is known.

    Examples
    --------
    >>> hit, known = reached(np.array([[0.0, 1.0, 0.0]]), np.array([[True, True, False]]))
    >>> hit.tolist(), known.tolist()
    ([[0.0, 1.0, 1.0]], [[True, True, True]])
    """
    hit = np.maximum.accumulate(y, axis=1)
    return hit, (hit > 0) | np.logical_and.accumulate(at_risk, axis=1)


def to_logits(p: FloatArray) -> FloatArray:
    """Return log odds of probabilities kept `EPSILON` away from 0 and 1."""
    clipped: FloatArray = np.clip(np.asarray(p, dtype=np.float64), EPSILON, 1.0 - EPSILON)
    return np.asarray(logit(clipped), dtype=np.float64)


def from_logits(z: FloatArray) -> FloatArray:
    """Return probabilities of log odds, kept `EPSILON` away from 0 and 1."""
    return np.clip(np.asarray(expit(z), dtype=np.float64), EPSILON, 1.0 - EPSILON)


def log_losses(p: FloatArray, y: FloatArray) -> FloatArray:
    """Return the log loss of every entry, in nats.

    Parameters
    ----------
    p, y : FloatArray
        Probabilities and outcomes (0 or 1) of one shape.

    Examples
    --------
    >>> log_losses(np.array([0.5, 0.9]), np.array([1.0, 1.0])).round(3).tolist()
    [0.693, 0.105]
    """
    clipped = np.clip(np.asarray(p, dtype=np.float64), EPSILON, 1.0 - EPSILON)
    return -(y * np.log(clipped) + (1.0 - y) * np.log1p(-clipped))
