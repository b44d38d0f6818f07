"""The opponents that every model has to beat, and the prior that serves before any model exists.

`training.fit` fits `Recency`, `Rate`, `Seasonal` and `Climatology` on the same rows as the learners;
`training.evaluate` scores them beside the ensemble; `training.gate` serves the best of them when the
ensemble does not beat it. `Prior` needs no rows at all; `app.flow.forecast` asks it from the first tick.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.linear_model import LogisticRegression

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.schema import FeatureSchema
from models.hazard import INTERVALS, cumulate, from_logits, to_logits
from models.shares import distance, grouped, rescaled

__all__ = ["Climatology", "Prior", "Rate", "Recency", "Seasonal"]

_RATE_FLOOR = 1e-4
"""Onsets an hour below which a rate counts as none: one in fourteen months. Guessed."""


class Climatology:
    """Forecast the base rate of every interval, whatever the features say.

    Examples
    --------
    >>> y, at_risk = np.array([[1.0, 0, 0], [0, 0, 0]]), np.array([[True, False, False], [True, True, True]])
    >>> Climatology().fit(np.zeros((2, 1), np.float32), y, at_risk).hazards(np.zeros((1, 1), np.float32)).round(2).tolist()
    [[0.5, 0.25, 0.25]]
    """

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, sample_weight: FloatArray | None = None) -> Self:
        """Count events, with half an event and half a row of smoothing (Jeffreys)."""
        weight = np.ones(len(x)) if sample_weight is None else sample_weight
        events = (y * at_risk * weight[:, None]).sum(axis=0)
        rows = (at_risk * weight[:, None]).sum(axis=0)
        self.rates_: FloatArray = (events + 0.5) / (rows + 1.0)
        return self

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return the base rates for every row."""
        return np.tile(self.rates_, (len(x), 1))

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Return zeros (n, intervals, n_groups): no row is told from another."""
        return np.zeros((len(x), len(self.rates_), groups.max(initial=-1) + 1))


class _Mapped:
    """A forecaster that maps one named column an interval to a calibrated hazard."""

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, sample_weight: FloatArray | None = None) -> Self:
        """Fit a logistic map of the column for every interval; a flat one where no event was seen."""
        self.climatology_ = Climatology().fit(x, y, at_risk, sample_weight)
        weight = np.ones(len(x)) if sample_weight is None else sample_weight
        self.slopes_: FloatArray = np.zeros(y.shape[1])
        self.intercepts_: FloatArray = to_logits(self.climatology_.rates_)
        signal = self._signal(x, y.shape[1])
        for j in range(y.shape[1]):
            rows = at_risk[:, j]
            z, label = signal[rows, j], y[rows, j]
            if len(np.unique(label)) > 1 and np.ptp(z) > 0:
                spread = float(z.std())
                model = LogisticRegression(C=1.0, solver="newton-cholesky")
                model.fit((z / spread)[:, None], label, sample_weight=weight[rows])
                self.slopes_[j] = float(np.ravel(model.coef_)[0]) / spread
                self.intercepts_[j] = float(np.ravel(model.intercept_)[0])
        return self

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, intervals) from the named columns alone."""
        return from_logits(self._signal(x, len(self.slopes_)) * self.slopes_ + self.intercepts_)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Give each interval's distance in log odds (n, intervals, n_groups) to the group of the one column that it reads."""
        n_intervals = len(self.slopes_)
        shares = np.zeros((len(x), n_intervals, groups.max(initial=-1) + 1))
        shares[:, np.arange(n_intervals), groups[self._columns(n_intervals)]] = distance(self.hazards, x, background)
        return shares

    def _signal(self, x: Float32Array, n_intervals: int) -> FloatArray:
        return _log_rate(x, self._columns(n_intervals))

    def _columns(self, n_intervals: int) -> list[int]:
        """Return the column of every interval."""
        raise NotImplementedError


class Recency(_Mapped):
    """Who had an incident lately will have one again: decayed counts of a series' own onsets.

    Parameters
    ----------
    schema : FeatureSchema
        Names the columns: the first that begin with ``incident_decay_``, one an interval, whose time constants are the horizons.
    """

    def _signal(self, x: Float32Array, n_intervals: int) -> FloatArray:
        return np.asarray(x[:, self._columns(n_intervals)], dtype=np.float64)

    def _columns(self, n_intervals: int) -> list[int]:
        return [place for place, name in enumerate(self.schema.names) if name.startswith("incident_decay_")][:n_intervals]


