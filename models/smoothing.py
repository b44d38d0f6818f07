"""Where values stand now beside what is usual for them, and how fast they move away from it: for all series at once.

`models.trend` gives every tick's distance from the usual, and forecasts from what comes back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray
from features.rings import Columns

__all__ = ["Smoothing", "Standing", "beyond_chance"]

_FAST_MIN, _SLOW_MIN = 5.0, 30.0
"""Time constants, chosen on the series for choosing of `benchmarks/trends.py`."""

_IMAGINED_MIN = 1.0  # guessed: minutes at the usual before the first value
_LEAST = 1e-3  # of a weight: where values have been missing for seven time constants, nothing is known but the usual


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where values stand.

    Parameters
    ----------
    fast, slow : FloatArray, shape (n,)
        Mean distance from the usual over the last few minutes, and over the last half hour or so.
    slope, error : FloatArray, shape (n,)
        Change of the distance a minute, and its standard error.
    """

    fast: FloatArray
    slow: FloatArray
    slope: FloatArray
    error: FloatArray


class Smoothing:
    """Exponentially weighted means of the distance from the usual, a fast and a slow one.

    Notes
    -----
    Of a straight line a mean lags behind by its age, so the difference of two over that of their ages is the slope: double
    exponential smoothing with two constants.

    Parameters
    ----------
    tick_s : int
        Seconds of a tick.

    Examples
    --------
    >>> smoothing = Smoothing(60)
    >>> smoothing.columns.grow(1)
    >>> for tick in range(600):
    ...     smoothing.add(np.array([0.5 * tick]), np.ones(1), np.ones(1))
    >>> standing = smoothing.standing(np.ones(1))
    >>> standing.slope.round(1).tolist(), round(float(standing.fast[0] - 0.5 * 599), 1)
    ([0.5], -2.3)

    References
    ----------
    Brown (1963), Smoothing, forecasting and prediction of discrete time series.
    """

    def __init__(self, tick_s: int) -> None:
        self._tick_min = tick_s / 60.0
        self._fade = np.exp(-self._tick_min / np.array([_FAST_MIN, _SLOW_MIN]))
        self._ages = self._tick_min * self._fade / (1.0 - self._fade)
        # Variance of the difference of two weighted means of the same independent values, in units of that of one value.
        own = (1.0 - self._fade) / (1.0 + self._fade)
        both = float(np.prod(1.0 - self._fade) / (1.0 - np.prod(self._fade)))
        self._of_difference = float(own.sum() - 2.0 * both)
        self.columns = Columns(off=("f4", (2,), 0), weight=("f4", (2,), _IMAGINED_MIN / self._tick_min))

    @property
    def age_min(self) -> float:
        """Mean age in minutes of what the fast mean is made of."""
        return float(self._ages[0])

    @property
    def gap_min(self) -> float:
        """How much older in minutes the slow mean is."""
        return float(self._ages[1] - self._ages[0])

    def add(self, off: FloatArray, known: FloatArray, ticks: FloatArray) -> None:
        """Take in a tick's values.

        Parameters
        ----------
        off : FloatArray, shape (n,)
            Distance from the usual.
        known : FloatArray, shape (n,)
            1, or 0 where there is no value.
        ticks : FloatArray, shape (n,)
            Since the tick before.
        """
        c = self.columns
        fade = self._fade ** ticks[:, None]
        c["off"][:] = c["off"] * fade + (known * off)[:, None]
        c["weight"][:] = c["weight"] * fade + known[:, None]

    def fast(self) -> tuple[FloatArray, FloatArray]:
        """Return the sum that the fast mean is made of, and its weight, shape (n,)."""
        c = self.columns
        return c["off"][:, 0].astype(float), np.maximum(c["weight"][:, 0].astype(float), _LEAST)

    def standing(self, variance: FloatArray) -> Standing:
        """Return where values stand.

        Parameters
        ----------
        variance : FloatArray, shape (n,)
            Of one value by chance.
        """
        c = self.columns
        weight = np.maximum(c["weight"].astype(float), _LEAST)
        mean = c["off"] / weight
        young = 1.0 / (weight[:, 1] * (1.0 - self._fade[1]))  # above 1 while little was seen
        error = np.sqrt(variance * self._of_difference * np.maximum(young, 1.0)) / self.gap_min
        return Standing(mean[:, 0], mean[:, 1], (mean[:, 0] - mean[:, 1]) / self.gap_min, error)


def beyond_chance(distance: FloatArray, variance: FloatArray) -> FloatArray:
    """Return how much of a distance is more than chance, in [0, 1].

    References
    ----------
    James and Stein (1961), Estimation with quadratic loss, Fourth Berkeley Symposium (the positive part).

    Examples
    --------
    >>> beyond_chance(np.array([0.0, 1.0, 3.0]), np.ones(3)).round(2).tolist()
    [0.0, 0.0, 0.89]
    """
    return np.maximum(1.0 - variance / np.maximum(distance**2, 1e-12), 0.0)
