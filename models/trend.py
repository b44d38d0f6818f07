"""Where a level is going: a straight line through the last windows of every series.

`app.publish` draws it through the errors of every service.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from features.arrays import FloatArray
from features.errors import InvalidValue

__all__ = ["slope"]

_FEWEST = 3
"""Points below which a line has no interval."""


def slope(values: FloatArray, level: float = 0.9) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit a line through each row by least squares.

    Parameters
    ----------
    values : FloatArray
        Shape (n, w), evenly spaced, oldest first, w at least 3.
    level : float
        Coverage of the interval, in (0, 1). It assumes independent residuals; windows that hang together
        make it too narrow.

    Returns
    -------
    slope, lower, upper : FloatArray
        Shape (n,), change a window.

    Examples
    --------
    >>> s, lower, upper = slope(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 2.0]]))
    >>> s.round(3).tolist(), bool(lower[1] < 0 < upper[1])
    ([1.0, 0.2], True)
    """
    if values.ndim != 2 or values.shape[1] < _FEWEST or not 0.0 < level < 1.0:  # noqa: PLR2004 - a matrix
        raise InvalidValue(f"values must be (n, >= {_FEWEST}) and level in (0, 1), got {values.shape} and {level}")
    w = values.shape[1]
    time = np.arange(w) - (w - 1) / 2.0
    square = float(time @ time)
    rate = values @ time / square
    residual = values - values.mean(axis=1, keepdims=True) - rate[:, None] * time
    error = np.sqrt((residual**2).sum(axis=1) / (w - 2) / square)
    reach = float(student.ppf(0.5 + level / 2.0, w - 2)) * error
    return rate, rate - reach, rate + reach
