"""Keeping a fitted forecaster calibrated after it was deployed: a logistic map an interval that follows what came true.

`app.members` puts it behind what the live members say together, `training.walkforward` behind the ensemble of every fold: outcomes are
learned once their horizons have closed, after what was said of them.
"""

from __future__ import annotations

import json
from typing import Self

import numpy as np
from scipy.special import expit

from features.arrays import BoolArray, FloatArray
from features.errors import SnapshotMismatch
from models.hazard import from_logits, to_logits

__all__ = ["TOGETHER", "OnlineSigmoid"]

TOGETHER = 3.0
"""Series whose outcomes come together count as one so often. Guessed: an incident is seen by two or three services."""

_NEWTON_STEPS = 8
_LARGEST_STEP = 1.0


class OnlineSigmoid:
    """Slope and intercept of each interval's log odds, as a normal distribution that every batch of outcomes moves.

    It begins at slope 1 and intercept 0, so that few outcomes change little. Between two batches the distribution widens, so that old
    outcomes fade.

    Parameters
    ----------
    overlaps : tuple of float
        One an interval, at least 1: rows that share an outcome count as one together.
    slope_sd, intercept_sd : float
        Of the beginning. Guessed: a slope beyond 0.6 to 1.4, or odds wrong by more than a factor of 2.7, would surprise.
    keep : float
        Part of what is known that is kept from one batch to the next.

    References
    ----------
    Spiegelhalter, Lauritzen (1990), Sequential updating of conditional probabilities on directed graphical structures, Networks 20
    (Laplace approximation of logistic regression, one batch after the other).
    Platt (1999), Probabilistic outputs for support vector machines (the map).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> said = np.full((4000, 1), 0.2)
    >>> came = (rng.random(said.shape) < 0.1).astype(float)
    >>> online = OnlineSigmoid((1.0,)).learn(said, came, came == came)
    >>> round(float(online.apply(said[:1])[0, 0]), 1)
    0.1
    """

    def __init__(
        self, overlaps: tuple[float, ...], slope_sd: float = 0.2, intercept_sd: float = 0.5, keep: float = 0.98
    ) -> None:
        self.overlaps = overlaps
        self.slope_sd = slope_sd
        self.intercept_sd = intercept_sd
        self.keep = keep
        self.means_: FloatArray = np.tile(np.array([1.0, 0.0]), (len(overlaps), 1))
        precision = np.diag([slope_sd**-2, intercept_sd**-2])
        self._prior: FloatArray = precision
        self.precisions_: FloatArray = np.tile(precision, (len(overlaps), 1, 1))

    @property
    def slopes(self) -> FloatArray:
        """What each interval's log odds are multiplied by, at least 0."""
        return np.maximum(self.means_[:, 0], 0.0)

    def apply(self, hazards: FloatArray) -> FloatArray:
        """Return corrected hazards, shape (n, intervals)."""
        return from_logits(to_logits(hazards) * self.slopes + self.means_[:, 1])

    def learn(self, hazards: FloatArray, y: FloatArray, at_risk: BoolArray) -> Self:
        """Learn from outcomes.

        Parameters
        ----------
        hazards : FloatArray
            Shape (n, intervals), as the forecaster said them, uncorrected.
        y, at_risk : FloatArray, BoolArray
            Shape (n, intervals), what came; only what is at risk is looked at.
        """
        for j, overlap in enumerate(self.overlaps):
            rows = at_risk[:, j]
            if not rows.any():
                continue
            z = to_logits(hazards[rows, j])
            # What is forgotten falls back on the beginning, not on nothing.
            prior = self.keep * self.precisions_[j] + (1.0 - self.keep) * self._prior
            start = np.linalg.solve(
                prior, self.keep * self.precisions_[j] @ self.means_[j] + (1.0 - self.keep) * self._prior[:, 0]
            )
            self.means_[j], self.precisions_[j] = _laplace(z, y[rows, j], 1.0 / overlap, start, prior)
        return self

    def snapshot(self) -> bytes:
        """Return what was learned as JSON; `restore` gives exactly the same numbers back."""
        state = {"version": 1, "means": self.means_.ravel().tolist(), "precisions": self.precisions_.ravel().tolist()}
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take what a snapshot had learned.

        Raises
        ------
        SnapshotMismatch
            When it is of another version or number of intervals.
        """
        state = json.loads(data)
        if state.get("version") != 1 or len(state["means"]) != self.means_.size:
            raise SnapshotMismatch(
                f"recalibration snapshot is of version {state.get('version')} with {len(state.get('means', ()))} numbers, "
                f"expected version 1 with {self.means_.size}"
            )
        self.means_ = np.array(state["means"]).reshape(self.means_.shape)
        self.precisions_ = np.array(state["precisions"]).reshape(self.precisions_.shape)


def _laplace(
    z: FloatArray, hit: FloatArray, weight: float, start: FloatArray, prior: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mode and precision of slope and intercept after some outcomes."""
    mean, precision = start.copy(), prior
    for _ in range(_NEWTON_STEPS):
        p = expit(mean[0] * z + mean[1])
        gap, spread = weight * (hit - p), weight * p * (1.0 - p)
        slope = np.array([gap @ z, gap.sum()]) - prior @ (mean - start)
        cross = spread @ z
        precision = prior + np.array([[spread @ (z * z), cross], [cross, spread.sum()]])
        mean += np.clip(np.linalg.solve(precision, slope), -_LARGEST_STEP, _LARGEST_STEP)
    return mean, precision
