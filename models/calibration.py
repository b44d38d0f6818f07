"""Whether a stated probability is what happens: measuring it, and mending it where that helps.

`models.ensemble` calibrates and bounds its forecasts with these on out-of-time rows; `training.evaluate`
reports them on held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import betaincinv
from sklearn.linear_model import LogisticRegression

from features.arrays import BoolArray, FloatArray
from features.errors import InvalidValue
from models.hazard import from_logits, log_losses, to_logits

__all__ = ["Reliability", "SigmoidCalibration", "calibration_slope", "ece", "reliability"]

_FEWEST_POSITIVES = 200
"""Positives below which calibration is left alone. Measured: on fewer, Platt's map made a calibrated
model worse (ECE 0.0004 to 0.0007 at 5 minutes, 0.0033 to 0.0068 at 60)."""

_TAIL = 0.05
"""Each side's tail: intervals are of 90 %."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """What was said and what happened, by bins of rising probability.

    Parameters
    ----------
    predicted, observed : FloatArray
        Shape (bins,): mean stated probability and share of rows in which it happened.
    lower, upper : FloatArray
        Jeffreys' 90 % interval of the share on the effective sample size.
    rows : FloatArray
        Rows of each bin.
    """

    predicted: FloatArray
    observed: FloatArray
    lower: FloatArray
    upper: FloatArray
    rows: FloatArray


def reliability(
    p: FloatArray, hit: FloatArray, *, n_bins: int = 10, overlap: float = 1.0, by_mass: bool = False
) -> Reliability:
    """Tabulate stated against observed.

    Parameters
    ----------
    p, hit : FloatArray
        Shape (n,): probabilities and outcomes.
    n_bins : int
        Bins of equally many rows; fewer where rows are few.
    overlap : float
        Rows that share one outcome; the effective sample size is rows divided by it.
    by_mass : bool
        Bins of equally many expected events instead, which resolves the rare high forecasts.

    Returns
    -------
    Reliability

    References
    ----------
    Bröcker, Smith (2007), Increasing the reliability of reliability diagrams, Weather and Forecasting 22.
    Brown, Cai, DasGupta (2001), Interval estimation for a binomial proportion, Statistical Science 16.

    Examples
    --------
    >>> table = reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]), n_bins=2)
    >>> table.predicted.tolist(), table.observed.tolist()
    ([0.1, 0.9], [0.0, 1.0])
    """
    if p.shape != hit.shape or p.ndim != 1 or n_bins < 1 or overlap < 1:
        raise InvalidValue(
            f"p and hit must be (n,), n_bins >= 1, overlap >= 1, got {p.shape}, {hit.shape}, {n_bins}, {overlap}"
        )
    order = np.argsort(p, kind="stable")
    ranked, outcome = p[order], hit[order]
    share = np.cumsum(ranked) / max(float(ranked.sum()), 1e-12) if by_mass else np.arange(1, len(p) + 1) / max(len(p), 1)
    bins = np.minimum((share * n_bins - 1e-9).astype(np.int64), n_bins - 1)
    rows = np.bincount(bins, minlength=n_bins).astype(np.float64)
    kept = rows > 0
    predicted = np.bincount(bins, weights=ranked, minlength=n_bins)[kept] / rows[kept]
    observed = np.bincount(bins, weights=outcome, minlength=n_bins)[kept] / rows[kept]
    effective = rows[kept] / overlap
    k, rest = observed * effective + 0.5, (1.0 - observed) * effective + 0.5
    lower = np.where(observed > 0, betaincinv(k, rest, _TAIL), 0.0)
    upper = np.where(observed < 1, betaincinv(k, rest, 1.0 - _TAIL), 1.0)
    return Reliability(predicted, observed, lower, upper, rows[kept])


def ece(p: FloatArray, hit: FloatArray, n_bins: int = 10) -> float:
    """Return the expected calibration error over bins of equally many rows.

    References
    ----------
    Naeini, Cooper, Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning, AAAI.

    Examples
    --------
    >>> ece(np.array([0.2, 0.2, 0.2, 0.2, 0.2]), np.array([1.0, 0, 0, 0, 0]), n_bins=1)
    0.0
    """
    if not len(p):
        return float("nan")
    table = reliability(p, hit, n_bins=n_bins)
    return float(np.average(np.abs(table.predicted - table.observed), weights=table.rows))


def calibration_slope(p: FloatArray, hit: FloatArray) -> float:
    """Return the slope of outcomes on stated log odds: 1 is right, below 1 is overconfident.

    NaN where outcomes or forecasts do not vary.

    References
    ----------
    Cox (1958), Two further applications of a model for binary regression, Biometrika 45.
    """
    z = to_logits(p)
    if not len(p) or np.ptp(z) == 0 or len(np.unique(hit)) < 2:  # noqa: PLR2004 - two classes
        return float("nan")
    return _sigmoid(z, hit)[0]


class SigmoidCalibration:
    """Correct hazards by a logistic map an interval, only where it is earned.

    An interval is corrected when the block holds at least 200 positives and a map fitted on the block's
    first half lowers the log loss of its second half.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> true = rng.uniform(0.02, 0.4, (8000, 1)).repeat(3, axis=1)
    >>> y = (rng.random(true.shape) < true).astype(float)
    >>> wrong = from_logits(2 * to_logits(true))
    >>> calibration = SigmoidCalibration().fit(wrong, y, np.ones(y.shape, bool))
    >>> calibration.slopes_.round(1).tolist()
    [0.5, 0.5, 0.5]
    """

    def fit(self, hazards: FloatArray, y: FloatArray, at_risk: BoolArray) -> Self:
        """Fit on out-of-time rows in order of time."""
        self.slopes_: FloatArray = np.ones(hazards.shape[1])
        self.intercepts_: FloatArray = np.zeros(hazards.shape[1])
        for j in range(hazards.shape[1]):
            rows = np.flatnonzero(at_risk[:, j])
            z, hit = to_logits(hazards[rows, j]), y[rows, j]
            if hit.sum() < _FEWEST_POSITIVES or np.ptp(z) == 0:
                continue
            half = len(rows) // 2
            if len(np.unique(hit[:half])) < 2:  # noqa: PLR2004 - two classes
                continue
            slope, intercept = _sigmoid(z[:half], hit[:half])
            before = log_losses(from_logits(z[half:]), hit[half:]).mean()
            after = log_losses(from_logits(slope * z[half:] + intercept), hit[half:]).mean()
            if slope > 0 and after < before:
                self.slopes_[j], self.intercepts_[j] = _sigmoid(z, hit)
        return self

    def apply(self, hazards: FloatArray) -> FloatArray:
        """Return corrected hazards."""
        return from_logits(to_logits(hazards) * self.slopes_ + self.intercepts_)


def _sigmoid(z: FloatArray, hit: FloatArray) -> tuple[float, float]:
    """Fit outcome on log odds by maximum likelihood; return slope and intercept."""
    model = LogisticRegression(C=1e6, solver="newton-cholesky").fit(z[:, None], hit)
    return float(np.ravel(model.coef_)[0]), float(np.ravel(model.intercept_)[0])
