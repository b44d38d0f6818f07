"""What is believed of a statistic before any is seen of its series: how often it is as large.

`models.experts` says it of every expert, as it was measured on other series; `models.frequencies` counts for itself from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from features.arrays import FloatArray

__all__ = ["Belief", "Heavy", "Light"]


class Belief(Protocol):
    """A distribution of statistics."""

    def tail(self, statistic: FloatArray) -> FloatArray:
        """Return how likely statistics as large as these are."""
        ...


@dataclass(frozen=True, slots=True)
class Heavy:
    """A tail that falls off as a power, as those of deviations do.

    Parameters
    ----------
    scale, power : float
        Half are as large as the scale; far beyond it the tail is the statistic to minus the power.
    share : float
        Of ticks in which the statistic is above 0 at all.

    Examples
    --------
    >>> Heavy(1.0, 2.0).tail(np.array([1.0, 3.0])).tolist()
    [0.5, 0.1]
    """

    scale: float
    power: float
    share: float = 1.0

    def tail(self, statistic: FloatArray) -> FloatArray:
        """Return how likely statistics as large as these are."""
        return self.share / (1.0 + (statistic / self.scale) ** self.power)


@dataclass(frozen=True, slots=True)
class Light:
    """A tail that falls off about exponentially, as those of averages do.

    Parameters
    ----------
    scale, power : float
        The tail is ``exp(-(statistic / scale) ** power)``.

    Examples
    --------
    >>> Light(2.0, 1.0).tail(np.array([0.0, 2.0])).round(3).tolist()
    [1.0, 0.368]
    """

    scale: float
    power: float

    def tail(self, statistic: FloatArray) -> FloatArray:
        """Return how likely statistics as large as these are."""
        return np.exp(-((statistic / self.scale) ** self.power))
