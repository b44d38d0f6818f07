"""The online learner and the anomaly detector as models of river: rows that are dictionaries, one after the other.

A data scientist puts them into pipelines and evaluations of river. They hold the objects that the service learns with
(`models.online`, `models.anomaly`) and add nothing to them, so the numbers are the service's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import numpy as np
import pandas as pd
from river import base

from features.arrays import BoolArray, Float32Array, FloatArray
from features.errors import InvalidValue
from models.anomaly import Detector
from models.hazard import cumulate, labels
from models.online import OnlineHazard
from models.prediction import HORIZONS

__all__ = ["OnlineOnset", "SeriesAnomaly"]


class OnlineOnset(base.Classifier):
    """Learn and predict whether an incident begins within one horizon, row by row or tick by tick.

    All checks of river pass. It is no `MiniBatchClassifier`, although it has `learn_many`: a batch is one step along the mean gradient, as in
    the service at each tick, and river asks that a batch teaches the same as its rows one by one.

    Parameters
    ----------
    features : sequence of str, optional
        Columns, in order; by default those of the first row that is learned from, by name. Others are ignored, and one that a row lacks is 0.
    horizon : str
        A name of `models.prediction.HORIZONS`.
    learning_rate, l2 : float
        As in `models.online.OnlineHazard`.

    Examples
    --------
    >>> model = OnlineOnset(horizon="5min")
    >>> for _ in range(200):
    ...     model.learn_one({"warnings": 0.0}, False)
    ...     model.learn_one({"warnings": 5.0}, True)
    >>> model.predict_one({"warnings": 0.0}), model.predict_one({"warnings": 5.0})
    (False, True)
    """

    def __init__(
        self, features: Sequence[str] | None = None, horizon: str = "60min", learning_rate: float = 0.05, l2: float = 1e-5
    ) -> None:
        self.features = features
        self.horizon = horizon
        self.learning_rate = learning_rate
        self.l2 = l2
        if horizon not in HORIZONS:
            raise InvalidValue(f"horizon must be one of {list(HORIZONS)}, got {horizon!r}")
        self._names: tuple[str, ...] = tuple(features or ())
        self._online = self._new() if features else None

    @classmethod
    def of(cls, online: OnlineHazard, features: Sequence[str], horizon: str = "60min") -> Self:
        """Return a learner that has learned already, such as the service's out of a snapshot.

        Parameters
        ----------
        online : OnlineHazard
            Learns on here.
        features : sequence of str
            Names of its columns, such as ``features.extract.SCHEMA.names``.
        horizon : str
            A name of `models.prediction.HORIZONS`.

        Raises
        ------
        InvalidValue
            When there are more or fewer names than columns.
        """
        if len(features) != online.schema_size:
            raise InvalidValue(f"features must name {online.schema_size} columns, got {len(features)}")
        found = cls(features, horizon, online.learning_rate, online.l2)
        found._online = online
        return found

    def learn_one(self, x: Mapping[Any, Any], y: Any, wait_s: float | None = None) -> None:
        """Learn from a row whose horizon has closed.

        Parameters
        ----------
        x : mapping
            Finite numbers by column.
        y : bool
            Whether an incident began within the horizon.
        wait_s : float, optional
            Seconds until it began, where it did: then all shorter horizons learn what is true of them, as in the service. Without it the
            onset counts for the last interval, and only this horizon is to be read.
        """
        online = self._begun(x)
        self._learn(online, self._row(x), np.array([bool(y)]), None if wait_s is None else np.array([wait_s], float))

    def learn_many(self, x: pd.DataFrame, y: pd.Series, wait_s: pd.Series | None = None) -> None:
        """Learn from the rows of a tick in one step, as the service does.

        Parameters
        ----------
        x : DataFrame
            Finite numbers, a column each.
        y, wait_s : Series
            As in `learn_one`; what `wait_s` says of rows without an onset is not looked at.
        """
        online = self._begun(x.columns)
        self._learn(online, self._matrix(x), y.to_numpy(bool), None if wait_s is None else wait_s.to_numpy(float))

    def predict_proba_one(self, x: Mapping[Any, Any], **kwargs: Any) -> dict[Any, float]:
        """Return the probability that no incident begins, and that one does."""
        p = float(self._chances(self._row(x))[0])
        return {False: 1.0 - p, True: p}

    def predict_proba_many(self, x: pd.DataFrame) -> pd.DataFrame:
        """Return the same for all rows of a frame, with columns False and True."""
        p = self._chances(self._matrix(x))
        return pd.DataFrame({False: 1.0 - p, True: p}, index=x.index)

    def _new(self) -> OnlineHazard:
        return OnlineHazard(len(self._names), self.learning_rate, self.l2)

    def _begun(self, names: Iterable[Any]) -> OnlineHazard:
        """Return the learner, which takes its columns from the first row where nobody named them."""
        if self._online is None:
            self._names = tuple(sorted(map(str, names)))
            self._online = self._new()
        return self._online

    def _learn(self, online: OnlineHazard, x: Float32Array, onset: BoolArray, wait_s: FloatArray | None) -> None:
        horizon_s = float(HORIZONS[self.horizon])
        wait = np.full(len(onset), horizon_s) if wait_s is None else wait_s
        if not ((wait[onset] > 0) & (wait[onset] <= horizon_s)).all():
            raise InvalidValue(f"wait_s of an onset must be in (0, {horizon_s:g}], got {wait[onset].tolist()[:5]}")
        began, at_risk = labels(np.where(onset, wait, np.inf), np.full(len(onset), horizon_s))
        online.learn(x, began, at_risk)

    def _chances(self, x: Float32Array) -> FloatArray:
        online = self._online or OnlineHazard(1)
        return cumulate(online.hazards(x))[:, list(HORIZONS).index(self.horizon)]

    def _row(self, x: Mapping[Any, Any]) -> Float32Array:
        """Return one row as `_matrix` does, without making a frame of it."""
        named = {str(name): value for name, value in x.items()}
        return np.array([[named.get(name, 0.0) for name in self._names] or [0.0]], object).astype(np.float32)

    def _matrix(self, x: pd.DataFrame) -> Float32Array:
        """Return the columns by name, one of zeros before any is known."""
        if not self._names:
            return np.zeros((len(x), 1), np.float32)
        columns = {str(name): name for name in x.columns}
        values = [x[columns[name]].to_numpy(np.float32) if name in columns else np.zeros(len(x)) for name in self._names]
        return np.stack(values, axis=1).astype(np.float32)


class SeriesAnomaly(base.AnomalyDetector):
    """Score how outstanding the next value of one series is, then learn it.

    `models.anomaly.Detector` does both at once; river asks for them apart, so `score_one` works on a copy. All checks of river pass.

    Parameters
    ----------
    value : str
        Name of the one feature that is looked at. A row without it scores 0 and teaches nothing.
    time : str, optional
        Name of the feature that holds its time, aware or in seconds since the epoch. Without it a row comes every `tick_s`.
    tick_s : float
        Seconds.

    Examples
    --------
    >>> model = SeriesAnomaly()
    >>> for i in range(400):
    ...     model.learn_one({"value": float(i % 5)})
    >>> model.score_one({"value": 100.0}) > 0.99 > model.score_one({"value": 0.0})
    True
    """

    def __init__(self, value: str = "value", time: str | None = None, tick_s: float = 60.0) -> None:
        self.value = value
        self.time = time
        self.tick_s = tick_s
        self._detector = Detector()
        self._ticks = 0

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Return what `models.anomaly.Detector.score_one` would say, in [0, 1), and learn nothing."""
        return copy.deepcopy(self._detector).score_one(self._at(x), float(x[self.value])) if self._given(x) else 0.0

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Take the value in."""
        if self._given(x):
            self._detector.score_one(self._at(x), float(x[self.value]))
        self._ticks += 1

    def _given(self, x: Mapping[Any, Any]) -> bool:
        return self.value in x and (self.time is None or self.time in x)

    def _at(self, x: Mapping[Any, Any]) -> datetime | float:
        return self._ticks * self.tick_s if self.time is None else x[self.time]
