"""Series with forecasts for `benchmarks.trends`: simulated shops through the line of the service, and recordings.

Whatever the source, a `Forecast` holds what was forecast at every step and what came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from app.chronicle import Chronicle
from app.demo.simulate import Shop
from app.flow import Flow, FlowPlan
from app.telemetry import Telemetry
from app.trend_documents import Told
from benchmarks.nab_rules import Recording, read
from benchmarks.shop_line import absorb_minute
from features.arrays import BoolArray, FloatArray
from features.rhythm import EXPECTED, HOURS, Rhythm
from models.changepoints import of_counts, of_levels
from models.hours import Hours
from models.measure import Measure, counts, durations
from models.trend import STEP_S, STEPS, Reading, Trends

__all__ = ["Forecasts", "of_files", "of_shop"]

_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """What was forecast of some series at every step of five minutes, and what came.

    Parameters
    ----------
    name : str
        Of the set.
    measure : Measure
        The scale on which squares are compared.
    mean : FloatArray, shape (t, n)
        What came in the step before each time: counts a window, or logarithms; NaN where nothing is known.
    counted : BoolArray, shape (t, n)
        Forecasts that are judged: outside incidents.
    usual, middle, lower, upper : FloatArray, shape (t, n, 1 + len(STEPS))
        As of each time, on the scale of `mean`.
    limit : FloatArray, shape (t, n)
        What was too much at each time; infinite where nothing is.
    chance : FloatArray, shape (t, n)
        That it would be met within the hour.
    changed : FloatArray, shape (t, n)
        Step in which the newest change was, NaN where none is known.
    whole : BoolArray, shape (n,)
        Series of whole services.
    """

    name: str
    measure: Measure
    mean: FloatArray
    counted: BoolArray
    usual: FloatArray
    middle: FloatArray
    lower: FloatArray
    upper: FloatArray
    limit: FloatArray
    chance: FloatArray
    changed: FloatArray
    whole: BoolArray


class _Gathered:
    """Collects outlooks step by step."""

    def __init__(self, scale: Callable[[FloatArray], FloatArray], step: int) -> None:
        self._scale, self._step = scale, step
        self._rows: list[tuple[FloatArray, ...]] = []

    def add(self, reading: Reading, told: Told, calm: BoolArray) -> None:
        """Take in a step; what is told is put on the scale of the readings."""
        said, at, scale = told.outlook, len(self._rows), self._scale
        mean = np.where(reading.known, reading.mean, np.nan)
        changed = np.where(said.change.ago >= 0, at - -(-said.change.ago // self._step), np.nan)
        curves = [scale(one) for one in (said.usual, said.middle, said.lower, said.upper, told.limit[:, 0])]
        judged = np.where(calm & reading.known, 1.0, 0.0)
        self._rows.append((mean, judged, *curves, told.probability, changed))

    def forecasts(self, name: str, measure: Measure, whole: BoolArray) -> Forecasts:
        """Return all steps; series that came later are NaN before."""
        n = len(self._rows[-1][0])
        columns = [np.stack([_padded(row[i], n) for row in self._rows]) for i in range(len(self._rows[0]))]
        mean, counted, usual, middle, lower, upper, limit, chance, changed = columns
        return Forecasts(name, measure, mean, counted == 1.0, usual, middle, lower, upper, limit, chance, changed, whole)


def _padded(values: FloatArray, n: int) -> FloatArray:
    return np.concatenate([values, np.full((n - len(values), *values.shape[1:]), np.nan)])


def of_shop(seed: int, days: float, faults_a_day: float) -> tuple[Forecasts, Forecasts, Shop]:
    """Send a shop's telemetry through the line, without a disk, and return the forecasts of errors and of latency."""
    shop, flow = Shop(seed, days, faults_a_day, _BEGIN), Flow(FlowPlan(), Telemetry())
    memory, trends = flow.memory, flow.trends
    both = _Gathered(lambda x: x, trends.step), _Gathered(np.log, trends.step)
    for number in range(shop.n_minutes):
        end_s = absorb_minute(flow, shop, number)
        memory.advance(end_s // 60)
        trends.advance(memory)
        if memory.tick % trends.step == 0:
            calm = ~memory.onsets.in_incident()
            told = trends.told(memory, np.arange(len(memory.directory)))
            for gathered, reading, said in zip(both, trends.readings, told, strict=True):
                gathered.add(reading, said, calm)
        flow.chronicle = Chronicle()  # nothing goes to history
        for errors in flow.errors.values():
            errors.forget(end_s // 60)
    whole = memory.directory.is_whole
    errors, latency = both
    return (
        errors.forecasts(f"shop {seed}, errors", counts(trends.step), whole),
        latency.forecasts(f"shop {seed}, latency", durations(), whole),
        shop,
    )


def of_files(folder: Path, category: str, turn: int) -> Forecasts:
    """Forecast every second file of a category of the Numenta Anomaly Benchmark.

    Parameters
    ----------
    folder : Path
        The benchmark's.
    category : str
        A folder of `data`; values of ``realTweets`` are counts, those of others are forecast by their logarithms.
    turn : int
        0 for the first, third, ... file by name, 1 for the others.
    """
    files = [one for one in read(folder) if one.category == category][turn::2]
    value, known = _on_grid(files)
    n, tick = len(files), 0
    are_counts = category == "realTweets"
    measure, regime = (counts(1), of_counts()) if are_counts else (durations(), of_levels())
    trends, usual_of = Trends(measure, regime, STEP_S), _Usual(n, are_counts)
    trends.grow(n)
    gathered = _Gathered(lambda x: x, 1)
    for tick in range(1, len(value) + 1):
        now, there = value[tick - 1], known[tick - 1]
        usual, noise = usual_of.advance(tick, now, there)
        trends.advance(tick, Reading(now, now, there, usual, noise, np.ones(n, np.bool_)))
        said = trends.outlook(np.arange(n))
        told = Told(said, np.full(usual.shape, np.inf), np.zeros(n), usual[:, 0])
        gathered.add(trends.reading, told, np.ones(n, np.bool_))
    return gathered.forecasts(f"{category}, {n} files", measure, np.ones(n, np.bool_))


class _Usual:
    """What is usual of files, as the service would say."""

    def __init__(self, n: int, are_counts: bool) -> None:
        self._rhythm, self._hours = Rhythm(STEP_S), Hours(STEP_S)
        self._are_counts, self._before = are_counts, (np.zeros(n), np.zeros(n, np.bool_))
        self._rhythm.columns.grow(n)
        self._hours.columns.grow(n)

    def advance(self, tick: int, value: FloatArray, known: BoolArray) -> tuple[FloatArray, FloatArray | None]:
        """Learn a window and return what is usual in it and after it, and the noise of counts."""
        windows = [tick - 1, *(tick - 1 + steps for steps in STEPS)]
        if not self._are_counts:
            self._hours.learn(tick - 1, value, known)
            return np.stack([self._hours.usual(window) for window in windows], axis=1), None
        before, there = self._before
        self._rhythm.learn(tick - 2, np.repeat(before[:, None], len(EXPECTED), axis=1), there)
        self._before = value, known
        usual = [self._rhythm.expected(window)[:, EXPECTED.index("errors")] for window in windows]
        return np.stack(usual, axis=1) + STEP_S / (HOURS * 3600.0), self._rhythm.dispersion()


def _on_grid(files: Sequence[Recording]) -> tuple[FloatArray, BoolArray]:
    """Return values by step of five minutes of each file's own clock, and where there are any."""
    firsts = [int(one.time_s[0] // STEP_S) for one in files]
    # All files begin at the same hour of day that they do: a step is counted from midnight of their first day.
    places = [(one.time_s // STEP_S).astype(int) - first + first % 288 for one, first in zip(files, firsts, strict=True)]
    value = np.zeros((max(int(place[-1]) for place in places) + 1, len(files)))
    known = np.zeros(value.shape, np.bool_)
    for i, (one, place) in enumerate(zip(files, places, strict=True)):
        are_counts = one.category == "realTweets"
        there = np.full(len(one.value), True) if are_counts else one.value > 0
        value[place[there], i] = one.value[there] if are_counts else np.log(one.value[there])
        known[place[there], i] = True
    return value, known
