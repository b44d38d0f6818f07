"""A learner that takes in what happened as soon as a horizon has closed.

`app.flow.settle` gives matured feature rows and labels; `app.flow.forecast` asks for hazards. The model is
river's StandardScaler and LogisticRegression, one regression an interval; forecasts read the extracted
weight vectors with NumPy, because a frame a tick would cost more than the forecast.
"""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import pandas as pd
from river import linear_model, optim, preprocessing
from river.utils import VectorDict

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue, SnapshotMismatch
from models.hazard import N_INTERVALS, from_logits
from models.shares import distance, grouped, rescaled

__all__ = ["OnlineHazard"]

_CLIP_SD = 8.0
"""Standard deviations that a scaled value may reach. Guessed: far outside what a fit can have learned from."""

_VALUE_BOUND = 1e9
"""Raw values beyond are cut before the scaler learns, so that a square stays exact in float64."""

_WARM_ROWS = 100
"""Rows before the scaler's own spread bounds what it learns from. Guessed."""

_TINY_SD = 1e-9
"""A feature with less spread is constant: it says nothing, and dividing by it would."""

_MATRIX = 2
"""Dimensions of a feature matrix."""

_START_LOGITS = (-6.5, -5.9, -4.8)
"""Where intercepts start: about 0.15 %, 0.27 % and 0.8 %, the base rates of the hazard experiment whose
positives were 0.15 %, 0.49 % and 1.97 % of rows (quoted), rounded down for the quiet. They are learned."""


