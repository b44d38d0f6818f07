"""What trends cost a tick, and what they keep of a series.

    python -m benchmarks.trends_cost [--services 1000] [--operations 9] [--ticks 30] [--json]

Requests and errors of services with operations through `features.memory.Memory` and `app.trends.SeriesTrends`; the median CPU time on one
core, after ten ticks, of taking a window in and of making the documents that are due.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from app.trends import SeriesTrends
from benchmarks.answers import answers_as_json, deliver
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.memory import Memory, MemoryPlan

__all__ = ["main"]

_FIRST = 10  # ticks in which arrays are touched for the first time
_BEGIN = 28_404_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--operations", type=int, default=9)
    parser.add_argument("--ticks", type=int, default=30)
    answers_as_json(parser)
    asked = parser.parse_args()
    rng, trends = np.random.default_rng(asked.seed), SeriesTrends(60)
    names = tuple((f"service-{i}", f"GET /{j}") for i in range(asked.services) for j in range(asked.operations))
    n = asked.services * (1 + asked.operations)
    memory = Memory(MemoryPlan(max_series=n, max_series_per_tenant=n))
    advanced, told, n_documents, n_bytes = list[float](), list[float](), 0, 0
    for tick in range(_BEGIN, _BEGIN + _FIRST + asked.ticks):
        counts, histogram = np.zeros((len(names), N_CHANNELS)), rng.poisson(1.0, (len(names), N_BUCKETS)).astype(float)
        counts[:, channel("total")] = histogram.sum(1)
        counts[:, channel("errors")] = rng.poisson(0.2, len(names))
        memory.begin(tick)
        place = np.arange(len(names))
        memory.add("default", 0, Batch("traces", 1, names, place, np.full(len(names), tick * 60), counts, histogram))
        memory.advance(tick + 1)
        start = time.process_time()
        trends.advance(memory)
        between = time.process_time()
        outputs = trends.outputs(memory, ["ok"] * n)
        told.append(time.process_time() - between)
        advanced.append(between - start)
        n_documents, n_bytes = len(outputs), sum(len(output.value or b"") for _, output in outputs)
    ms = [1000.0 * float(np.median(spent[_FIRST:])) for spent in (advanced, told)]
    kept = sum(columns.nbytes_a_row for columns in trends.parts().values())
    print(f"{n} series: {ms[0]:.1f} ms of CPU time a tick to take it in, {ms[1]:.1f} ms for {n_documents} documents")
    print(f"{kept} bytes a series in memory, {n_bytes / n_documents:.0f} bytes a document")
    deliver(asked, series=n, advance_ms=ms[0], documents_ms=ms[1], documents=n_documents, bytes_a_series=kept)


if __name__ == "__main__":
    main()
