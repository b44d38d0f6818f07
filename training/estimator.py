"""The service's ensemble as a classifier of scikit-learn: a feature matrix in, the probability of an onset within a horizon out.

A data scientist fits it on rows of `app.folder.Folder.dataset` or of his own, or takes a served version in (`OnsetClassifier.of`). It
fits by `training.fit.fit_blocks` and forecasts by `models.ensemble`, as the service does, so its numbers are the service's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.schema import Feature, FeatureSchema
from features.series import SeriesKey
from models.ensemble import Ensemble
from models.hazard import cumulate
from training.fit import MEMBERS, fit_blocks
from training.rows import Rows
from training.split import Block, Split, SplitPlan

__all__ = ["OnsetClassifier"]


class OnsetClassifier(ClassifierMixin, BaseEstimator):
    """Predict whether an incident begins within one horizon, from rows in order of time.

    Members are fitted on the earlier part of the rows, weighed and calibrated by what they say of the later part, and fitted again on
    all. Where times are given, the horizon and an embargo lie between the parts, and all positive rows before one onset count as one event;
    without them every row counts for itself.

    `sklearn.utils.estimator_checks.check_estimator` passes without an exception. `fit` takes no sample weights: parts are cut by time,
    so that a row twice is not a row of double weight. There are two classes, the greater one is the onset.

    Parameters
    ----------
    horizon_s : int
        Seconds after a row within which an onset makes it positive; the service has 300, 900 and 3600.
    middle_share : float
        Part of the time at the end that weighs members, in (0, 1).
    embargo_s : int, optional
        Seconds between the parts beside the horizon, where times are given; by default as `training.split.SplitPlan` has it: 6 h, of a
        short time 1/24.
    members : sequence of str
        Which of `training.fit.MEMBERS` to stack.
    schema : FeatureSchema, optional
        Names the columns: those that tell of a longer past than the rows hold are not used, as in the service. Without it all are.
    n_jobs : int
        Members fitted at a time; no number depends on it.
    random_state : int
        Same rows and seed, same numbers.

    Attributes
    ----------
    ensemble_ : models.ensemble.Ensemble
        What the service would serve.
    classes_ : ndarray, shape (2,)
        No onset, onset; of one class where `fit` saw only that.
    n_features_in_ : int
        Columns.

    Examples
    --------
    >>> x = np.arange(600, dtype=np.float32)[:, None] % 60
    >>> model = OnsetClassifier(members=("linear",)).fit(x, x[:, 0] > 50)
    >>> model.predict([[5.0], [58.0]]).tolist()
    [False, True]
    """

    def __init__(  # noqa: PLR0913 - scikit-learn sets and prints an estimator's arguments one by one
        self,
        horizon_s: int = 3600,
        *,
        middle_share: float = 0.2,
        embargo_s: int | None = None,
        members: Sequence[str] = MEMBERS,
        schema: FeatureSchema | None = None,
        n_jobs: int = 1,
        random_state: int = 0,
    ) -> None:
        self.horizon_s = horizon_s
        self.middle_share = middle_share
        self.embargo_s = embargo_s
        self.members = members
        self.schema = schema
        self.n_jobs = n_jobs
        self.random_state = random_state

    @classmethod
    def of(cls, ensemble: Ensemble, horizon: str = "60min", schema: FeatureSchema | None = None) -> Self:
        """Return a version that was trained elsewhere, fitted already: `predict_proba` gives what it forecasts for one horizon.

        Parameters
        ----------
        ensemble : Ensemble
            From `models.registry.Registry.load`, which checks its signature.
        horizon : str
            A name of ``ensemble.horizons``.
        schema : FeatureSchema, optional
            Of its columns; frames are then checked for their names.

        Raises
        ------
        InvalidValue
            When it has no such horizon.
        """
        if horizon not in ensemble.horizons:
            raise InvalidValue(f"horizon must be one of {list(ensemble.horizons)}, got {horizon!r}")
        found = cls(ensemble.horizons[horizon], schema=schema)
        found.ensemble_ = ensemble
        found.classes_ = np.array([0, 1])
        columns = {"n_features_in_": len(ensemble.background_)}
        names = {} if schema is None else {"feature_names_in_": np.array(schema.names, dtype=object)}
        vars(found).update(columns | names)
        found.column_ = list(ensemble.horizons).index(horizon)
        return found

    # X is what scikit-learn calls the matrix, by keyword too.
    def fit(self, X: Any, y: Any, *, time_s: Any = None, series: Any = None) -> Self:  # noqa: N803
        """Fit on rows whose outcome is known.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Finite; as float32, as in the service.
        y : array-like, shape (n,)
            Two classes, the greater one for an onset in ``(time, time + horizon_s]``. Leave rows out of which that is not known.
        time_s : array-like, shape (n,), optional
            Unix seconds of the rows, in any order. Without it rows are in order of time and count for themselves.
        series : array-like of int, shape (n,), optional
            Whose rows they are; without it of one series. Needs `time_s`.

        Raises
        ------
        ValueError
            When X or y is not what scikit-learn calls valid.
        InvalidValue
            When a parameter is out of its bounds, or the rows cover too short a time.
        """
        x, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        if self.horizon_s < 1 or not 0 < self.middle_share < 1 or (self.embargo_s or 0) < 0:
            raise InvalidValue(
                "horizon_s must be at least 1, middle_share in (0, 1) and embargo_s at least 0, "
                f"got {self.horizon_s}, {self.middle_share} and {self.embargo_s}"
            )
        if series is not None and time_s is None:
            raise InvalidValue(
                "series needs time_s: without times, rows of one series are not told from rows one after the other"
            )
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.column_ = 0
        apart = time_s is None
        times = np.arange(len(y), dtype=np.int64) * self.horizon_s if apart else _integers("time_s", time_s, len(y))
        whose = np.zeros(len(y), np.int64) if series is None else _integers("series", series, len(y))
        rows = self._rows(cast("Float32Array", x), codes == 1, times, whose)
        cut = self._cut(rows, 0 if apart else self.horizon_s)
        fitted = fit_blocks(rows, cut, seed=self.random_state, jobs=self.n_jobs, members=tuple(self.members))
        self.ensemble_ = fitted.ensemble
        return self

    def predict_proba(self, X: Any) -> FloatArray:  # noqa: N803
        """Return the probability of each class, shape (n, classes), for rows (n, n_features)."""
        check_is_fitted(self, "ensemble_")
        x = validate_data(self, X, dtype=np.float32, reset=False)
        if len(self.classes_) == 1:
            return np.ones((len(x), 1))
        p = cumulate(self.ensemble_.hazards(cast("Float32Array", x)))[:, self.column_]
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the likelier class of rows (n, n_features), shape (n,). An alert budget is a better guide than one half."""
        p = self.predict_proba(X)  # first: it says when nothing was fitted
        return self.classes_[p.argmax(axis=1)]

    def _rows(self, x: Float32Array, onset: BoolArray, times: IntArray, whose: IntArray) -> Rows:
        names, places = np.unique(whose, return_inverse=True)
        schema = self.schema or FeatureSchema(0, tuple(Feature(f"x{i}", f"x{i}") for i in range(x.shape[1])))
        return Rows(
            x=x,
            schema=schema,
            series=places.astype(np.int64),
            keys=tuple(SeriesKey("default", str(name), "*") for name in names.tolist()),
            as_of_s=times,
            next_start_s=_onsets(onset, times, places, self.horizon_s),
            end_s=int(times.max()) + self.horizon_s,
            eligible=np.ones(len(x), np.bool_),
            undetected=np.zeros(len(x), np.bool_),
            category=np.full(len(x), -1),
            horizons={f"{self.horizon_s}s": self.horizon_s},
        )

    def _cut(self, rows: Rows, purge_s: int) -> Split:
        """Return the parts: the same as `training.split.split` makes of what lies before a test block, which here the caller keeps."""
        begin, end = int(rows.as_of_s.min()), int(rows.as_of_s.max()) + 1
        span = end - begin
        usual = SplitPlan().embargo_of(span) if self.embargo_s is None else self.embargo_s
        embargo = usual if purge_s else 0
        middle_begin = begin + round(span * (1.0 - self.middle_share))
        train_end = middle_begin - purge_s - embargo
        if train_end <= begin:
            raise InvalidValue(f"rows must cover more time to be cut with a gap of {purge_s + embargo} s, got {span} s")
        train, middle, whole, none = (
            Block.between(rows, low, high) for low, high in ((begin, train_end), (middle_begin, end), (begin, end), (end, end))
        )
        return Split(train, middle, none, whole, embargo, ())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_class = False
        return tags


def _integers(name: str, values: Any, n: int) -> IntArray:
    found = np.asarray(values)
    if found.shape != (n,) or not np.issubdtype(found.dtype, np.number) or not np.isfinite(found.astype(float)).all():
        raise InvalidValue(f"{name} must be {n} finite numbers, got shape {found.shape} of {found.dtype}")
    return found.astype(np.int64)


def _onsets(onset: BoolArray, times: IntArray, places: IntArray, horizon_s: int) -> FloatArray:
    """Return when the onset behind each positive row was, inf for the others, as far as rows tell.

    The rows before one onset lie within one horizon. It comes after the last of them, and no later than a horizon after the first.

    Parameters
    ----------
    onset : BoolArray
        Shape (n,), the positive rows.
    times, places : IntArray
        Shape (n,), when and whose they are.
    horizon_s : int
        Seconds.
    """
    found = np.full(len(times), np.inf)
    order = np.lexsort((times, places))
    first, until = -1, -1
    for row in order[onset[order]].tolist():
        if first < 0 or places[row] != places[first] or times[row] >= until:
            first, until = row, int(times[row]) + horizon_s
        found[row] = until
    return found