class OnlineHazard:
    """Learn hazards from matured labels, one mini-batch a tick.

    Parameters
    ----------
    schema_size : int
        Number of feature columns.
    learning_rate : float
        Step of the gradient descent on the mean gradient of a batch. 0.05 is guessed; 0 learns nothing,
        above 1 it swings.
    l2 : float
        Pull of the weights towards zero at every step. Guessed.

    References
    ----------
    Montiel et al. (2021), River: machine learning for streaming data in Python, JMLR 22.

    Examples
    --------
    >>> online = OnlineHazard(2)
    >>> x = np.array([[0.0, 1.0], [5.0, 1.0]], np.float32)
    >>> for _ in range(200):
    ...     online.learn(x, np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[True] * 3, [True, False, False]]))
    >>> bool(online.hazards(x)[1, 0] > online.hazards(x)[0, 0])
    True
    """

    def __init__(self, schema_size: int, learning_rate: float = 0.05, l2: float = 1e-5) -> None:
        if schema_size < 1:
            raise InvalidValue(f"schema_size must be at least 1, got {schema_size}")
        self.schema_size = schema_size
        self.learning_rate = learning_rate
        self.l2 = l2
        self.n_rows = 0
        self._columns = [f"f{i}" for i in range(schema_size)]
        self._scaler = preprocessing.StandardScaler()
        self._models = [
            linear_model.LogisticRegression(
                optimizer=optim.SGD(learning_rate), l2=l2, intercept_init=start, intercept_lr=learning_rate
            )
            for start in _START_LOGITS
        ]
        self._mean: FloatArray = np.zeros(schema_size)
        self._sd: FloatArray = np.zeros(schema_size)
        self._extract()

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) of feature rows (n, schema_size); nothing changes."""
        return from_logits(self._scale(self._checked(x)) @ self._coef.T + self._intercept)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide the distance in log odds (n, 3, n_groups): each column gives its weight times its scaled distance."""
        z = self._scale(self._checked(np.concatenate([background[None], x])))
        return rescaled(grouped((z[1:] - z[0])[:, None] * self._coef, groups), distance(self.hazards, x, background))

    def learn(self, x: Float32Array, y: FloatArray, at_risk: BoolArray) -> None:
        """Learn from rows whose labels have matured.

        Give each row once, when its longest open interval has closed: the scaler counts every row that it
        is given. Predict first, then learn.

        Parameters
        ----------
        x : Float32Array
            Shape (n, schema_size), as it was at forecast time.
        y, at_risk : FloatArray, BoolArray
            Shape (n, 3); each interval learns from its own rows at risk.
        """
        values = self._checked(x)
        used = at_risk.any(axis=1)
        if y.shape != (len(values), N_INTERVALS) or at_risk.shape != y.shape:
            raise InvalidValue(f"y and at_risk must be ({len(values)}, {N_INTERVALS}), got {y.shape} and {at_risk.shape}")
        if not used.any():
            return
        self._learn_scale(values[used])
        scaled = self._scale(values)
        for j, model in enumerate(self._models):
            rows = at_risk[:, j]
            if rows.any():
                frame = pd.DataFrame(scaled[rows], columns=self._columns)
                model.learn_many(frame, pd.Series(y[rows, j]))
        self.n_rows += int(used.sum())
        self._extract()

    def snapshot(self) -> bytes:
        """Return weights and scaler statistics as JSON; `restore` gives exactly the same model back."""
        state = {
            "version": 1,
            "schema_size": self.schema_size,
            "n_rows": self.n_rows,
            "mean": _hex(self._mean),
            "variance": _hex(self._variances()),
            "count": [int(self._scaler.counts[c]) for c in self._columns],
            "intercept": _hex(self._intercept),
            "coef": [_hex(row) for row in self._coef],
            "steps": [int(model.optimizer.n_iterations) for model in self._models],
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take the model of a snapshot.

        Raises
        ------
        SnapshotMismatch
            When it is of another version or number of features.
        """
        state = json.loads(data)
        if state.get("version") != 1 or state.get("schema_size") != self.schema_size:
            raise SnapshotMismatch(
                f"online snapshot is of version {state.get('version')} with {state.get('schema_size')} features, "
                f"expected version 1 with {self.schema_size}; start a new one"
            )
        self.n_rows = int(state["n_rows"])
        for i, c in enumerate(self._columns):
            self._scaler.counts[c] = int(state["count"][i])
            self._scaler.means[c] = float.fromhex(state["mean"][i])
            self._scaler.vars[c] = float.fromhex(state["variance"][i])
        for j, model in enumerate(self._models):
            model.intercept = float.fromhex(state["intercept"][j])
            weights = {c: float.fromhex(value) for c, value in zip(self._columns, state["coef"][j], strict=True)}
            _set_weights(model, weights)
            model.optimizer.n_iterations = int(state["steps"][j])
        self._extract()

    def _checked(self, x: Float32Array) -> FloatArray:
        if x.ndim != _MATRIX or x.shape[1] != self.schema_size:
            raise InvalidValue(f"x must be (n, {self.schema_size}), got {x.shape}")
        values = np.asarray(x, dtype=np.float64)
        if not np.isfinite(values).all():
            raise InvalidValue(f"x must be finite, got {int((~np.isfinite(values)).sum())} values that are not")
        return np.clip(values, -_VALUE_BOUND, _VALUE_BOUND)

    def _learn_scale(self, values: FloatArray) -> None:
        if self.n_rows >= _WARM_ROWS:
            # One wild value must not stretch the scale of a feature for good; a constant may start to move.
            reach = _CLIP_SD * np.where(self._sd > 0, self._sd, np.abs(self._mean) + 1.0)
            values = np.clip(values, self._mean - reach, self._mean + reach)
        self._scaler.learn_many(pd.DataFrame(values, columns=self._columns))
        self._mean = np.array([self._scaler.means[c] for c in self._columns])
        self._sd = np.sqrt(np.maximum(self._variances(), 0.0))

    def _variances(self) -> FloatArray:
        return np.array([self._scaler.vars[c] for c in self._columns])

    def _scale(self, values: FloatArray) -> FloatArray:
        spread = np.where(self._sd > _TINY_SD, self._sd, np.inf)
        return np.clip((values - self._mean) / spread, -_CLIP_SD, _CLIP_SD)

    def _extract(self) -> None:
        """Copy river's dictionaries into the vectors that `hazards` reads."""
        self._mean = np.array([self._scaler.means[c] for c in self._columns], dtype=np.float64)
        self._sd = np.sqrt(np.maximum(self._variances(), 0.0))
        self._coef: FloatArray = np.array([[m.weights.get(c, 0.0) for c in self._columns] for m in self._models])
        self._intercept: FloatArray = np.array([m.intercept for m in self._models], dtype=np.float64)


def _hex(values: FloatArray) -> list[str]:
    """Write floats so that reading gives the same bits."""
    return [float(value).hex() for value in values]


def _set_weights(model: linear_model.LogisticRegression, weights: dict[str, float]) -> None:
    """Put weights into river's regression, which offers no public way to do so."""
    cast("Any", model)._weights = VectorDict(weights)