class Rate(_Mapped):
    """Who often has incidents will have one: a series' own onsets an hour (``incident_rate``).

    Parameters
    ----------
    schema : FeatureSchema
        Names the column.
    """

    def _columns(self, n_intervals: int) -> list[int]:
        return [self.schema.index("incident_rate")] * n_intervals


class Seasonal(_Mapped):
    """Incidents come at their hours: onsets an hour at this hour of the week (``incident_rate_seasonal``).

    Parameters
    ----------
    schema : FeatureSchema
        Names the column.
    """

    def _columns(self, n_intervals: int) -> list[int]:
        return [self.schema.index("incident_rate_seasonal")] * n_intervals


class Prior:
    """Forecast before any incident was learned from: climatology times how surprising the errors are.

    The base is the Poisson chance of an onset at the pooled rate; the surprise of the last five minutes
    moves its logit. The coefficients are guessed, not fitted: a surprise of 4 (once in ten thousand
    windows by chance) multiplies the odds of the next five minutes by about 12, of the quarter by 5 and of
    the hour by 2. Therefore what it serves is marked ``prior``.

    Parameters
    ----------
    schema : FeatureSchema
        Names ``incident_rate_pooled`` (onsets an hour) and ``error_surprise_5`` (-log10 of a tail
        probability).

    Examples
    --------
    >>> from features.schema import Feature
    >>> schema = FeatureSchema(1, (Feature("incident_rate_pooled", "incident_history"), Feature("error_surprise_5", "surprise")))
    >>> Prior(schema).hazards(np.array([[0.02, 0.4], [0.02, 8.0]], np.float32)).round(4).tolist()
    [[0.0016, 0.0033, 0.0148], [0.1642, 0.0743, 0.0483]]
    """

    SLOPES = (0.63, 0.42, 0.16)
    """Change of the logit for each decade of surprise, by interval. Guessed."""

    USUAL_SURPRISE = 0.43
    """Mean of -log10 of a uniform tail probability: 1 / ln(10). A quiet series keeps its climatology."""

    SURPRISE_CAP = 10.0
    """Decades after which more surprise says nothing more. Guessed."""

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema
        self._rate = schema.index("incident_rate_pooled")
        self._surprise = schema.index("error_surprise_5")

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) from the two columns."""
        base, moved = self._terms(x)
        return from_logits(base + moved)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide the distance in log odds (n, 3, n_groups) among the groups of the two columns, whose terms it is the sum of."""
        of_rate, of_surprise = self._terms(np.concatenate([background[None], x]))
        terms = np.stack([of_rate[1:] - of_rate[0], of_surprise[1:] - of_surprise[0]], axis=-1)
        parts = np.zeros((len(x), len(INTERVALS), len(groups)))
        parts[:, :, [self._rate, self._surprise]] = terms
        return rescaled(grouped(parts, groups), distance(self.hazards, x, background))

    @staticmethod
    def bounds(p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return a wide interval around prior probabilities.

        A factor of 8 in the odds either way. Guessed: nothing was measured yet.

        Parameters
        ----------
        p : FloatArray
            Shape (n, 3), never decreasing along the horizons.
        """
        z = to_logits(p)
        reach = float(np.log(8.0))
        return np.minimum(from_logits(z - reach), p), np.maximum(from_logits(z + reach), p)

    def probabilities(self, x: Float32Array) -> FloatArray:
        """Return P5 <= P15 <= P60 of feature rows."""
        return cumulate(self.hazards(x))

    def _terms(self, x: Float32Array) -> tuple[FloatArray, FloatArray]:
        """Return what the rate and what the surprise gives to the log odds, (n, 3) each."""
        rate = np.maximum(np.asarray(x[:, self._rate], dtype=np.float64), _RATE_FLOOR)
        surprise = np.clip(np.asarray(x[:, self._surprise], dtype=np.float64), 0.0, self.SURPRISE_CAP)
        hours = np.array([(end - begin) / 3600.0 for begin, end in INTERVALS])
        base = -np.expm1(-rate[:, None] * hours)
        return to_logits(base), np.array(self.SLOPES) * (surprise - self.USUAL_SURPRISE)[:, None]


def _log_rate(x: Float32Array, columns: list[int]) -> FloatArray:
    """Return the logarithms of rates."""
    rate = np.asarray(x[:, columns], dtype=np.float64)
    if (rate < 0).any():
        raise InvalidValue(f"a rate must not be below 0, got {rate.min()}")
    return np.log(np.maximum(rate, _RATE_FLOOR))
