"""What is unusual about a value: several statistics, each with an eye for another kind of anomaly, for all series at once.

`models.anomaly` gives every tick's values, and makes tail probabilities of what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.rings import Columns
from models.autoregression import ORDER, Autoregression
from models.beliefs import Belief, Heavy, Light
from models.extents import Extents
from models.season import Season
from models.shapes import LENGTH, Shapes

__all__ = ["BELIEFS", "EXPERTS", "Experts", "Opinion"]

EXPERTS = {
    "season": 1.0,
    "week": 0.5,
    "range": 2.0,
    "hour": 2.0,
    "shape": 0.5,
    "unrest": 1.0,
    "tremor": 1.0,
    "turns": 2.0,
    "sustained": 1.0,
    "autoregression": 0.25,
    "fast": 0.25,
    "slow": 0.25,
}
"""Weights of the experts, doubled or halved one by one for as long as that made thresholds hold better from some of the files for choosing,
and series made of them, to others (docs/measurements.md)."""

BELIEFS: Mapping[str, Belief] = {
    "season": Heavy(0.52, 1.59),
    "week": Heavy(0.64, 1.79),
    "range": Heavy(0.036, 0.8, share=0.0025),
    "hour": Heavy(0.122, 1.44, share=0.0046),
    "shape": Heavy(0.54, 1.73),
    "unrest": Light(0.255, 0.82),
    "tremor": Light(0.305, 0.86),
    "turns": Light(0.056, 1.09),
    "sustained": Heavy(0.27, 1.62),
    "autoregression": Heavy(0.49, 1.87),
    "fast": Heavy(0.56, 1.73),
    "slow": Heavy(0.57, 1.73),
}
"""How their statistics are distributed in a series of which nothing is known: fitted to the mean over the files for choosing and series made
of them."""

_FAST, _SLOW, _LONG = 10.0, 300.0, 2000.0  # guessed: ticks over which levels are averaged
_DEVIATION = 1000.0  # guessed: ticks over which deviations are averaged
_SUSTAINED, _UNREST = 36.0, np.array([12.0, 6.0])  # ticks; of 6 to 36 chosen on the files for choosing
_TURNS = 24.0  # guessed: ticks over which turns are counted
_FIRST = 3.0  # ticks before which nothing is usual
_OFF_BOUND, _LEVEL_BOUND = 20.0, 50.0  # guessed: deviations that one value moves averages by, at most
_STILL = 0.05  # guessed: share of the usual spread below which a series is still, and no stiller
_EXACT = 1e-6  # of a value: single precision tells no smaller deviation
_LEAST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What experts say of a tick's values.

    Parameters
    ----------
    statistics : FloatArray, shape (n, len(EXPERTS))
        At least 0, in units of what is usual; larger is more unusual.
    expected, spread : FloatArray, shape (n,)
        The value that was expected at this hour of the week, and its mean absolute deviation.
    """

    statistics: FloatArray
    expected: FloatArray
    spread: FloatArray


