"""How far a value is from what the last ones foretell: a linear forecast whose weights follow every tick.

`models.experts` asks it, for all series at once.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.rings import Columns

__all__ = ["ORDER", "Autoregression"]

ORDER = 4
"""Last values that foretell the next. Six bring nothing more on the files for choosing."""

_FORGET = 0.9995
_UNSURE, _MOST_UNSURE = 10.0, 1e3  # guessed: the trace is bounded, or what is constant would blow it up
_STEP = 6.0  # guessed: of an error, at most so many usual ones teach


class Autoregression:
    """Recursive least squares over standardised values.

    References
    ----------
    Ljung, Soderstrom (1983), Theory and practice of recursive identification, chapter 2.

    Examples
    --------
    >>> forecast = Autoregression()
    >>> forecast.columns.grow(1)
    >>> for tick in range(200):
    ...     last = np.array([[(-1.0) ** (tick - k) for k in range(1, ORDER + 1)]])
    ...     error = forecast.error(np.array([(-1.0) ** tick]), last)
    ...     forecast.learn(error, last, np.array([1.0]), np.array([True]))
    >>> abs(float(error[0])) < 0.01
    True
    """

    def __init__(self) -> None:
        size = ORDER + 1
        self.columns = Columns(weights=("f4", (size,), 0), unsure=("f4", (size, size), np.nan))

    def error(self, value: FloatArray, last: FloatArray) -> FloatArray:
        """Return how far values are from what is foretold.

        Parameters
        ----------
        value : FloatArray, shape (n,)
            Standardised values.
        last : FloatArray, shape (n, ORDER)
            Those before, newest first.
        """
        weights = self.columns["weights"].astype(np.float64)
        told = weights[:, ORDER].copy()
        for lag in range(ORDER):
            told += weights[:, lag] * last[:, lag]
        return value - told

    def learn(self, error: FloatArray, last: FloatArray, usual_error: FloatArray, rows: BoolArray) -> None:
        """Follow the errors of some rows.

        Parameters
        ----------
        error, last : FloatArray, shapes (n,) and (n, ORDER)
            As in `error`.
        usual_error : FloatArray, shape (n,)
            Mean absolute error so far.
        rows : BoolArray, shape (n,)
            Which to learn.
        """
        weights, kept = self.columns["weights"], self.columns["unsure"]
        unsure = kept[rows].astype(np.float64)
        unsure = np.where(np.isnan(unsure), np.eye(ORDER + 1) * _UNSURE, unsure)
        inputs = np.concatenate([last[rows], np.ones((len(unsure), 1))], axis=1)
        spread = unsure[..., 0] * inputs[:, :1]
        for place in range(1, ORDER + 1):
            spread += unsure[..., place] * inputs[:, place : place + 1]
        scale = np.ones(len(unsure))
        for place in range(ORDER + 1):
            scale += inputs[:, place] * spread[:, place]
        gain = spread / scale[:, None]
        bound = _STEP * usual_error[rows]
        weights[rows] += gain * np.clip(error[rows], -bound, bound)[:, None]
        unsure = (unsure - gain[:, :, None] * spread[:, None, :]) / _FORGET
        trace = np.trace(unsure, axis1=1, axis2=2)
        kept[rows] = unsure * np.minimum(_MOST_UNSURE / np.maximum(trace, 1e-30), 1.0)[:, None, None]
