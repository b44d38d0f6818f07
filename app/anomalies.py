"""How unusual every series is, tick by tick: its errors, and of busy services how many requests fail, how long they take, how many come.

`app.flow.forecast` asks it when a tick ends; `app.publish` puts what it says into the predictions, `app.chronicle` its bounds into history.
The judges are `models.judge.Judge`; here they meet `features.memory.Memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from app.combinations import Combinations
from features.arrays import BoolArray, FloatArray
from features.batch import channel
from features.clock import Clock
from features.memory import Memory
from features.rates import given_traffic
from features.rhythm import EXPECTED
from features.rings import Columns
from features.sparse import Slots, Sparse
from features.vitals import VITALS, Vitals, busy
from models.anomaly import Counts, Verdict
from models.judge import Judge
from models.prediction import SIGNALS, AnomalyScore
from models.strongest import Chosen, Strongest

__all__ = ["SeriesAnomalies", "heard"]

_ERRORS, _TOTAL = channel("errors"), channel("total")
_ONE_SIDED = np.array([True, True, False])  # of VITALS: fewer failures and shorter durations are good news
_GOOD_NEWS, _LEAST_SIDE = 0.5, 1e-9
_OF_VITALS = slice(1, 1 + len(VITALS))  # of SIGNALS; the last one is their combination


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What the judges say of a tick.

    Parameters
    ----------
    tails, begins : arrays, shape (n, len(SIGNALS))
        Of every signal; 1 and False where it is not judged.
    numbers : FloatArray, shape (n, len(SIGNALS), 4)
        Value, expectation and bounds.
    judged : BoolArray, shape (n, len(SIGNALS))
        Whether anything was said.
    """

    tails: FloatArray
    begins: BoolArray
    numbers: FloatArray
    judged: BoolArray

    @classmethod
    def nothing(cls, n: int) -> _Told:
        """Return what is said of series before anybody was asked."""
        shape = n, len(SIGNALS)
        return cls(np.ones(shape), np.zeros(shape, np.bool_), np.zeros((*shape, 4)), np.zeros(shape, np.bool_))


