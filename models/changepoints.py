"""When the level of a series last changed, and from what to what: sequential tests over all series at once.

`models.trend` gives every tick's values with what is usual at their hour, so that a season is no change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.rings import Columns

__all__ = ["Change", "Changes", "Regime", "of_counts", "of_levels"]

_SELDOM_S = 30 * 86_400.0  # wanted: in a series without one a change to each side is seen once in 30 days at most
_MEMORY_S = 7 * 86_400.0  # guessed: how long a regime remembers its own level
_FIRST = 60  # guessed: values before which nothing is a change
_SETTLING = 10  # guessed: values that a new regime is told by before it can change
_TIMES, _APART = 2.0, 2.0  # guessed, what is looked for: counts twice or half as many, levels two usual errors away
_LONGEST = 65_535

_Pair = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, slots=True)
class Regime:
    """How values of a kind scatter about a level of their own.

    Parameters
    ----------
    amounts : callable
        From a value and the usual to what is summed, and to what was due of it.
    level : callable
        From the usual and both sums to the regime's level.
    evidence : callable
        From a value, the level and the noise to log likelihood ratios for a rise and for a fall.
    """

    amounts: Callable[[FloatArray, FloatArray], _Pair]
    level: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
    evidence: Callable[[FloatArray, FloatArray, FloatArray], _Pair]


def of_counts() -> Regime:
    """Return that of counts, whose level is a multiple of the usual; noise is variance over mean.

    Examples
    --------
    >>> rise, fall = of_counts().evidence(np.array([5.0]), np.array([2.0]), np.ones(1))
    >>> rise.round(2).tolist(), fall.round(2).tolist()
    ([1.47], [-2.47])
    """

    def evidence(value: FloatArray, level: FloatArray, noise: FloatArray) -> _Pair:
        told = value * np.log(_TIMES)
        return (told - level * (_TIMES - 1.0)) / noise, (level * (1.0 - 1.0 / _TIMES) - told) / noise

    # One event is imagined in the time in which one is usual.
    return Regime(lambda value, usual: (value, usual), lambda usual, seen, due: usual * (seen + 1.0) / (due + 1.0), evidence)


def of_levels() -> Regime:
    """Return that of values whose level is the usual and a constant; noise is their standard deviation.

    Examples
    --------
    >>> rise, fall = of_levels().evidence(np.array([3.0]), np.array([0.0]), np.ones(1))
    >>> rise.tolist(), fall.tolist()
    ([4.0], [-8.0])
    """

    def evidence(value: FloatArray, level: FloatArray, noise: FloatArray) -> _Pair:
        z = np.clip((value - level) / noise, -2.0 * _APART, 2.0 * _APART)
        return _APART * z - _APART**2 / 2.0, -_APART * z - _APART**2 / 2.0

    def amounts(value: FloatArray, usual: FloatArray) -> _Pair:
        return value - usual, np.ones_like(value)

    return Regime(amounts, lambda usual, seen, due: usual + seen / (due + 1.0), evidence)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """The newest change of each series.

    Parameters
    ----------
    ago : IntArray, shape (n,)
        Ticks since it happened; -1 where none is known.
    before, after : FloatArray, shape (n,)
        The level on both sides of it.
    """

    ago: IntArray
    before: FloatArray
    after: FloatArray


class Changes:
    """Two cumulative sums a series, one that waits for a rise and one for a fall.

    Parameters
    ----------
    regime : Regime
        How the values scatter.
    tick_s, every : int
        Seconds of a tick, and ticks from one value that is judged to the next.

    Notes
    -----
    The sum of log likelihood ratios, never below 0, is compared with the logarithm of how many values may pass between two false
    changes; independent values keep that promise. The change is dated to when the sum was 0 last. Then a new regime begins, whose level
    is the mean since.

    References
    ----------
    Page (1954), Continuous inspection schemes, Biometrika 41; Lorden (1971), Procedures for reacting to a change in distribution,
    Annals of Mathematical Statistics 42 (the mean time between false alarms is at least the exponential of the limit).

    Examples
    --------
    >>> changes, rng = Changes(of_counts(), 60), np.random.default_rng(0)
    >>> changes.columns.grow(1)
    >>> for mean in [2.0] * 300 + [9.0] * 20:
    ...     changes.advance(rng.poisson(mean, 1).astype(float), np.full(1, 2.0), np.ones(1), np.ones(1, np.bool_))
    >>> change = changes.newest(np.full(1, 2.0))
    >>> change.ago.tolist(), change.before.round().tolist(), change.after.round().tolist()
    ([21], [2.0], [8.0])
    """

    def __init__(self, regime: Regime, tick_s: int, every: int = 1) -> None:
        self.regime = regime
        self._limit = float(np.log(max(_SELDOM_S / (tick_s * every), 100.0)))
        self._fade = 1.0 - tick_s * every / max(_MEMORY_S, 2.0 * tick_s * every)
        self.columns = Columns(
            sums=("f4", (2,), 0),  # of evidence for a rise, for a fall
            lasting=("u2", (2,), 0),  # ticks since they were 0
            since=("f4", (2, 2), 0),  # amounts and dues since then
            regime=("f4", (2,), 0),  # amounts and dues of the regime
            values=("u1", (), 0),
            ago=("u2", (), _LONGEST),
            before=("f4", (), 0),  # the level of the regime before
        )

    def newest(self, usual: FloatArray) -> Change:
        """Return the newest change of every series; `after` is the level since, at what is usual now."""
        c = self.columns
        ago = np.where(c["ago"] < _LONGEST, c["ago"].astype(np.int64), -1)
        return Change(ago, c["before"].astype(float), self.regime.level(usual, *c["regime"].astype(float).T))

    def advance(self, value: FloatArray, usual: FloatArray, noise: FloatArray, rows: BoolArray) -> None:
        """Judge a tick's values.

        Parameters
        ----------
        value, usual : FloatArray, shape (n,)
            The values, and what is usual at their hour.
        noise : FloatArray, shape (n,)
            What the regime calls so, above 0.
        rows : BoolArray, shape (n,)
            Where there is a value.
        """
        c = self.columns
        seen, due = c["regime"].astype(float).T
        level = self.regime.level(usual, seen, due)
        evidence = np.stack(self.regime.evidence(value, level, noise), axis=1)
        judged = (rows & (c["values"] >= _FIRST))[:, None]
        sums = np.where(judged, np.maximum(c["sums"] + evidence, 0.0), c["sums"])
        amounts = np.where(rows[:, None], np.stack(self.regime.amounts(value, usual), axis=1), 0.0)
        up = sums > 0.0
        c["lasting"][:] = np.where(up, np.minimum(c["lasting"], _LONGEST - 1) + 1, 0)
        c["since"][:] = np.where(up[:, :, None], c["since"] + amounts[:, None], 0.0)
        c["regime"][:] = np.where(rows[:, None], c["regime"] * self._fade + amounts, c["regime"])
        c["values"][:] = np.minimum(c["values"] + rows, _FIRST)
        c["ago"][:] = np.where(c["ago"] < _LONGEST, np.minimum(c["ago"], _LONGEST - 2) + 1, _LONGEST)
        c["sums"][:] = sums
        found = np.flatnonzero((sums >= self._limit).any(1))
        if len(found):
            self._begin(found, sums[found].argmax(1), level[found])

    def _begin(self, rows: IntArray, side: IntArray, before: FloatArray) -> None:
        """Begin a new regime where a sum has passed the limit."""
        c = self.columns
        c["ago"][rows] = c["lasting"][rows, side]
        c["regime"][rows] = c["since"][rows, side]
        c["before"][rows] = before
        c["values"][rows] = _FIRST - _SETTLING
        c["sums"][rows], c["lasting"][rows], c["since"][rows] = 0.0, 0, 0.0