class Experts:
    """State of all experts for all series.

    Notes
    -----
    What describes the present (the last values, the fast level, sums over the last minutes) follows every tick; what describes the
    usual follows only where the caller says that the tick is usual.

    Examples
    --------
    >>> experts = Experts()
    >>> experts.grow(1)
    >>> for tick in range(300):
    ...     opinion = experts.advance(np.array([tick % 7.0]), np.array([tick * 60.0]), np.array([True]))
    >>> opinion = experts.advance(np.array([60.0]), np.array([300 * 60.0]), np.array([True]))
    >>> bool(opinion.statistics[0, list(EXPERTS).index("range")] > 5), bool(2 < opinion.expected[0] < 4)
    (True, True)
    """

    def __init__(self) -> None:
        self.season, self.shapes, self.autoregression, self.extents = Season(), Shapes(), Autoregression(), Extents()
        self.columns = Columns(
            ticks=("u4", (), 0),
            learned=("u4", (), 0),
            levels=("f4", (3,), 0),  # fast, slow, long
            deviations=("f4", (7,), 0),  # fast, slow, season, week, autoregression, shape, long
            last=("f4", (LENGTH,), 0),  # values, newest first
            sustained=("f4", (), 0),
            scatter=("f4", (len(_UNREST), 2), 0),  # by span: of late, usual
            turning=("f4", (2,), 0),  # of late, usual
        )

    def grow(self, length: int) -> None:
        """Make room for `length` series."""
        for columns in self.parts().values():
            columns.grow(length)

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name."""
        return {
            "experts": self.columns,
            "season": self.season.columns,
            "shapes": self.shapes.columns,
            "autoregression": self.autoregression.columns,
            "extents": self.extents.columns,
        }

    def advance(self, value: FloatArray, time_s: FloatArray, usual: BoolArray) -> Opinion:
        """Judge a tick's values, then learn them.

        Parameters
        ----------
        value : FloatArray, shape (n,)
            Finite.
        time_s : FloatArray, shape (n,)
            When, in seconds since the epoch.
        usual : BoolArray, shape (n,)
            Which rows become part of what is usual; those of a known incident must not.
        """
        c = self.columns
        self._begin(value)
        ticks, learned = c["ticks"].astype(float) + 1.0, c["learned"].astype(float) + 1.0
        least = _EXACT * np.abs(value) + _LEAST
        known = learned >= _FIRST
        deviation = np.maximum(c["deviations"].astype(float), least[:, None])
        levels = c["levels"].astype(float)
        at_hour = self.season.usual(time_s, levels[:, 1], deviation[:, 2])
        spread = np.maximum(at_hour.spread, least)
        off = value - at_hour.of_day
        standard = np.where(known, np.clip((value - levels[:, 2]) / deviation[:, 6], -_LEVEL_BOUND, _LEVEL_BOUND), 0.0)
        before = (c["last"][:, :ORDER] - levels[:, 2:]) / deviation[:, 6:]
        before = np.where(known[:, None], np.clip(before, -_LEVEL_BOUND, _LEVEL_BOUND), 0.0)
        error = self.autoregression.error(standard, before)
        beyond, beyond_hour = self.extents.beyond(value, at_hour.hour, least)
        turns = self._turns(value, ticks)
        c["last"][:] = np.concatenate([value[:, None], c["last"][:, :-1]], axis=1)
        distance = self.shapes.distance(c["last"])
        distance = np.where(np.isfinite(distance) & (ticks > LENGTH), distance, 0.0)
        apart = np.stack(
            [value - levels[:, 0], value - levels[:, 1], off, off - at_hour.of_week, error, distance, value - levels[:, 2]],
            axis=1,
        )
        apart = np.abs(apart)
        ratio = apart / deviation
        off_usual = np.where(known, off / spread, 0.0)
        unrest, sustained = self._unrest(off_usual, known, ticks), self._sustained(off_usual, ticks)
        told = {
            "season": np.abs(off) / spread,
            "week": ratio[:, 3],
            "range": beyond,
            "hour": beyond_hour,
            "shape": ratio[:, 5],
            "unrest": unrest[:, 0],
            "tremor": unrest[:, 1],
            "turns": turns,
            "sustained": sustained,
            "autoregression": ratio[:, 4],
            "fast": ratio[:, 0],
            "slow": ratio[:, 1],
        }
        statistics = np.where(known[:, None], np.stack([told[name] for name in EXPERTS], axis=1), 0.0)
        self.autoregression.learn(error, before, deviation[:, 4], usual)
        self.shapes.learn(c["last"], deviation[:, 6], usual & (ticks >= LENGTH))
        self.extents.learn(value, at_hour.hour, usual)
        self._learn(value, apart, learned, usual)
        self.season.learn(value, replace(at_hour, spread=spread), usual)
        return Opinion(statistics, at_hour.of_day + at_hour.of_week, spread)

    def _begin(self, value: FloatArray) -> None:
        """Let a series begin at its first value."""
        c = self.columns
        new = np.flatnonzero(c["ticks"] == 0)
        c["levels"][new] = value[new, None]
        c["last"][new] = value[new, None]

    def _turns(self, value: FloatArray, ticks: FloatArray) -> FloatArray:
        """Return how much more or less often than usual the values turn from rising to falling or back."""
        last, turning = self.columns["last"], self.columns["turning"]
        turned = (value - last[:, 0]) * (last[:, 0] - last[:, 1]) < 0.0
        turning[:, 0] += (turned - turning[:, 0]) / np.minimum(ticks, _TURNS)
        return np.where(ticks > 2 * _TURNS, np.abs(turning[:, 0].astype(float) - turning[:, 1]), 0.0)

    def _sustained(self, off: FloatArray, ticks: FloatArray) -> FloatArray:
        """Return how far the values of the last minutes are off together."""
        mean = self.columns["sustained"]
        mean[:] += (np.clip(off, -_OFF_BOUND, _OFF_BOUND) - mean) / np.minimum(ticks, _SUSTAINED)
        return np.where(ticks > _SUSTAINED, np.abs(mean.astype(float)), 0.0)

    def _unrest(self, off: FloatArray, known: BoolArray, ticks: FloatArray) -> FloatArray:
        """Return how much more or less than usual the values scatter, by span; both are anomalies."""
        scatter = self.columns["scatter"]
        size = np.where(known, np.log(np.abs(off) + _STILL), 0.0)[:, None]
        scatter[..., 0] += (size - scatter[..., 0]) / np.minimum(ticks[:, None], _UNREST)
        return np.where(ticks[:, None] > 2 * _UNREST, np.abs(scatter[..., 0].astype(float) - scatter[..., 1]), 0.0)

    def _learn(self, value: FloatArray, apart: FloatArray, learned: FloatArray, usual: BoolArray) -> None:
        c, row = self.columns, np.flatnonzero(usual)
        number = learned[row]
        c["ticks"][:] += 1
        c["learned"][row] += 1
        deviation = c["deviations"]
        span = np.array([_DEVIATION] * 6 + [_LONG])
        deviation[row] += (apart[row] - deviation[row]) / np.minimum(number[:, None], span)
        fast = c["levels"][:, 0]
        fast += (value - fast) / np.minimum(c["ticks"], _FAST)
        for place, ticks in ((1, _SLOW), (2, _LONG)):
            level = c["levels"][:, place]
            level[row] += (value[row] - level[row]) / np.minimum(number, ticks)
        scatter, turning = c["scatter"], c["turning"]
        span = np.minimum(number, _DEVIATION)
        scatter[row, :, 1] += (scatter[row, :, 0] - scatter[row, :, 1]) / span[:, None]
        turning[row, 1] += (turning[row, 0] - turning[row, 1]) / span
