"""What judging anomalies costs a tick, and what it keeps of a series.

    python -m benchmarks.anomaly_cost [--series 10000] [--services 1000] [--ticks 20] [--json]

The median CPU time of a tick on one core, after ten: of `models.anomaly.Anomalies.advance` with Poisson counts and the tail of counts; of
`app.anomalies.SeriesAnomalies.advance` over a `features.memory.Memory` in which every service has two hundred requests a minute, and
the other series are operations; and of the same where every series is a service. Beside them stands what of it one forest takes: to score
all services, and to learn from the bounded sample of a tick.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from app.anomalies import SeriesAnomalies
from benchmarks.answers import answers_as_json, deliver
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.memory import Memory, MemoryPlan
from features.sparse import Sparse
from models.anomaly import Anomalies, Counts
from models.multivariate import MOST_ROWS, Multivariate

__all__ = ["main"]

_FIRST = 10  # ticks in which arrays are touched for the first time
_BEGIN = 28_404_000
_WIDTH = 6  # of vectors


def _of_errors(n: int, ticks: int, rng: np.random.Generator) -> tuple[float, int]:
    """Return milliseconds of a tick of the judge of one signal, and bytes of a series."""
    anomalies, spent = Anomalies(), list[float]()
    anomalies.grow(n)
    for tick in range(_FIRST + ticks):
        value = rng.poisson(2.0, n).astype(float)
        due = Counts(np.full(n, 2.0), np.full(n, 1.5))
        spent.append(_ms(lambda v=value, t=tick, d=due: anomalies.advance(v, np.full(n, t * 60.0), np.ones(n, np.bool_), d)))
    return float(np.median(spent[_FIRST:])), sum(columns.nbytes_a_row for columns in anomalies.parts().values())


def _of_all(n: int, services: int, ticks: int, rng: np.random.Generator) -> dict[str, float]:
    """Return milliseconds of a tick of all signals, and bytes of a series and of a busy service besides."""
    memory, judge, spent = Memory(MemoryPlan(max_series=2 * n, max_series_per_tenant=2 * n)), SeriesAnomalies(60), list[float]()
    memory.begin(_BEGIN)
    names = [(f"service {i % services}", "*" if i < services else f"GET /{i}") for i in range(n)]
    for tick in range(_FIRST + ticks):
        counts = np.zeros((n, N_CHANNELS))
        counts[:, channel("total")] = total = rng.poisson(200.0, n)
        counts[:, channel("failed")] = counts[:, channel("errors")] = rng.poisson(2.0, n)
        counts[:, channel("duration_sum_s")] = 0.05 * rng.gamma(np.maximum(total, 1))
        times = np.full(n, (_BEGIN + tick) * 60)
        memory.add("default", 0, Batch("traces", n, tuple(names), np.arange(n), times, counts, np.zeros((n, N_BUCKETS))))
        memory.advance(_BEGIN + tick + 1)
        spent.append(_ms(lambda: judge.advance(memory)))
    parts = judge.parts().values()
    return {
        "cpu_ms": float(np.median(spent[_FIRST:])),
        "bytes_a_series": sum(columns.nbytes_a_row for columns in parts if not isinstance(columns, Sparse)),
        "bytes_a_busy_service_besides": sum(columns.nbytes_a_row for columns in parts if isinstance(columns, Sparse)),
    }


def _of_forest(n: int, rng: np.random.Generator) -> dict[str, float]:
    """Return what a forest costs: to score all services, to learn the sample of a tick, in memory and in a checkpoint."""
    tracemalloc.start()
    forest = Multivariate(_WIDTH)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    x = rng.uniform(size=(n, _WIDTH))
    learned = [_ms(lambda: forest.learn(x)) for _ in range(2_000 // MOST_ROWS)]
    scored = [_ms(lambda: forest.score(x)) for _ in range(5)]
    return {
        "score_ms": float(np.median(scored)),
        "learn_ms": float(np.median(learned)),
        "learned_rows": float(MOST_ROWS),
        "bytes": float(size),
        "bytes_in_a_checkpoint": float(len(forest.snapshot())),
    }


def _ms(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return 1000.0 * (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--services", type=int, default=1_000)
    parser.add_argument("--ticks", type=int, default=20)
    answers_as_json(parser)
    asked = parser.parse_args()
    rng, n = np.random.default_rng(asked.seed), asked.series
    ms, kept = _of_errors(n, asked.ticks, rng)
    print(f"{n} series, errors: {ms:.1f} ms of CPU time a tick, {kept} bytes a series")
    found: dict[str, dict[str, float]] = {"errors": {"cpu_ms": ms, "bytes_a_series": kept}}
    for services in dict.fromkeys((asked.services, n)):
        found[f"all signals, {services} services"] = _of_all(n, services, asked.ticks, rng)
    found[f"forest, {n} services"] = _of_forest(n, rng)
    for name, values in found.items():
        print(f"{name}:", ", ".join(f"{what} {value:,.1f}" for what, value in values.items()))
    deliver(asked, series=n, found=found)


if __name__ == "__main__":
    main()
