"""Simulated rows with a known signal, for tests of learning code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from features.evidence import SOURCES
from features.facts import CATEGORIES
from features.schema import Feature, FeatureSchema
from features.series import SeriesKey
from training.rows import Evidence, Rows

__all__ = ["Flat", "of_categories", "simulated_rows"]

_NAMED = (
    ("incident_decay_5", "incident_history"),
    ("incident_decay_15", "incident_history"),
    ("incident_decay_60", "incident_history"),
    ("incident_rate", "incident_history"),
    ("incident_rate_pooled", "incident_history"),
    ("incident_rate_seasonal", "incident_history"),
    ("error_surprise_5", "surprise"),
    ("warnings_log_15", "warnings"),
)


class Flat:
    """A forecaster that says one hazard everywhere."""

    def __init__(self, hazard: float) -> None:
        self.hazard = hazard

    def hazards(self, x: Float32Array) -> FloatArray:
        return np.full((len(x), 3), self.hazard)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        raise AssertionError("nobody asks")


def simulated_rows(
    *, n_series: int = 12, days: float = 3.0, a_day: float = 2.0, n_noise: int = 8, signal: bool = True, seed: int = 0
) -> Rows:
    """Simulate series whose incidents are announced by rising warnings, half an hour ahead, two times in three.

    Without `signal`, warnings rise at other times that have nothing to do with incidents.
    """
    rng = np.random.default_rng(seed)
    ticks = int(days * 1440)
    begin = 1_700_000_000 // 60 * 60
    end = begin + ticks * 60
    times = begin + 60 * np.arange(ticks)
    schema = FeatureSchema(
        1,
        (*(Feature(n, g) for n, g in _NAMED), *(Feature(f"noise_{i}", f"noise_{i % 3}") for i in range(n_noise))),
    )
    parts = []
    for number in range(n_series):
        rate = a_day * rng.gamma(2.0, 0.5)
        starts = np.sort(rng.choice(ticks - 200, rng.poisson(rate * days) + 1, replace=False) + 100)
        starts = starts[np.append(True, np.diff(starts) > 90)]
        parts.append(_one_series(rng, number, starts, times, len(_NAMED) + n_noise, signal))
    x, next_start, eligible, undetected = (np.concatenate([part[i] for part in parts]) for i in range(4))
    n = len(x)
    return Rows(
        x=x.astype(np.float32),
        schema=schema,
        series=np.repeat(np.arange(n_series), ticks),
        keys=tuple(SeriesKey("default", f"service-{i}", "*") for i in range(n_series)),
        as_of_s=np.tile(times, n_series),
        next_start_s=next_start,
        end_s=end,
        eligible=eligible.astype(bool),
        undetected=undetected.astype(bool),
        category=np.full(n, -1),
    )


def of_categories(rows: Rows, rights: Mapping[str, float], *, seed: int = 0) -> Rows:
    """Return rows whose incidents have categories, at which each named source points as often as it is right, else anywhere."""
    rng = np.random.default_rng(seed)
    wanted = np.flatnonzero(rows.next_start_s - rows.as_of_s <= max(rows.horizons.values()))
    names = np.stack([rows.series[wanted].astype(float), rows.next_start_s[wanted]], axis=1)
    _, incident = np.unique(names, axis=0, return_inverse=True)
    incident = incident.reshape(-1)
    n = int(incident.max()) + 1
    of_incident = rng.integers(0, len(CATEGORIES), n)
    counts = np.zeros((n, len(SOURCES), len(CATEGORIES)), np.float32)
    for name, right in rights.items():
        pointed = np.where(rng.random(n) < right, of_incident, rng.integers(0, len(CATEGORIES), n))
        counts[np.arange(n), SOURCES.index(name), pointed] = 3.0
    category, place = np.full(len(rows), -1), np.full(len(rows), -1)
    category[wanted], place[wanted] = of_incident[incident], incident
    return replace(rows, category=category, evidence=Evidence(place, counts))


def _one_series(
    rng: np.random.Generator, number: int, starts: np.ndarray, times: np.ndarray, width: int, signal: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    ticks = len(times)
    t = np.arange(ticks)
    following = np.searchsorted(starts, t, side="right")
    next_start = np.where(following < len(starts), times[0] + 60.0 * np.append(starts, 0)[following], np.inf)
    last = np.where(following > 0, starts[np.maximum(following - 1, 0)], -(10**6))
    since = t - last
    x = rng.normal(size=(ticks, width))
    for column, span in enumerate((5, 15, 60)):
        x[:, column] = sum((t >= s) * np.exp(-np.maximum(t - s, 0) / span) for s in starts)
    rate = (following + 1) / (t / 60 + 24)
    x[:, 3], x[:, 4] = rate, 0.5 * rate + 0.04
    x[:, 5] = rate * (1 + 0.3 * np.sin(t / 1440 * 2 * np.pi + number))
    x[:, 6] = rng.exponential(0.43, ticks)
    announced = starts[rng.random(len(starts)) < 2 / 3] if signal else rng.choice(ticks - 200, len(starts)) + 100
    warnings = np.log1p(rng.poisson(1.0, ticks))
    for s in announced:
        rise = (t < s) & (t >= s - 30)
        warnings[rise] += 2.5 * (1 - (s - t[rise]) / 40)
    x[:, 7] = warnings
    return x, next_start, since >= 20, since < 2
