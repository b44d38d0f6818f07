"""The batch model: members weighed by what they said out of time, calibrated, with an interval.

`training.fit` makes it, `models.registry` keeps it, `app.flow.forecast` asks it for hazards and for the
bounds of what is served. In intervals where it did not beat the best baseline it serves that baseline and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, softmax

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from models.calibration import Reliability, SigmoidCalibration, reliability
from models.categories import PRIOR, CategoryMixture
from models.contract import Forecaster, Weighing
from models.hazard import EPSILON, cumulate, from_logits, reached, to_logits
from models.prediction import HORIZONS
from models.shares import distance, rescaled
from models.shift import Reference

__all__ = ["ENSEMBLE", "Ensemble", "Named", "OutOfTime", "composed"]

ENSEMBLE = "ensemble"
"""What an ensemble serves in every interval in which a baseline is not its match."""

Named = tuple[tuple[str, Forecaster], ...]
"""Forecasters by name, in order."""

_DROPPED = 0.02
"""Weight below which a member is dropped: it costs time at every tick and changes nothing."""

_PULL = 1.0
"""Strength of the pull towards equal weights, as if one incident had spoken for them. Guessed."""

_CALIBRATION_EVENTS = 200
"""Incidents in the block from which on the stacked hazards are calibrated."""

_WATCHED = 10
"""Columns whose distribution is kept, the most important ones. Guessed: of a column that is hardly looked at, a shift says nothing."""

_BINS = 8
"""Reliability bins of equally many expected events. Guessed."""


class OutOfTime(NamedTuple):
    """What every forecaster said of the block that `Ensemble.fit` learned from, and what came.

    Attributes
    ----------
    hazards : dict of str to FloatArray
        Shape (n, intervals), by forecaster.
    y, at_risk : arrays
        Labels of the same rows.
    """

    hazards: dict[str, FloatArray]
    y: FloatArray
    at_risk: BoolArray


def composed(columns: Mapping[str, FloatArray], serves: Mapping[str, str]) -> FloatArray:
    """Take every interval's column from the forecaster that serves there.

    Hazards of different forecasters make probabilities that do not contradict each other, whichever they are.

    Parameters
    ----------
    columns : mapping of str to FloatArray
        Shape (n, intervals) by forecaster, or more axes behind: hazards, losses, shares of them.
    serves : mapping of str to str
        Forecaster by horizon, in order: who serves the interval that ends there.

    Returns
    -------
    FloatArray
        Shape (n, intervals) and the axes behind.

    Examples
    --------
    >>> said = {"ensemble": np.array([[0.1, 0.2]]), "rate": np.array([[0.3, 0.4]])}
    >>> composed(said, {"1h": "ensemble", "6h": "rate"}).tolist()
    [[0.1, 0.4]]
    """
    return np.stack([columns[name][:, j] for j, name in enumerate(serves.values())], axis=1)


class Ensemble:
    """Stack fitted members by non-negative logistic weights on an out-of-time block.

    Members arrive fitted on earlier rows. `fit` learns one weight a member for all intervals jointly; an
    incident's many overlapping rows count as one observation against the pull towards equal weights. Then it calibrates where that
    helps and keeps the reliability of what is served for `bounds`.

    Parameters
    ----------
    members : tuple of (str, Forecaster)
        The fitted members.
    baselines : tuple of (str, Forecaster)
        Fitted baselines that may be served instead.
    tick_s : float
        Seconds between rows of a series.
    horizons : mapping of str to int
        Seconds by name, ascending.

    References
    ----------
    Wolpert (1992), Stacked generalization, Neural Networks 5.
    Breiman (1996), Stacked regressions, Machine Learning 24 (why weights must not be negative).
    """

    reference_: Reference | None = None  # artifacts of earlier releases have none

    def __init__(
        self, members: Named, baselines: Named = (), tick_s: float = 60.0, horizons: Mapping[str, int] = HORIZONS
    ) -> None:
        self.members = members
        self.baselines = baselines
        self.tick_s = tick_s
        self.horizons = dict(horizons)

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, n_events: int) -> Self:
        """Learn weights, calibration and reliability from out-of-time rows in order of time.

        Parameters
        ----------
        x, y, at_risk : arrays
            Rows (n, n_features) with labels (n, 3).
        n_events : int
            Distinct incidents behind the positive rows; 0 leaves equal weights.
        """
        names = [name for name, _ in self.members]
        if not names or len(set(names)) != len(names):
            raise InvalidValue(f"members must have distinct names and be at least one, got {names}")
        logits = np.stack([to_logits(model.hazards(x)) for _, model in self.members], axis=-1)
        self.serves_ = dict.fromkeys(self.horizons, ENSEMBLE)
        self.categories_: CategoryMixture = PRIOR  # until `telling`: rows may have no categories to fit a mixture on
        self.weights_ = _fit_weights(logits, y, at_risk, n_events)
        kept = self.weights_ >= _DROPPED
        if not kept.all() and kept.any():
            self.weights_ = np.zeros(len(names))
            self.weights_[kept] = _fit_weights(logits[:, :, kept], y, at_risk, n_events)
        stacked = from_logits(logits @ self.weights_)
        # Rows of one incident are one observation: counted by rows, a block of few hours would seem enough.
        earned = at_risk if n_events >= _CALIBRATION_EVENTS else np.zeros_like(at_risk)
        self.calibration_ = SigmoidCalibration().fit(stacked, y, earned)
        out_of_time = {ENSEMBLE: self.calibration_.apply(stacked)}
        out_of_time |= {name: model.hazards(x) for name, model in self.baselines}
        self.out_of_time_ = OutOfTime(out_of_time, y, at_risk)
        self.reliability_ = self._tables(out_of_time[ENSEMBLE], y, at_risk)
        self.background_ = _background(x, y)
        self.reference_ = None  # until `watching`
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every member, 0 where it was dropped."""
        return {name: float(w) for (name, _), w in zip(self.members, self.weights_, strict=True)}

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) of what is served: of each interval, those of who serves there."""
        return composed({name: self.hazards_of(name, x) for name in set(self.serves_.values())}, self.serves_)

    def hazards_of(self, name: str, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) of the ensemble or of one of its baselines, by name."""
        if name != ENSEMBLE:
            return dict(self.baselines)[name].hazards(x)
        z = np.zeros((len(x), len(self.horizons)))
        for (_, model), weight in zip(self.members, self.weights_, strict=True):
            if weight > 0:
                z += weight * to_logits(model.hazards(x))
        return self.calibration_.apply(from_logits(z))

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide the distance of what is served in log odds (n, 3, n_groups): the members' shares by their weights."""
        return composed(
            {name: self._shares_of(name, x, background, groups) for name in set(self.serves_.values())}, self.serves_
        )

    def _shares_of(self, name: str, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        if name != ENSEMBLE:
            return dict(self.baselines)[name].shares(x, background, groups)
        shares = np.zeros((len(x), len(self.horizons), groups.max(initial=-1) + 1))
        for (_, model), weight in zip(self.members, self.weights_, strict=True):
            if weight > 0:
                shares += weight * model.shares(x, background, groups)
        return rescaled(shares * self.calibration_.slopes_[:, None], distance(partial(self.hazards_of, name), x, background))

    def bounds(self, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return a 90 % interval around probabilities.

        How far what happened lay from what was said out of time, with the uncertainty of the few incidents
        behind it, moved to the given probabilities in log odds.

        Parameters
        ----------
        p : FloatArray
            Shape (n, 3), never decreasing along the horizons, from `models.hazard.cumulate`.

        Returns
        -------
        lower, upper : FloatArray
            Shape (n, 3), never decreasing along the horizons, ``lower <= p <= upper``.
        """
        z = to_logits(p)
        lower, upper = np.empty_like(z), np.empty_like(z)
        for j, table in enumerate(self.reliability_):
            center = to_logits(table.predicted)
            down = np.minimum(to_logits(table.lower) - center, 0.0)
            up = np.maximum(to_logits(table.upper) - center, 0.0)
            lower[:, j] = z[:, j] + np.interp(z[:, j], center, down)
            upper[:, j] = z[:, j] + np.interp(z[:, j], center, up)
        low = np.maximum.accumulate(np.minimum(expit(lower), p), axis=1)
        high = np.maximum.accumulate(np.maximum(expit(upper), p), axis=1)
        return low, high

    def bounded_by(self, x: Float32Array, y: FloatArray, at_risk: BoolArray) -> Ensemble:
        """Return the same forecasters with bounds from later rows, in order of time, that none was fitted on."""
        return self._with(reliability_=self._tables(self.hazards(x), y, at_risk))

    def telling(self, categories: CategoryMixture) -> Ensemble:
        """Return the same forecasters with a fitted mixture for categories."""
        return self._with(categories_=categories)

    def watching(self, x: Float32Array) -> Ensemble:
        """Return the same forecasters with how the columns that they look at most were distributed in rows (n, n_features)."""
        worth = np.zeros(x.shape[1])
        for (_, model), weight in zip(self.members, self.weights_, strict=True):
            if isinstance(model, Weighing):
                worth += weight * model.importances()
        columns = np.sort(np.argsort(-worth, kind="stable")[: min(_WATCHED, int((worth > 0).sum()))])
        return self._with(reference_=Reference.of(x, columns) if len(columns) else None)

    def serving(self, serves: Mapping[str, str]) -> Ensemble:
        """Return the same forecasters serving as told, with bounds from what they said out of time.

        Parameters
        ----------
        serves : mapping of str to str
            For every horizon, `ENSEMBLE` or the baseline that serves the interval that ends there.

        Raises
        ------
        InvalidValue
            When a horizon is missing or a name is none of these, or on a copy or a loaded artifact, which lacks what was said out of time.
        """
        known = (ENSEMBLE, *(n for n, _ in self.baselines))
        if list(serves) != list(self.horizons) or not set(serves.values()) <= set(known):
            raise InvalidValue(f"serves must name one of {known} for each of {list(self.horizons)}, got {dict(serves)}")
        if not hasattr(self, "out_of_time_"):
            raise InvalidValue(
                "who serves must be chosen where the ensemble was fitted: copies and artifacts leave out_of_time_ out"
            )
        hazards, y, at_risk = self.out_of_time_
        return self._with(serves_=dict(serves), reliability_=self._tables(composed(hazards, serves), y, at_risk))

    def refitted(self, members: Named, baselines: Named) -> Ensemble:
        """Return the same weights over members and baselines that were fitted on more rows."""
        if [n for n, _ in members] != [n for n, _ in self.members]:
            raise InvalidValue(f"members must be {[n for n, _ in self.members]}, got {[n for n, _ in members]}")
        return self._with(members=members, baselines=baselines)

    def _with(self, **changed: object) -> Ensemble:
        """Return a twin with some parts of its own, and all that was not asked to change."""
        other = Ensemble(self.members, self.baselines, self.tick_s, self.horizons)
        vars(other).update(vars(self) | changed)
        return other

    def __getstate__(self) -> dict[str, object]:
        """Leave out what only `serving` needs, which is most of the bytes: copies and artifacts serve what they serve."""
        return {name: value for name, value in vars(self).items() if name != "out_of_time_"}

    def _tables(self, hazards: FloatArray, y: FloatArray, at_risk: BoolArray) -> tuple[Reliability, ...]:
        p = cumulate(hazards)
        hit, known = reached(y, at_risk)
        tables = []
        for j, horizon_s in enumerate(self.horizons.values()):
            rows = known[:, j]
            overlap = max(1.0, horizon_s / self.tick_s)
            if not rows.any():
                everything = np.array([0.5])
                tables.append(Reliability(everything, everything, np.array([EPSILON]), np.array([1 - EPSILON]), np.zeros(1)))
                continue
            tables.append(reliability(p[rows, j], hit[rows, j], n_bins=_BINS, overlap=overlap, by_mass=True))
        return tuple(tables)


def _fit_weights(logits: FloatArray, y: FloatArray, at_risk: BoolArray, n_events: int) -> FloatArray:
    """Fit weights (m,) that are not negative and sum to 1, by tempered, penalised likelihood.

    No intercept: the block's base rate is that of a few hours, and an intercept would carry it into the
    future. On three days of the demo shop it cost 0.013 nats a row in the last interval (measured).
    """
    n_members = logits.shape[2]
    equal = np.full(n_members, 1.0 / n_members)
    positives = float((y * at_risk).sum())
    if n_events < 1 or positives < 1:
        return equal
    temper = min(1.0, n_events / positives)
    row, interval = np.nonzero(at_risk)
    z, label = logits[row, interval], y[row, interval]

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        weights = softmax(theta)
        score = z @ weights
        pull = weights - equal
        value = temper * float(np.sum(np.logaddexp(0.0, score) - label * score)) + 0.5 * _PULL * float(pull @ pull)
        slope = temper * (z.T @ (expit(score) - label)) + _PULL * pull
        return value, weights * (slope - float(weights @ slope))

    found = minimize(loss, np.zeros(n_members), jac=True, method="L-BFGS-B", bounds=[(-10.0, 10.0)] * n_members)
    return np.asarray(softmax(found.x), dtype=np.float64)


def _background(x: Float32Array, y: FloatArray) -> Float32Array:
    """Return the median row after which nothing happened: what an explanation compares with."""
    quiet = x[~(y > 0).any(axis=1)]
    return np.median(quiet if len(quiet) else x, axis=0).astype(np.float32) if len(x) else np.zeros(x.shape[1], np.float32)