class SeriesAnomalies:
    """The judges, with a row for every row of a Memory.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.

    Notes
    -----
    A service has its vital signs judged from the first hour on in which enough requests are usual; what is kept of them takes as much
    again for each of them as what is kept of its errors, and nothing of other series.
    """

    def __init__(self, tick_s: int) -> None:
        self.tick_s = tick_s
        self.newest: Chosen | None = None
        """What was said of the newest window, in arrays."""
        self._errors, self._strongest = Judge(), Strongest()
        self._slots, self._vitals = Slots(), Judge()
        self.combinations = Combinations(self._slots)
        self._last = Columns(last=("f4", (len(VITALS),), 0))  # values, where a window says none
        self._told = _Told.nothing(0)

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name, for a snapshot beside that of the Memory."""
        vitals = {f"vital_{name}": self._sparse(columns, len(VITALS)) for name, columns in self._vitals.parts().items()}
        together = {f"combination_{name}": columns for name, columns in self.combinations.parts().items()}
        own = {
            **self._errors.parts(),
            **self._strongest.parts(),
            **vitals,
            **together,
            "vital_last": self._sparse(self._last, 1),
        }
        return {f"anomaly_{name}": columns for name, columns in own.items()}

    def advance(self, memory: Memory) -> None:
        """Judge the window that just closed, and learn it where it belongs to no incident and its tenant was heard."""
        window, n = memory.tick - 1, len(memory.directory)
        self._slots.take(busy(memory))
        for columns in self.parts().values():
            columns.grow(n)
        usual = ~memory.onsets.in_incident() & heard(memory, window)
        errors = self._judge_errors(memory, usual)
        told = _Told.nothing(n)
        told.tails[:, 0], told.begins[:, 0], told.judged[:, 0] = errors[0].tail, errors[0].begins, errors[0].warm
        told.numbers[:, 0] = errors[1]
        if len(self._slots.rows):
            self._judge_vitals(memory, usual, told)
        self.newest = self._strongest.advance(told.tails, told.begins, usual, window)
        self._told = told

    @property
    def tails(self) -> FloatArray:
        """What the judge of each signal said of the newest window, 1 where it said nothing, shape (n, len(SIGNALS))."""
        return self._told.tails

    def bounds(self, signal: str) -> FloatArray:
        """Return the bounds within which a signal of the newest window was normal, lower and upper, shape (n, 2).

        NaN where it was not judged: of a series that is new, and of vital signs that a window of few requests does not have.
        """
        place = SIGNALS.index(signal)
        return np.where(self._told.judged[:, place, None], self._told.numbers[:, place, 2:], np.nan)

    def scores(self, tick: int) -> list[AnomalyScore]:
        """Return what was said of the newest window, as of the tick at whose start it had closed."""
        newest = self.newest
        if newest is None:
            return []
        numbers = self._told.numbers[np.arange(len(self._told.numbers)), newest.signal]
        columns = np.concatenate([1.0 - newest.tail[:, None], numbers], axis=1).tolist()
        closed = Clock.at((tick - 1) * self.tick_s)
        began = [closed - timedelta(seconds=ago * self.tick_s) if ago >= 0 else None for ago in newest.since.tolist()]
        signals = [SIGNALS[place] for place in newest.signal.tolist()]
        return [
            AnomalyScore(score, value, expected, lower, upper, since, signal)
            for (score, value, expected, lower, upper), since, signal in zip(columns, began, signals, strict=True)
        ]

    def _sparse(self, columns: Columns, width: int) -> Sparse:
        return Sparse(self._slots, columns, width)

    def _judge_errors(self, memory: Memory, usual: BoolArray) -> tuple[Verdict, FloatArray]:
        """Return what is said of all series' errors, and value, expectation and bounds."""
        window = memory.tick - 1
        counts = memory.windows.recent(1)[:, 0].astype(float)
        value = np.maximum(counts[:, _ERRORS], 0.0)
        errors, total = memory.rhythm.expected(window)[:, [EXPECTED.index("errors"), EXPECTED.index("total")]].T
        due = Counts(given_traffic(errors, total, counts[:, _TOTAL]), memory.rhythm.dispersion())
        said = self._errors.advance(value, np.full(len(value), float(window * self.tick_s)), usual, due)
        return said, np.stack([value, said.expected, said.lower, said.upper], axis=1)

    def _judge_vitals(self, memory: Memory, usual: BoolArray, told: _Told) -> None:
        """Say of busy services what their vital signs are like; what a window does not say stays what it was, and is not learned."""
        rows = self._slots.rows
        vitals, shape = Vitals.of(memory, rows), (len(rows), len(VITALS))
        value = np.where(vitals.known, vitals.judged, self._last["last"])
        self._last["last"][:] = value
        learned = (vitals.known & usual[rows, None]).ravel()
        said = self._vitals.advance(value.ravel(), np.full(value.size, float((memory.tick - 1) * self.tick_s)), learned)
        expected, tail = said.expected.reshape(shape), said.tail.reshape(shape)
        tail = np.where(_ONE_SIDED & (value < expected), np.maximum(tail, _GOOD_NEWS), tail)
        told.tails[rows, _OF_VITALS] = np.where(vitals.known, tail, 1.0)
        told.begins[rows, _OF_VITALS] = said.begins.reshape(shape) & vitals.known
        told.judged[rows, _OF_VITALS] = said.warm.reshape(shape) & vitals.known
        bounds = (vitals.shown(side.reshape(shape)) for side in (value, said.expected, said.lower, said.upper))
        told.numbers[rows, _OF_VITALS] = np.stack(list(bounds), axis=2)
        side = np.maximum((said.upper - said.lower).reshape(shape) / 2.0, _LEAST_SIDE)
        off = np.where(vitals.known, (value - expected) / side, 0.0)
        tail, told.numbers[rows, -1] = self.combinations.advance(memory, off, vitals.known.all(1) & usual[rows])
        told.tails[rows, -1] = np.where(vitals.known.all(1), tail, 1.0)
        told.begins[rows, -1] = True  # `Strongest` makes one anomaly of an episode
        told.judged[rows, -1] = told.judged[rows, _OF_VITALS].all(1)


def heard(memory: Memory, window: int) -> BoolArray:
    """Return the rows of tenants of which something was heard in a window."""
    deaf = [code for name, code in memory.tenants.items() if window in memory.unheard.get(name, range(0))]
    return ~np.isin(memory.pools().tenant, deaf)
