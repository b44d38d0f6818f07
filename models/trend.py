"""Where a level is going: forecasts of the next hour with bounds, for all series at once, and a straight line through windows.

`app.trends` gives every tick's values with what is usual at their hour, and publishes what is said of them. `app.publish` draws the line
through the errors of every service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import InvalidValue
from features.rings import Columns
from features.windows import FINE
from models.bounds import Reach
from models.changepoints import Change, Changes, Regime
from models.crossing import chance_beyond
from models.gains import Gains
from models.measure import Measure
from models.smoothing import Smoothing, Standing, beyond_chance

__all__ = ["STEPS", "STEP_S", "Outlook", "Reading", "Trends", "slope", "step_of"]

STEP_S = 300
"""Seconds over whose mean values are forecast, where ticks are no longer."""

STEPS = (1, 3, 6, 12)
"""Horizons in such steps: 5, 15, 30 and 60 minutes."""

_STRIDE, _SLOTS = 3, 4  # forecasts whose outcome is learned begin every third step, and four of them wait for theirs
_FEWEST = 3  # points below which a line has no interval
_FIRST = 60  # guessed: ticks before which no outcome is learned
_DAMP_MIN, _MOVE_MIN = 15.0, 15.0  # chosen: over how long a movement goes on; and its unit, about as large as a distance
_PERSIST_MIN, _MOVE = (
    60.0,
    0.5,
)  # chosen: what is believed of a distance, how long it lasts, and of a movement, how much is kept up
_SPREAD_YOUNG, _SPREAD_MEMORY = 20.0, 300.0  # guessed: errors that the usual error is believed for, and that it remembers
_SPREAD_LEAST, _SPREAD_CLIP = 0.05, 4.0  # guessed: of the usual error, and usual errors by which one error counts at most
_NORMAL = 1.2533  # standard deviation over mean absolute deviation of a normal distribution
_HALF = 6e4  # what half precision holds


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a tick shows of one measure.

    Parameters
    ----------
    value, mean : FloatArray, shape (n,)
        Of the window that closed, and over the windows of the last step; on the scale that is smoothed.
    known : BoolArray, shape (n,)
        Where there are any.
    usual : FloatArray, shape (n, 1 + len(STEPS))
        What is usual for a window at this hour, and at that of every horizon.
    noise : FloatArray or None, shape (n,)
        Of counts: variance over mean. None where errors tell the variance.
    learns : BoolArray, shape (n,)
        Rows whose forecasts teach; those in an incident do not.
    """

    value: FloatArray
    mean: FloatArray
    known: BoolArray
    usual: FloatArray
    noise: FloatArray | None
    learns: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is said of some series, in the unit of their values.

    Parameters
    ----------
    slope, error : FloatArray, shape (m,)
        Change of the level a minute, and its standard error.
    usual, middle, lower, upper : FloatArray, shape (m, 1 + len(STEPS))
        Now and at every horizon: what is usual, the level that is forecast, and bounds that 90 % of outcomes lie within.
    scaled : FloatArray, shape (m, 1 + len(STEPS))
        The forecast on the measure's scale.
    peak_lower, peak_upper : FloatArray, shape (m,)
        Bounds of how far the highest mean of the next hour lies above the highest forecast, on the measure's scale.
    change : Change
        The newest one of each.
    """

    slope: FloatArray
    error: FloatArray
    usual: FloatArray
    middle: FloatArray
    lower: FloatArray
    upper: FloatArray
    scaled: FloatArray
    peak_lower: FloatArray
    peak_upper: FloatArray
    change: Change

    def chance(self, limit: FloatArray) -> FloatArray:
        """Return how likely the highest mean of the next hour is at a limit, given on the measure's scale at each horizon, shape (m,)."""
        short = -(self.scaled[:, 1:] - limit).max(1)
        return chance_beyond(short, self.peak_lower, self.peak_upper)


