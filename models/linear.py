"""Hazards from logistic regression on robustly scaled features: the floor that trees have to raise.

`training.fit` fits it on the training block, `models.ensemble` weighs what it says.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.linear_model import LogisticRegression

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from models.baseline import Climatology
from models.hazard import INTERVALS, from_logits, to_logits
from models.shares import distance, grouped, rescaled
from models.thin import Thinning, thin
from models.threads import one_thread

__all__ = ["HazardLinear"]

_NORMAL_SPAN = 3.29
"""Standard deviations between the 5th and the 95th percentile of a normal distribution."""


_OVERLAPS = tuple(max(1.0, (end_s - begin_s) / 60.0) for begin_s, end_s in INTERVALS)


class HazardLinear:
    """Fit one ridge logistic regression for each interval's rows at risk.

    Features are centred on their median, scaled by the span of their middle 90 % (by their standard
    deviation where that span is nothing, as with rare counts) and clipped.

    Parameters
    ----------
    strength : float
        Inverse of the ridge for one independent row; it is divided by the ticks that an interval's labels
        share, because overlapping rows count for one. 0.1 is guessed.
    clip_sd : float
        Bound of a scaled value. 8 is guessed; small bounds blunt real signals, none lets one wild value rule.
    thinning : Thinning
        How many rows it takes.
    seed : int
        Same seed and data, same model.
    overlaps : tuple of float
        One an interval, at least 1: how many rows of a series share its label. By default those of the service at a row a
        minute.

    References
    ----------
    Tutz, Schmid (2016), Modeling Discrete Time-to-Event Data, chapter 3.

    Examples
    --------
    >>> x = np.arange(600, dtype=np.float32)[:, None]
    >>> y = np.zeros((600, 3)); y[500:, 0] = 1
    >>> at_risk = np.ones((600, 3), bool); at_risk[500:, 1:] = False
    >>> h = HazardLinear().fit(x, y, at_risk).hazards(x)
    >>> bool(h[550, 0] > h[100, 0])
    True
    """

    def __init__(
        self,
        strength: float = 0.1,
        clip_sd: float = 8.0,
        thinning: Thinning | None = None,
        seed: int = 0,
        overlaps: tuple[float, ...] = _OVERLAPS,
    ) -> None:
        self.strength = strength
        self.clip_sd = clip_sd
        self.thinning = thinning
        self.seed = seed
        self.overlaps = overlaps

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, sample_weight: FloatArray | None = None) -> Self:
        """Fit on rows (n, n_features) with labels (n, 3); without any event it keeps the base rate."""
        weight = np.ones(len(x)) if sample_weight is None else sample_weight
        self.climatology_ = Climatology().fit(x, y, at_risk, weight)
        rng = np.random.default_rng(self.seed)
        rows, weights = thin(y, at_risk, weight, self.thinning or Thinning(), rng)
        used = np.asarray(x[rows], dtype=np.float64)
        self._fit_scale(used if len(used) else np.zeros((1, x.shape[1])))
        self.coef_: FloatArray = np.zeros((y.shape[1], x.shape[1]))
        self.intercept_: FloatArray = to_logits(self.climatology_.rates_)
        z = self._scaled(used)
        for j, overlap in enumerate(self.overlaps[: y.shape[1]]):
            chosen = at_risk[rows, j]
            label = y[rows[chosen], j]
            if len(np.unique(label)) > 1:
                model = LogisticRegression(C=self.strength / overlap, solver="newton-cholesky", max_iter=200)
                with one_thread():
                    model.fit(z[chosen], label, sample_weight=weights[chosen])
                self.coef_[j] = np.ravel(model.coef_)
                self.intercept_[j] = float(np.ravel(model.intercept_)[0])
        return self

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) of feature rows."""
        return from_logits(self._scaled(np.asarray(x, dtype=np.float64)) @ self.coef_.T + self.intercept_)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide the distance in log odds (n, 3, n_groups): each column gives its coefficient times its scaled distance."""
        z = self._scaled(np.concatenate([background[None], x]).astype(np.float64))
        return rescaled(grouped((z[1:] - z[0])[:, None] * self.coef_, groups), distance(self.hazards, x, background))

    def importances(self) -> FloatArray:
        """Return the share of each column in the coefficients' sizes, which are of scaled columns."""
        sizes = np.abs(self.coef_).mean(axis=0)
        return sizes / max(float(sizes.sum()), 1e-300)

    def _fit_scale(self, x: FloatArray) -> None:
        low, middle, high = np.quantile(x, [0.05, 0.5, 0.95], axis=0)
        span = (high - low) / _NORMAL_SPAN
        spread = np.where(span > 0, span, x.std(axis=0))
        self.center_: FloatArray = middle
        # A constant feature is divided by infinity: it says nothing.
        self.scale_: FloatArray = np.where(spread > 0, spread, np.inf)

    def _scaled(self, x: FloatArray) -> FloatArray:
        return np.clip((x - self.center_) / self.scale_, -self.clip_sd, self.clip_sd)
