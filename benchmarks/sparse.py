"""What the intensity features cost a tick, and what they bring where errors are hours and days apart.

    python -m benchmarks.sparse [--series 10000] [--seeds 0 1 2 3]

Cost: `features.excitation.Excitation.advance` with an error in one series of a hundred, and the group in `features.extract`, medians
over ticks. Worth: services that send nothing but their failures, each a self-exciting stream of its own rate (Hawkes process by its
branching), go through `features.memory.Memory` and `features.extract` tick by tick; a linear and a tree hazard learn from the first 60 %
of the time whether the next failure comes within 12 hours, with all columns and without the group, and are scored on the rest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score

from features import surroundings
from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.excitation import Excitation
from features.extract import SCHEMA, extract
from features.memory import Memory, MemoryPlan
from features.view import View
from features.windows import WIDTH, Increment
from models.hazard import labels
from models.linear import HazardLinear
from models.trees import HazardTrees

__all__ = ["average_precision", "main"]

_TICK_S, _DAYS, _SERVICES = 600, 30, 40
_FIRST = 2_800_000
_EVERY = 18  # ticks between two rows of a series
_A_DAY, _OFFSPRING, _LATER_H = 0.12, 0.8, 48.0  # failures by themselves, each one's own, and how much later these come
_HORIZON_S = 12 * 3600.0
_LEARNED = 0.6


def _failures(rng: np.random.Generator, a_day: float) -> IntArray:
    """Return the windows with a failure, counted from the first."""
    parents = rng.uniform(0.0, _DAYS, rng.poisson(a_day * _DAYS))
    found = [parents]
    while len(parents):
        parents = np.repeat(parents, rng.poisson(_OFFSPRING, len(parents)))
        parents += rng.exponential(_LATER_H / 24.0, len(parents))
        parents = parents[parents < _DAYS]
        found.append(parents)
    return np.unique((np.concatenate(found) * 86_400 / _TICK_S).astype(np.int64))


def _batch(services: IntArray, window: int) -> Batch:
    """Return what those services send whose check fails in a window."""
    counts = np.zeros((len(services), N_CHANNELS))
    counts[:, [channel("errors"), channel("logs")]] = 1.0
    names = tuple((f"s{service}", "*") for service in services.tolist())
    times = np.full(len(services), window * _TICK_S)
    return Batch("logs", len(services), names, np.arange(len(services)), times, counts, np.zeros((len(services), N_BUCKETS)))


def _rows(seed: int) -> tuple[Float32Array, FloatArray, FloatArray, BoolArray]:
    """Return features, seconds since the first window, and labels with their risk, of rows in order of time."""
    rng = np.random.default_rng(seed)
    failures = [_failures(rng, _A_DAY * rate) for rate in np.exp(0.7 * rng.normal(size=_SERVICES))]
    fails = np.zeros((_DAYS * 86_400 // _TICK_S, _SERVICES), np.bool_)
    for service, windows in enumerate(failures):
        fails[windows, service] = True
    memory = Memory(MemoryPlan(tick_s=_TICK_S))
    memory.begin(_FIRST)
    for service in range(_SERVICES):
        memory.row("default", f"s{service}", "*", 0)
    matrices, as_of_s, wait_s = list[Float32Array](), list[FloatArray](), list[FloatArray]()
    for number, failing in enumerate(fails):
        if failing.any():
            memory.add("default", 0, _batch(np.flatnonzero(failing), _FIRST + number))
        memory.advance(_FIRST + number + 1)
        if number % _EVERY == 0:
            ahead = fails[number + 1 :]
            first = np.append(ahead, np.ones((1, _SERVICES), np.bool_), axis=0).argmax(0)
            matrices.append(extract(memory))
            as_of_s.append(np.full(_SERVICES, (number + 1.0) * _TICK_S))
            wait_s.append(np.where(first < len(ahead), (first + 1.0) * _TICK_S, np.inf))
    when = np.concatenate(as_of_s)
    return np.concatenate(matrices), when, *labels(np.concatenate(wait_s), _DAYS * 86_400 - when, ((0.0, _HORIZON_S),))


def average_precision(seed: int) -> dict[str, tuple[float, float]]:
    """Return the average precision of each learner with the group and without it."""
    x, as_of_s, y, at_risk = _rows(seed)
    cut = _LEARNED * _DAYS * 86_400
    learned, held_out = as_of_s + _HORIZON_S <= cut, (as_of_s > cut) & at_risk[:, 0]
    every = np.arange(len(SCHEMA.features))
    without = np.setdiff1d(every, SCHEMA.columns("intensity"))
    overlap = _HORIZON_S / (_EVERY * _TICK_S)

    def score(model: HazardLinear | HazardTrees, columns: IntArray) -> float:
        model.fit(x[learned][:, columns], y[learned], at_risk[learned])
        return float(average_precision_score(y[held_out, 0], model.hazards(x[held_out][:, columns])[:, 0]))

    chance = float(y[held_out, 0].mean())
    return {
        "linear": (score(HazardLinear(overlaps=(overlap,)), every), score(HazardLinear(overlaps=(overlap,)), without)),
        "trees": (score(HazardTrees(), every), score(HazardTrees(), without)),
        "chance": (chance, chance),
    }


def _cost(n: int, ticks: int = 21) -> None:
    """Print what a tick costs, and what a series takes in memory."""
    memory = Memory(MemoryPlan(max_operations=9, max_series=n, max_series_per_tenant=n))
    memory.begin(_FIRST)
    for row in range(n):
        memory.row("default", f"s{row // 10}", f"GET /{row % 10}" if row % 10 else "*", 0)
    alone = Excitation()
    alone.columns.grow(n)
    rng, took = np.random.default_rng(0), list[list[float]]()
    for window in range(_FIRST, _FIRST + ticks):
        rows = np.flatnonzero(rng.random(n) < 0.01)
        increment = Increment(window + 1, rows, np.full(len(rows), window), np.ones((len(rows), WIDTH)))
        memory.apply(increment, [])
        view = View.of(memory)
        calls = (partial(alone.advance, increment), partial(surroundings.intensity, view), partial(extract, memory))
        took.append([_ms(call) for call in calls])
    said = [f"{ms:.1f} ms" for ms in np.median(took, axis=0)]
    print(f"{n:,} series, median of {ticks} ticks: state {said[0]}, group {said[1]} of {said[2]} for all features")
    print(f"{memory.excitation.columns.nbytes_a_row} bytes a series")


def _ms(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - begun)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost and worth of the intensity features.")
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    asked = parser.parse_args()
    _cost(asked.series)
    for seed in asked.seeds:
        scores = average_precision(seed)
        print(f"seed {seed}:", ", ".join(f"{name} {one:.3f}, without {other:.3f}" for name, (one, other) in scores.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