class Trends:
    """Forecasts of one measure of all series.

    Parameters
    ----------
    measure : Measure
        The scale on which it is forecast.
    regime : Regime
        How its values scatter, for changes.
    tick_s : int
        Seconds of a tick.

    Notes
    -----
    A forecast is what is usual at that hour plus a part of the present distance from the usual plus a part of its movement, which dies
    down (damped trend). How large the parts are, each series learns from its own past (`models.gains`), and so are the bounds
    (`models.bounds`). Before that a distance is believed to last for a while, and a movement by what of it is more than chance; a part
    below 0 of the movement is the slow mean. Values are smoothed every tick, of incidents too; outcomes are learned only of forecasts
    that were made outside one.

    References
    ----------
    Gardner and McKenzie (1985), Forecasting trends in time series, Management Science 31 (damping).
    """

    def __init__(self, measure: Measure, regime: Regime, tick_s: int) -> None:
        self.measure, self.tick_s = measure, tick_s
        self.step = step_of(tick_s)
        self.smoothing = Smoothing(tick_s)
        self.minutes = np.array(STEPS) * (self.step * tick_s / 60.0)
        persist = np.exp(-self.minutes / _PERSIST_MIN)
        moved = (self.smoothing.age_min + _DAMP_MIN * (1.0 - np.exp(-self.minutes / _DAMP_MIN))) / _MOVE_MIN
        self.gains = Gains(np.stack([persist, np.zeros(len(STEPS))], axis=1))
        self._kept_up = persist * moved  # of a movement beyond chance, before any is learned
        self.reach = Reach(len(STEPS) + 1)
        self.changes = Changes(regime, tick_s, 1 if measure.at_once else self.step)
        self.columns = Columns(
            tick=("i8", (), -1),
            ticks=("u1", (), 0),
            origins=("f2", (_SLOTS, 4), np.nan),  # the signal, the highest forecast
            peaks=("f2", (_SLOTS,), np.nan),
            spread=("f4", (), measure.spread),
            errors=("u2", (), 0),
        )
        self._at: tuple[Reading, FloatArray, Standing] | None = None  # of the newest tick; the signal is that of `_signal`

    @property
    def reading(self) -> Reading:
        """What the newest tick showed."""
        assert self._at is not None, "advance comes first"
        return self._at[0]

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name."""
        parts = {
            "smoothing": self.smoothing,
            "gains": self.gains,
            "reach": self.reach,
            "changes": self.changes,
            "forecasts": self,
        }
        return {name: part.columns for name, part in parts.items()}

    def grow(self, length: int) -> None:
        """Make room for `length` series."""
        for columns in self.parts().values():
            columns.grow(length)

    def advance(self, tick: int, now: Reading) -> None:
        """Learn what became of earlier forecasts, then take in the window before a tick."""
        c, usual = self.columns, now.usual[:, 0]
        ticks = np.where(c["tick"] < 0, 1, tick - c["tick"])
        c["origins"][ticks != 1], c["peaks"][ticks != 1] = np.nan, np.nan
        c["tick"][:], c["ticks"][:] = tick, np.minimum(c["ticks"], _FIRST) + 1
        self._settle(tick, now)
        off = np.where(now.known, now.value - usual, 0.0)
        self.smoothing.add(off, now.known.astype(float), ticks.astype(float))
        standing = self.smoothing.standing(self._variance(now))
        judged = now.known & (self.measure.at_once or tick % self.step == 0)
        self.changes.advance(now.value, usual, c["spread"] if now.noise is None else now.noise, judged)
        self._at = now, self._signal(usual, standing), standing
        if tick % (_STRIDE * self.step) == 0:
            self._begin(tick, now.learns & now.known & (c["ticks"] > _FIRST))

    def outlook(self, rows: IntArray) -> Outlook:
        """Return what is said of some series as of the newest tick."""
        assert self._at is not None, "advance comes first"
        usual, signal, standing = self._at[0].usual[rows], self._at[1][rows], self._at[2]
        kept = beyond_chance(standing.slope[rows], standing.error[rows] ** 2) * standing.slope[rows]
        level = usual[:, 0] + standing.fast[rows] + kept * self.smoothing.age_min  # a mean lags behind by its age
        forecast = self.measure.forward(usual) + self._expected(signal, rows)
        forecast[:, 0] = self.measure.forward(level)
        spread = self.spread()[rows, None]
        lower, upper = forecast.copy(), forecast.copy()
        for kind in range(len(STEPS)):
            lower[:, 1 + kind] += spread[:, 0] * self.reach.lower(kind)[rows]
            upper[:, 1 + kind] += spread[:, 0] * self.reach.upper(kind)[rows]
        lower, upper = np.minimum(lower, forecast), np.maximum(upper, forecast)
        peak = spread[:, 0] * self.reach.lower(len(STEPS))[rows], spread[:, 0] * self.reach.upper(len(STEPS))[rows]
        back, change = self.measure.backward, self.changes.newest(self._at[0].usual[:, 0])
        newest = Change(change.ago[rows], change.before[rows], change.after[rows])
        return Outlook(
            standing.slope[rows], standing.error[rows], usual, back(forecast), back(lower), back(upper),
            forecast, *peak, newest,
        )  # fmt: skip

    def _variance(self, now: Reading) -> FloatArray:
        """Return the variance of one value by chance."""
        if now.noise is None:  # neighbouring values share all but one window of a step
            return self.spread() ** 2 * self.step
        # One event more than were seen: few do not tell how many more there could have been.
        off, weight = self.smoothing.fast()
        return now.noise * np.maximum(now.usual[:, 0] + (off + 1.0) / weight, 1.0 / weight)

    def spread(self) -> FloatArray:
        """Return the usual error of the shortest forecast on the measure's scale, shape (n,)."""
        return np.maximum(self.columns["spread"].astype(float), _SPREAD_LEAST)

    def _signal(self, usual: FloatArray, standing: Standing) -> FloatArray:
        """Return distance, movement, and movement beyond chance on the measure's scale, shape (n, 3)."""
        forward, at_usual = self.measure.forward, self.measure.forward(usual)
        fast, slow = forward(usual + standing.fast) - at_usual, forward(usual + standing.slow) - at_usual
        more = beyond_chance(standing.slope, standing.error**2)
        movement = (fast - slow) / self.smoothing.gap_min * _MOVE_MIN
        return np.stack([fast, movement, movement * more], axis=1)

    def _expected(self, signal: FloatArray, rows: IntArray) -> FloatArray:
        """Return the distance that is expected at every horizon, after 0 for now, shape (m, 1 + len(STEPS))."""
        spread = self.spread()[rows]
        scaled = signal[:, :2] / spread[:, None]
        parts = [spread * self.gains.expected(kind, scaled, rows) for kind in range(len(STEPS))]
        return np.stack([np.zeros(len(rows)), *parts], axis=1) + np.outer(signal[:, 2], [0.0, *self._kept_up])

    def _begin(self, tick: int, rows: BoolArray) -> None:
        """Keep a forecast until its outcome is known."""
        assert self._at is not None
        usual, signal = self._at[0].usual, self._at[1]
        c, slot = self.columns, tick // (_STRIDE * self.step) % _SLOTS
        forecast = self.measure.forward(usual) + self._expected(signal, np.arange(len(usual)))
        kept = np.concatenate([signal, forecast[:, 1:].max(1, keepdims=True)], axis=1)
        c["origins"][:, slot] = np.where(rows[:, None], np.clip(kept, -_HALF, _HALF), np.nan)
        c["peaks"][:, slot] = np.where(rows, -_HALF, np.nan)

    def _settle(self, tick: int, now: Reading) -> None:
        """Learn from the forecasts whose outcome this tick shows."""
        c, stride = self.columns, _STRIDE * self.step
        x, at_usual = self.measure.forward(now.mean), self.measure.forward(now.usual[:, 0])
        newest = (tick - 1) // stride
        for begun in range(newest - _SLOTS + 1, newest + 1):
            if now.known.any() and tick - begun * stride >= self.step:
                peaks = c["peaks"][:, begun % _SLOTS]
                c["peaks"][:, begun % _SLOTS] = np.where(now.known, np.maximum(peaks, np.clip(x, -_HALF, _HALF)), peaks)
        for kind, steps in enumerate(STEPS):
            begun, rest = divmod(tick - steps * self.step, stride)
            if rest == 0:
                self._learn(kind, begun % _SLOTS, x - at_usual, now.known)

    def _learn(self, kind: int, slot: int, outcome: FloatArray, known: BoolArray) -> None:
        c, spread = self.columns, self.spread()
        origin = c["origins"][:, slot].astype(float)
        rows = known & np.isfinite(origin[:, 0])
        if not rows.any():
            return
        signal, told = origin[:, :2] / spread[:, None], (outcome - self._kept_up[kind] * origin[:, 2]) / spread
        error = told - self.gains.expected(kind, signal, np.arange(len(told)))
        self.reach.learn(kind, error, rows)
        self.gains.learn(kind, signal, told, rows)
        if kind == len(STEPS) - 1:
            peak = c["peaks"][:, slot].astype(float)
            self.reach.learn(len(STEPS), (peak - origin[:, 3]) / spread, rows & (peak > -_HALF))
        if kind == 0:
            number = np.minimum(c["errors"][rows] + _SPREAD_YOUNG, _SPREAD_MEMORY)
            size = _NORMAL * np.minimum(np.abs(error[rows]), _SPREAD_CLIP) * spread[rows]
            c["spread"][rows] += (size - c["spread"][rows]) / number
            c["errors"][rows] = np.minimum(c["errors"][rows], _SPREAD_MEMORY) + 1


def step_of(tick_s: int) -> int:
    """Return the ticks of a step: those of five minutes, at least one, and no more than there are windows.

    Examples
    --------
    >>> step_of(60), step_of(3600), step_of(1)
    (5, 1, 60)
    """
    return min(max(round(STEP_S / tick_s), 1), FINE)


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
