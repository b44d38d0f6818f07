"""Where the errors and the latency of every series are going.

`app.flow.forecast` tells it when a tick ends; `app.flow.publish` asks for documents. The forecasts are those of `models.trend.Trends`;
here they meet `features.memory.Memory`, and limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from scipy.stats import norm

from app.anomalies import heard
from app.cache.documents import NAME_TTL_S, encode_document, prediction_key
from app.cache.trend_records import TrendRecord
from app.store.contract import Output
from app.trend_documents import Told, measure_rows
from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import N_CHANNELS, channel
from features.clock import Clock
from features.limits import lasting_limit
from features.memory import Memory
from features.rates import quantile, ratio
from features.rhythm import EXPECTED, HOURS
from features.rings import Columns
from models.changepoints import Change, of_counts, of_levels
from models.hours import Hours
from models.measure import counts, durations
from models.trend import STEPS, Reading, Trends, step_of

__all__ = ["SeriesTrends"]

_ERRORS = channel("errors")
_EXPECTED_ERRORS = EXPECTED.index("errors")
_Q = 0.95  # the latency that is followed is what one request in twenty exceeds
_TIMES = 2.0  # guessed, as in the incident rule: what is no more than twice the usual is within the limit
_EVERY = 5  # ticks between two documents of an operation; whole services have one every tick
_LIFE_TICKS = 3  # as of predictions, beyond the tick at which the next is due
_LEAST_S = 1e-6  # durations are told in buckets from 0.5 ms on


class SeriesTrends:
    """Trends of errors and of latency, with a row for every row of a Memory.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.
    """

    def __init__(self, tick_s: int) -> None:
        self.tick_s = tick_s
        self.step = step_of(tick_s)
        self._errors = Trends(counts(self.step), of_counts(), tick_s)
        self._latency = Trends(durations(), of_levels(), tick_s)
        self._hours = Hours(tick_s)
        self._told_at = np.zeros(0, np.int64)  # tick of each row's newest document

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name, for a snapshot beside that of the Memory."""
        both = (("errors", self._errors.parts()), ("latency", self._latency.parts()))
        parts = {f"trend_{of}_{name}": columns for of, found in both for name, columns in found.items()}
        return parts | {"trend_hours": self._hours.columns}

    def advance(self, memory: Memory) -> None:
        """Take in the window that just closed."""
        for columns in self.parts().values():
            columns.grow(len(memory.directory))
        window, recent = memory.tick - 1, memory.windows.recent(self.step)
        known = heard(memory, window)
        learns = known & ~memory.onsets.in_incident()
        self._advance_errors(memory, np.maximum(recent[:, :, _ERRORS].astype(float), 0.0), known, learns)
        self._advance_latency(memory.tick, recent[:, :, N_CHANNELS:].sum(1, dtype=float), known, learns)

    @property
    def readings(self) -> tuple[Reading, Reading]:
        """What the newest window showed: of errors a window, and of logarithms of latency in seconds."""
        return self._errors.reading, self._latency.reading

    def told(self, memory: Memory, rows: IntArray) -> tuple[Told, Told]:
        """Return what is said of some rows: of errors a window, and of latency in seconds."""
        return self._told_errors(memory, rows), self._told_latency(rows)

    def outputs(self, memory: Memory, status: Sequence[str]) -> list[tuple[int, Output]]:
        """Return the documents that are due, with their partitions.

        Parameters
        ----------
        memory : Memory
            As `advance` has seen it.
        status : sequence of str
            Of every row's prediction.
        """
        said = list(status)
        rows = self._due(memory, len(said))
        as_of, whole = Clock.at(memory.tick * self.tick_s), memory.directory.is_whole
        in_s = np.array(STEPS) * float(self.step * self.tick_s)
        of_errors, of_latency = self.told(memory, rows)
        errors = measure_rows(of_errors, self.tick_s, in_s, 60.0 / self.tick_s).tolist()
        latency = measure_rows(of_latency, self.tick_s, in_s, 1.0).tolist()
        timed = (self._hours.columns["learned"][rows] > 0).tolist()
        found: list[tuple[int, Output]] = []
        for place, row in enumerate(rows.tolist()):
            key = memory.directory.keys[row]
            life_s = (_LIFE_TICKS + (0 if whole[row] else _EVERY - 1)) * self.tick_s
            record = TrendRecord(
                key.tenant,
                key.service,
                key.operation,
                as_of,
                as_of + timedelta(seconds=life_s),
                "ok" if said[row] == "prior" else said[row],  # trends need no model
                errors[place],
                latency[place] if timed[place] else None,
            )
            output = Output("trends", prediction_key(key), encode_document(record), NAME_TTL_S)
            found.append((int(memory.directory.partition[row]), output))
        return found

    def _due(self, memory: Memory, n: int) -> IntArray:
        """Return which of the first rows have documents that are due, and note them.

        Operations take turns, so that a tick costs a part of all.
        """
        tick = memory.tick
        last = np.concatenate([self._told_at, np.full(n - len(self._told_at), tick - _EVERY, np.int64)])
        turn = (np.arange(n) + tick) % _EVERY == 0
        rows = np.flatnonzero(memory.directory.is_whole[:n] | turn | (tick - last >= _EVERY))
        last[rows] = tick
        self._told_at = last
        return rows

    def _windows(self, window: int) -> list[int]:
        """Return a window and those of every horizon after it."""
        return [window, *(window + steps * self.step for steps in STEPS)]

    def _expected(self, memory: Memory, window: int) -> list[FloatArray]:
        """Return the usual counts of a window and of those of every horizon, each shape (n, 4)."""
        hours = {memory.rhythm.hour(one): one for one in self._windows(window)}
        found = {hour: memory.rhythm.expected(one) for hour, one in hours.items()}
        return [found[memory.rhythm.hour(one)] for one in self._windows(window)]

    def _advance_errors(self, memory: Memory, errors: FloatArray, known: BoolArray, learns: BoolArray) -> None:
        # One error in a week is imagined: nothing is impossible because it was not seen.
        imagined = self.tick_s / (HOURS * 3600.0)
        expected = self._expected(memory, memory.tick - 1)
        usual = np.stack([one[:, _EXPECTED_ERRORS] for one in expected], axis=1) + imagined
        noise = memory.rhythm.dispersion()
        self._errors.advance(memory.tick, Reading(errors[:, -1], errors.mean(1), known, usual, noise, learns))

    def _advance_latency(self, tick: int, histogram: FloatArray, known: BoolArray, learns: BoolArray) -> None:
        timed = known & (histogram.sum(1) > 0)
        value = np.where(timed, np.log(np.maximum(quantile(histogram, _Q), _LEAST_S)), 0.0)
        self._hours.learn(tick - 1, value, timed & learns)
        timed &= self._hours.columns["learned"] > 0
        usual = np.stack([self._hours.usual(window) for window in self._windows(tick - 1)], axis=1)
        self._latency.advance(tick, Reading(value, value, timed, usual, None, learns))

    def _told_errors(self, memory: Memory, rows: IntArray) -> Told:
        """Return what is said of errors; too many are as many as break the incident rule when they last."""
        outlook = self._errors.outlook(rows)
        expected = self._expected(memory, memory.tick - 1)
        limit = np.stack([lasting_limit(one[rows], memory.plan.rule) for one in expected], axis=1)
        flat = memory.rhythm.columns["flat"][rows].astype(float)
        any_hour = ratio(flat[:, _EXPECTED_ERRORS], flat[:, len(EXPECTED)])
        drifted = outlook.chance(self._errors.measure.forward(limit[:, 1:]))
        # What begins suddenly is in no forecast error of a calm time: it comes as often as incidents do.
        hours = STEPS[-1] * self.step * self.tick_s / 3600.0
        sudden = -np.expm1(-hours * memory.onsets.rates(memory.tick - 1, memory.pools())[rows, 1])
        return Told(outlook, limit, 1.0 - (1.0 - drifted) * (1.0 - sudden), any_hour)

    def _told_latency(self, rows: IntArray) -> Told:
        """Return what is said of latency, in seconds; too slow is what is improbable at its hour and more than twice the usual."""
        said = self._latency.outlook(rows)
        beyond = _BEYOND * self._latency.spread()[rows]
        limit = said.usual + np.maximum(beyond, np.log(_TIMES))[:, None]
        middle = np.exp(said.middle)
        change = Change(said.change.ago, np.exp(said.change.before), np.exp(said.change.after))
        seconds = replace(
            said,
            slope=said.slope * middle[:, 0],
            error=said.error * middle[:, 0],
            usual=np.exp(said.usual),
            middle=middle,
            lower=np.exp(said.lower),
            upper=np.exp(said.upper),
            change=change,
        )
        any_hour = np.exp(self._hours.columns["level"][rows].astype(float))
        return Told(seconds, np.exp(limit), said.chance(limit[:, 1:]), any_hour)


_BEYOND = float(norm.isf(1e-4))
"""Usual errors above the usual from which on a mean is as improbable as errors that break the incident rule by default."""
