"""What every forecaster promises, whoever fits it.

`training.fit` makes forecasters, `models.ensemble` and `models.blend` combine what they return, and
`app.flow.forecast` and `app.publish` only ever see this contract.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["Forecaster", "Learner", "Weighing"]


@runtime_checkable
class Forecaster(Protocol):
    """Anything that turns feature rows into hazards, and says which groups of features they come from."""

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return P(an incident begins in interval j | none began before it).

        Parameters
        ----------
        x : Float32Array
            Shape (n, n_features), finite.

        Returns
        -------
        FloatArray
            Shape (n, 3), strictly inside (0, 1); the same input gives the same output and changes
            nothing.
        """
        ...

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide how far each row's log odds are from those of a background row among groups of features.

        Parameters
        ----------
        x : Float32Array
            Shape (n, n_features), finite.
        background : Float32Array
            Shape (n_features,), finite.
        groups : IntArray
            Shape (n_features,), the group of every column, from 0.

        Returns
        -------
        FloatArray
            Shape (n, 3, n_groups): Shapley values, exact where the docstring of an implementation does not say otherwise. Summed over
            groups they are the log odds of ``hazards(x)`` less those of the background.
        """
        ...


@runtime_checkable
class Learner(Forecaster, Protocol):
    """A forecaster that is fitted once on person-period rows."""

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, sample_weight: FloatArray | None = None) -> Learner:
        """Learn from rows, labels (n, 3) and who was at risk (n, 3); return itself."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """A learner that can say how much it looks at each column."""

    def importances(self) -> FloatArray:
        """Return the importance of each column, shape (n_features,), at least 0, summing to 1; zeros where it looks at none."""
        ...
