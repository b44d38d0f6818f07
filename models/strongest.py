"""One answer of several signals: the most surprising one, as a tail that is right although it was chosen, and one anomaly an episode.

`app.anomalies` gives it what the judges of a series' signals say; what comes back stands in the series' Prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.rings import Columns
from models.anomaly import ANOMALY, EPISODE_TICKS
from models.frequencies import Frequencies, Scale

__all__ = ["Chosen", "Strongest"]

_LEAST_TAIL, _CALM = 1e-12, 1e-2

_UNTIL_KNOWN = 3
"""Ticks after which what was said is learned: those after which the incident rule, as it is set by default, has seen that an incident began.
What belongs to an incident teaches nothing, its first windows neither."""

_FRESH_TICKS = 5
"""Ticks for which what began in one signal may become an anomaly of the whole: the corrected tail is reached later than a signal's own,
which begins anew only by whole grades. Guessed."""

_SCALE = Scale(
    low=0.0,
    high=6.0,
    bins=48,
    believed=lambda decades: np.minimum(10.0**-decades, 1.0),
    weight=3_000.0,
    memory=60_000,
)
"""Of the decades of the tail of the strongest signal. Weight and memory are guessed: two days of minutes weigh as much as
what the signals' own tails promise, and six weeks are remembered, in which one in a thousand comes 60 times."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What is said of a tick.

    Parameters
    ----------
    signal : IntArray, shape (n,)
        The most surprising signal; of an episode that became calm, the one it began with.
    tail : FloatArray, shape (n,)
        How likely a tick is of which any signal is as surprising, in (0, 1].
    since : IntArray, shape (n,)
        Ticks since the newest anomaly began; -1 if it is longer ago than an episode lasts.
    """

    signal: IntArray
    tail: FloatArray
    since: IntArray


class Strongest:
    """The most surprising signal of every series.

    Notes
    -----
    Of S signals the least tail p comes with the probability ``1 - (1 - p) ** S`` where they are independent, and less often where they
    are not (Sidak 1967). How often it really came is counted, and weighed against that; what is said is never less than p.

    References
    ----------
    Sidak (1967), Rectangular confidence regions for the means of multivariate normal distributions, JASA 62.

    Examples
    --------
    >>> strongest = Strongest()
    >>> strongest.grow(1)
    >>> said = strongest.advance(np.array([[0.5, 0.001, 1.0]]), np.array([[False, True, False]]), np.ones(1, np.bool_), 10)
    >>> said.signal.tolist(), said.tail.round(4).tolist(), said.since.tolist()
    ([1], [0.002], [-1])
    """

    def __init__(self) -> None:
        self.seen = Frequencies(1, _SCALE)
        self.columns = Columns(
            began=("u4", (), 0), fresh=("u4", (), 0), signal=("u1", (), 0), waiting=("f4", (_UNTIL_KNOWN,), -1)
        )

    def grow(self, length: int) -> None:
        """Make room for `length` series."""
        for columns in self.parts().values():
            columns.grow(length)

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name."""
        return {"strongest": self.seen.columns, "began": self.columns}

    def advance(self, tails: FloatArray, begins: BoolArray, usual: BoolArray, tick: int) -> Chosen:
        """Choose, then learn how surprising what is chosen usually is.

        Parameters
        ----------
        tails : FloatArray, shape (n, n_signals)
            Of every signal; 1 where it is not judged.
        begins : BoolArray, shape (n, n_signals)
            Whether it is more unusual than all of its last hour.
        usual : BoolArray, shape (n,)
            Which rows belong to no incident.
        tick : int
            The window's number; it grows.
        """
        signal = tails.argmin(1)
        row, judged = np.arange(len(tails)), (tails < 1.0).sum(1)
        least = np.clip(tails[row, signal], _LEAST_TAIL, 1.0)
        promised = -np.expm1(judged * np.log1p(-np.minimum(least, 1.0 - 1e-9)))
        decades = -np.log10(np.clip(promised, _LEAST_TAIL, 1.0))
        tail = np.where(
            judged > 0, np.clip(np.maximum(self.seen.tail(decades[:, None])[:, 0], promised), _LEAST_TAIL, 1.0), 1.0
        )
        self._learn_later(np.where(judged > 0, decades, -1.0), usual)
        fresh = self.columns["fresh"]
        fresh[(begins & (tails <= ANOMALY)).any(1)] = tick
        found = (tail <= ANOMALY) & (fresh > 0) & (tick - fresh.astype(np.int64) < _FRESH_TICKS)
        since = self._since(found, signal, tick)
        return Chosen(np.where((since >= 0) & (tail > _CALM), self.columns["signal"], signal), tail, since)

    def _learn_later(self, decades: FloatArray, usual: BoolArray) -> None:
        """Learn what was said a few ticks ago, where no incident has been found to stand since."""
        waiting = self.columns["waiting"]
        oldest = waiting[:, 0].astype(float)
        self.seen.learn(np.maximum(oldest, 0.0)[:, None], usual & (oldest >= 0.0))
        waiting[:, :-1] = waiting[:, 1:]
        waiting[:, -1] = decades
        waiting[~usual] = -1.0

    def _since(self, found: BoolArray, signal: IntArray, tick: int) -> IntArray:
        """Return ticks since an anomaly began, and note where one begins: what comes within an episode of another is the same."""
        began = self.columns["began"]
        within = (began > 0) & (tick - began.astype(np.int64) < EPISODE_TICKS)
        new = found & ~within
        began[new], self.columns["signal"][new] = tick, signal[new]
        return np.where(within | found, tick - began.astype(np.int64), -1).astype(np.int64)
