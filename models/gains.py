"""How much of a distance from the usual will be left after a while: learned for every series from its own past, by horizon.

`models.trend` asks for gains, forecasts with them, and tells what came of it.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.rings import Columns

__all__ = ["Gains"]

_MEMORY = 500.0  # guessed: outcomes that are remembered, about five days at four an hour
_BELIEVED = 20.0  # chosen: squared usual errors of signal for which the belief counts
_CLIP = 4.0  # guessed: usual errors by which one outcome moves gains, at most


class Gains:
    """Regression of what followed on the distance from the usual and its movement, both as of the forecast.

    Parameters
    ----------
    believed : FloatArray, shape (kinds, 2)
        Gains of every horizon before anything is seen.

    Notes
    -----
    Ridge regression towards the belief, with forgetting. Gains of 0 are the seasonal forecast, a gain of 1 on the distance is the present
    level, one on the movement the trend. The summed squares exceed those of the best fixed gains, and so those of each of the three, by
    a term that grows with the logarithm of the number of outcomes only.

    References
    ----------
    Vovk (2001), Competitive on-line statistics, International Statistical Review 69.

    Examples
    --------
    >>> gains = Gains(np.array([[0.0, 0.0]]))
    >>> gains.columns.grow(1)
    >>> for tick in range(400):
    ...     signal = np.array([[np.sin(tick), np.cos(tick)]])
    ...     gains.learn(0, signal, 0.5 * signal[:, 0] - 0.2 * signal[:, 1], np.array([True]))
    >>> gains.of(0).round(1).tolist()
    [[0.4, -0.2]]
    """

    def __init__(self, believed: FloatArray) -> None:
        self.believed = believed
        self.columns = Columns(square=("f4", (len(believed), 3), 0), moment=("f4", (len(believed), 2), 0))

    def of(self, kind: int) -> FloatArray:
        """Return the gains of a horizon, shape (n, 2)."""
        c = self.columns
        square, moment = c["square"][:, kind].astype(float), c["moment"][:, kind] + _BELIEVED * self.believed[kind]
        first, second, both = square[:, 0] + _BELIEVED, square[:, 2] + _BELIEVED, square[:, 1]
        solved = [second * moment[:, 0] - both * moment[:, 1], first * moment[:, 1] - both * moment[:, 0]]
        return np.stack(solved, axis=1) / (first * second - both**2)[:, None]

    def expected(self, kind: int, signal: FloatArray, rows: IntArray) -> FloatArray:
        """Return what is expected to follow, in usual errors, shape (m,).

        A distance whose square outweighs all those that were learned from, by its leverage, is unlike any of them: as far as it does, no
        less of it is expected to last than was believed at first.

        Parameters
        ----------
        kind : int
            The horizon.
        signal : FloatArray, shape (m, 2)
            Distance and movement, in usual errors.
        rows : IntArray, shape (m,)
            Whose.
        """
        leverage = signal[:, 0] ** 2 / (self.columns["square"][rows, kind, 0] + _BELIEVED)
        new = (leverage / (1.0 + leverage))[:, None]
        gains = self.of(kind)[rows]
        lasting = np.maximum(gains, self.believed[kind])  # no less of it than is believed
        return ((gains + new * (lasting - gains)) * signal).sum(1)

    def learn(self, kind: int, signal: FloatArray, outcome: FloatArray, rows: BoolArray) -> None:
        """Take in what followed.

        Parameters
        ----------
        kind : int
            The horizon.
        signal : FloatArray, shape (n, 2)
            Distance and movement as of the forecast, in usual errors.
        outcome : FloatArray, shape (n,)
            Distance at the horizon, in usual errors.
        rows : BoolArray, shape (n,)
            Where it is known.
        """
        forecast = (self.of(kind) * signal).sum(1)
        told = (forecast + np.clip(outcome - forecast, -_CLIP, _CLIP))[rows, None]
        c, x, fade = self.columns, signal[rows], 1.0 - 1.0 / _MEMORY
        square = np.stack([x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1] ** 2], axis=1)
        c["square"][rows, kind] = c["square"][rows, kind] * fade + square
        c["moment"][rows, kind] = c["moment"][rows, kind] * fade + x * told
