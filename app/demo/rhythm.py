"""How much the shop is used, minute by minute: day, lunch and evening peaks, weekday, slow wander.

`app.demo.effects` multiplies the shop's rates with `Rhythm.factor`; the average over a week is about 1.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from features.arrays import FloatArray

__all__ = ["Rhythm", "day_factor"]

# Guessed: Monday to Sunday; people shop most on Friday evening and Saturday.
WEEKDAYS = (1.0, 0.96, 0.97, 1.0, 1.05, 1.07, 0.97)
# Minutes; guessed so that no two come together within a day.
WANDER_MINUTES = (37.0, 113.0, 411.0)
# Average of the unscaled curve over a day; computed once, a test checks that the day's mean is 1.
MEAN = 1.0945


def day_factor(hour: float | FloatArray) -> FloatArray:
    """Return the load at an hour of the day relative to the day's average.

    Parameters
    ----------
    hour : float or FloatArray
        Hours since midnight UTC, in [0, 24).

    Returns
    -------
    FloatArray
        About 0.65 at four in the night, 1.4 in the evening.

    Examples
    --------
    >>> [round(float(day_factor(h)), 1) for h in (4, 12.5, 20)]
    [0.6, 1.3, 1.4]
    """
    h = np.asarray(hour, np.float64)
    sun = 1.0 + 0.32 * np.sin((h - 9.5) / 24 * 2 * np.pi)
    lunch = 0.18 * np.exp(-0.5 * ((h - 12.5) / 1.1) ** 2)
    evening = 0.42 * np.exp(-0.5 * ((h - 20.0) / 1.7) ** 2)
    return (sun + lunch + evening) / MEAN


class Rhythm:
    """The load of one shop over time.

    Parameters
    ----------
    seed : int
        Decides the phases of the slow wander.
    start : datetime
        Aware time of minute 0.
    """

    def __init__(self, seed: int, start: datetime) -> None:
        self.start = start
        self.phases = np.random.default_rng([seed, 0x72]).uniform(0, 2 * np.pi, len(WANDER_MINUTES))

    def factor(self, minute: float) -> float:
        """Return the expected load of a minute, about 1 on average.

        Parameters
        ----------
        minute : float
            Minutes since the start.
        """
        at = self.start + timedelta(minutes=minute)
        hour = at.hour + at.minute / 60 + at.second / 3600
        wander = 0.03 * float(np.sin(2 * np.pi * minute / np.array(WANDER_MINUTES) + self.phases).sum())
        return float(day_factor(hour)) * WEEKDAYS[at.weekday()] * (1 + wander)
