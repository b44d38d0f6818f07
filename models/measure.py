"""On which scale a kind of value is forecast: counts by their roots, logarithms of durations as they are.

`models.trend` is the same for both; what differs is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray

__all__ = ["Measure", "counts", "durations"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A kind of value.

    Parameters
    ----------
    forward, backward : callable
        From a value to its scale, where errors are about as large whatever the value, and back.
    spread : float
        Usual error of a forecast on that scale before any was made.
    at_once : bool
        Whether each window's value stands for itself, so that changes are looked for in each; not where neighbours share data.
    """

    forward: Callable[[FloatArray], FloatArray]
    backward: Callable[[FloatArray], FloatArray]
    spread: float
    at_once: bool


def counts(windows: int) -> Measure:
    """Return the measure of mean counts a window over a few of them.

    Parameters
    ----------
    windows : int
        How many windows a forecast is of.

    Examples
    --------
    >>> of = counts(5)
    >>> of.backward(of.forward(np.array([0.0, 0.2, 8.0]))).round(6).tolist()
    [0.0, 0.2, 8.0]

    References
    ----------
    Anscombe (1948), The transformation of Poisson, binomial and negative-binomial data, Biometrika 35: on this scale the standard
    deviation of a Poisson count is about 1.
    """
    return Measure(
        lambda value: 2.0 * np.sqrt(np.maximum(windows * value, 0.0) + 0.375),
        lambda x: np.maximum(np.maximum(x, 0.0) ** 2 / 4.0 - 0.375, 0.0) / windows,
        1.0,
        True,
    )


def durations() -> Measure:
    """Return the measure of logarithms of durations, each over the windows of a step.

    Examples
    --------
    >>> of = durations()
    >>> of.backward(of.forward(np.array([-1.5]))).tolist()
    [-1.5]
    """
    return Measure(lambda value: value, lambda x: x, 0.3, False)  # guessed: a third up or down
