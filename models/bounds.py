"""Bounds that hold the share of outcomes they promise: quantiles of a series' own past forecast errors, followed one by one.

`models.trend` asks for the bounds of every horizon, and tells the errors once outcomes are known.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.rings import Columns

__all__ = ["BEYOND", "NORMAL", "Reach"]

BEYOND = 0.05
"""Share of outcomes beyond each bound: 90 % lie within, as of all intervals here."""

NORMAL = 1.6449
"""Standard deviations of a normal distribution to each such bound."""
_STEP, _LEAST, _YOUNG = 5.0, 0.05, 20.0
"""Steps begin at a quarter and fall as one over the number of errors, as is best for a normal tail of one in twenty (a density of 0.1), but not
below a twentieth, so that they follow errors that change. Chosen on the series for choosing."""


class Reach:
    """How far below and above a forecast the bounds lie, in units of a series' usual error, by horizon.

    Notes
    -----
    A bound moves outward by a step times 0.95 with every outcome beyond it, and inward by a step times 0.05 with every other. Whatever
    the errors are, over T outcomes the share beyond differs from 0.05 by at most the bound's range over T times the least step.

    Parameters
    ----------
    kinds : int
        Horizons, and whatever else is bounded.

    Examples
    --------
    >>> reach, rng = Reach(1), np.random.default_rng(0)
    >>> reach.columns.grow(1)
    >>> for _ in range(4000):
    ...     reach.learn(0, rng.exponential(size=1), np.array([True]))
    >>> bool(abs(reach.upper(0)[0] + np.log(0.05)) < 0.5), bool(abs(reach.lower(0)[0]) < 0.3)
    (True, True)

    References
    ----------
    Gibbs and Candes (2021), Adaptive conformal inference under distribution shift, NeurIPS 34; Robbins and Monro (1951).
    """

    def __init__(self, kinds: int) -> None:
        self.columns = Columns(lower=("f4", (kinds,), -NORMAL), upper=("f4", (kinds,), NORMAL), seen=("u2", (kinds,), 0))

    def lower(self, kind: int) -> FloatArray:
        """Return by how much the lower bound lies above the forecast, most often below 0, shape (n,)."""
        c = self.columns
        return np.minimum(c["lower"][:, kind], c["upper"][:, kind]).astype(float)

    def upper(self, kind: int) -> FloatArray:
        """Return by how much the upper bound lies above the forecast, shape (n,)."""
        c = self.columns
        return np.maximum(c["lower"][:, kind], c["upper"][:, kind]).astype(float)

    def learn(self, kind: int, error: FloatArray, rows: BoolArray) -> None:
        """Take in an outcome less its forecast, where it is known."""
        c = self.columns
        lower, upper, seen = c["lower"][rows, kind], c["upper"][rows, kind], c["seen"][rows, kind]
        told = error[rows]
        step = np.maximum(_STEP / (seen + _YOUNG), _LEAST)
        c["lower"][rows, kind] = lower + step * (BEYOND - (told < lower))
        c["upper"][rows, kind] = upper + step * ((told > upper) - BEYOND)
        c["seen"][rows, kind] = np.minimum(seen, 60_000) + 1
