"""What the anomaly detector costs a tick, and what it keeps of a series.

    python -m benchmarks.anomaly_cost [--series 10000] [--ticks 30] [--json]

Poisson counts through `models.anomaly.Anomalies.advance`, with the tail of counts; the median CPU time of a tick on one core, after ten.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.answers import answers_as_json, deliver
from models.anomaly import Anomalies, Counts

__all__ = ["main"]

_FIRST = 10  # ticks in which arrays are touched for the first time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, default=30)
    answers_as_json(parser)
    asked = parser.parse_args()
    rng, n = np.random.default_rng(asked.seed), asked.series
    anomalies = Anomalies()
    anomalies.grow(n)
    spent = list[float]()
    for tick in range(_FIRST + asked.ticks):
        value = rng.poisson(2.0, n).astype(float)
        start = time.process_time()
        anomalies.advance(value, np.full(n, tick * 60.0), np.ones(n, np.bool_), Counts(np.full(n, 2.0), np.full(n, 1.5)))
        spent.append(time.process_time() - start)
    ms = 1000.0 * float(np.median(spent[_FIRST:]))
    kept = sum(columns.nbytes_a_row for columns in anomalies.parts().values())
    print(f"{n} series: {ms:.1f} ms of CPU time a tick, {kept} bytes a series")
    deliver(asked, series=n, cpu_ms=ms, bytes_a_series=kept)


if __name__ == "__main__":
    main()
