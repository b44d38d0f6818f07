"""Seconds of a fit and a backtest by joblib backend: one thread, threads, processes, a Dask cluster on this machine.

    python benchmarks/training_parallel.py [--series 4] [--days 3] [--json]

Rows are simulated (`--series` times 1,440 a day), seed 1. Every backend has to come to the same numbers, to the last bit; if one does not, the
exit code is 1. The Dask cluster has two workers of one thread, and is up before the clock starts; loky's processes are not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from distributed import LocalCluster

from app.parallel import Spread
from tests.training_rows import simulated_rows
from training.fit import fit
from training.rows import Rows
from training.walkforward import WalkPlan, walk_forward

__all__ = ["main", "measure"]

WORKERS = 2
_cluster: Any = LocalCluster  # its types know no way to do without a dashboard


def measure(rows: Rows, spread: Spread) -> tuple[float, float, str]:
    """Return the seconds of a fit, those of a backtest, and a hash of what both came to."""
    plan = WalkPlan(seed=1, jobs=spread.workers, folds_at_once=spread.folds_at_once)
    begun = perf_counter()
    with spread.entered():
        hazards = fit(rows, seed=1, jobs=spread.workers).ensemble.hazards(rows.x[:10_000])
    fitted = perf_counter()
    with spread.entered():
        report = walk_forward(rows, plan)
    walked = perf_counter()
    digest = hashlib.sha256(hazards.tobytes() + json.dumps(report.to_dict()).encode()).hexdigest()
    return fitted - begun, walked - fitted, digest


def ways(scheduler: str) -> Iterator[tuple[str, Spread]]:
    """Return what is compared; the first is what others are compared with."""
    yield "one thread", Spread(workers=1)
    yield "threads (default)", Spread(workers=WORKERS)
    yield "loky", Spread("loky", workers=WORKERS)
    yield "dask", Spread("dask", scheduler)


def main() -> int:
    """Measure every way and print the result."""
    parser = argparse.ArgumentParser(description="Seconds of training by joblib backend.")
    parser.add_argument("--series", type=int, default=4, help="series of the simulated rows")
    parser.add_argument("--days", type=float, default=3.0, help="days of them, a row a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rows = simulated_rows(n_series=asked.series, days=asked.days, a_day=3.0, n_noise=60)
    with _cluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster:
        found = {name: measure(rows, spread) for name, spread in ways(str(cluster.scheduler_address))}
    first = next(iter(found.values()))
    same = all(digest == first[2] for _, _, digest in found.values())
    if asked.json:
        where = {"machine": platform.platform(), "cores": os.cpu_count(), "date": datetime.now(UTC).isoformat()}
        seconds = {name: {"fit_s": fit_s, "backtest_s": walk_s} for name, (fit_s, walk_s, _) in found.items()}
        print(json.dumps({"rows": len(rows), "same": same, "seconds": seconds} | where))
    else:
        print(f"{len(rows)} rows of {rows.x.shape[1]} columns; numbers are {'the same' if same else 'NOT THE SAME'}")
        for name, (fit_s, walk_s, _) in found.items():
            print(
                f"{name:<18} fit {fit_s:7.1f} s ({first[0] / fit_s:4.2f}x)   backtest {walk_s:7.1f} s ({first[1] / walk_s:4.2f}x)"
            )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
