"""How often statistics were as large as they are now: tail probabilities from what was seen, with imagined observations while it is little.

`models.anomaly` turns every expert's statistic into a tail with it, and once more what they say together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.rings import Columns

__all__ = ["Frequencies", "Scale"]

_LEAST_EXCESS = 0.1  # guessed: of a tail's mean excess, so that none ends at once


@dataclass(frozen=True, slots=True)
class Scale:
    """Where statistics are counted, and what is believed of them before.

    Parameters
    ----------
    low, high : float
        Limits of the bins; what lies beyond is counted in the first or the last.
    bins : int
        How many, of equal width.
    believed : callable
        The tail of statistics before any is seen, shape (..., kinds); 1 at `low`.
    weight : float
        Observations that the belief counts for.
    memory : int
        Observations after which all counts are halved, at most 65,534.
    beyond : float
        Tail below which the statistics are taken to fall off exponentially, by their mean excess so far; 0 for never.
    """

    low: float
    high: float
    bins: int
    believed: Callable[[FloatArray], FloatArray]
    weight: float
    memory: int
    beyond: float = 0.0


class Frequencies:
    """Counts of statistics at least as large as the lower edge of each bin, for all series.

    Parameters
    ----------
    kinds : int
        Statistics of a series.
    scale : Scale
        Of all of them.

    Notes
    -----
    The tail is ``(w b(s) + N(s)) / (w + N)``: N observations, N(s) as large as s, belief b of weight w; within a bin N(s) falls
    linearly. Among stationary statistics a tail of 0.001 comes once in a thousand, whatever their distribution, as N grows. What was
    never seen would be the less likely the longer a series lives; with `Scale.beyond` it is extrapolated instead.

    References
    ----------
    Hill (1975), A simple general approach to inference about the tail of a distribution, Annals of Statistics 3 (the mean excess of
    logarithms).

    Examples
    --------
    >>> seen = Frequencies(1, Scale(0.0, 4.0, 4, lambda s: np.exp(-s), 1.0, 1000))
    >>> seen.columns.grow(1)
    >>> for s in (0.5, 0.5, 1.5):
    ...     seen.learn(np.array([[s]]), np.array([True]))
    >>> seen.tail(np.array([[1.0]])).round(3).tolist()  # one of three, and exp(-1) of one imagined
    [[0.342]]
    """

    def __init__(self, kinds: int, scale: Scale) -> None:
        self.scale = scale
        self.columns = Columns(reached=("u2", (kinds, scale.bins + 1), 0))
        edges = np.linspace(scale.low, scale.high, scale.bins + 1)
        self._imagined = scale.weight * scale.believed(np.repeat(edges[:, None], kinds, axis=1)).T

    def tail(self, statistic: FloatArray) -> FloatArray:
        """Return how likely statistics as large as these are, shape (n, kinds)."""
        at_least, scale, place = self.columns["reached"], self.scale, self._place(statistic)
        lower = np.minimum(place.astype(np.int64), scale.bins - 1)[..., None]
        edge = np.take_along_axis(at_least, lower, -1)[..., 0].astype(np.float64)
        after = np.take_along_axis(at_least, lower + 1, -1)[..., 0].astype(np.float64)
        above = edge + (after - edge) * (place - lower[..., 0])
        tail = (above + scale.weight * scale.believed(statistic)) / (at_least[..., 0] + scale.weight)
        return self._extrapolated(statistic, tail) if scale.beyond else tail

    def learn(self, statistic: FloatArray, usual: BoolArray) -> None:
        """Count the statistics of the usual rows."""
        at_least, scale = self.columns["reached"], self.scale
        reached = np.arange(scale.bins + 1, dtype=np.float32) <= self._place(statistic)[..., None].astype(np.float32)
        reached[..., -1] = False
        at_least += reached & usual[:, None, None]
        full = np.flatnonzero(at_least[:, 0, 0] >= scale.memory)
        at_least[full] //= 2

    def _extrapolated(self, statistic: FloatArray, tail: FloatArray) -> FloatArray:
        """Return tails that fall off exponentially from where they are `beyond`; only a few are so rare, and cost anything."""
        scale = self.scale
        rare = np.nonzero(tail < 2.0 * scale.beyond)
        width = (scale.high - scale.low) / scale.bins
        survival = self.columns["reached"][rare] + self._imagined[rare[1]]
        survival /= survival[:, :1]
        row = np.arange(len(survival))
        place = np.clip((survival > scale.beyond).sum(-1) - 1, 0, scale.bins - 1)
        edge, after = survival[row, place], survival[row, place + 1]
        share = np.clip((edge - scale.beyond) / np.maximum(edge - after, 1e-12), 0.0, 1.0)
        past = statistic[rare] - (scale.low + width * (place + share))
        later = np.where(np.arange(scale.bins + 1) > place[:, None], survival, 0.0).sum(-1)
        area = later - 0.5 * after + 0.5 * (1.0 - share) * (scale.beyond + after)
        excess = np.maximum(area * width / scale.beyond, _LEAST_EXCESS)
        tail[rare] = np.where(past > 0.0, scale.beyond * np.exp(-past / excess), tail[rare])
        return tail

    def _place(self, statistic: FloatArray) -> FloatArray:
        """Return bin and place within it."""
        scale = self.scale
        return np.clip((statistic - scale.low) * (scale.bins / (scale.high - scale.low)), 0.0, scale.bins)
