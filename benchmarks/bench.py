"""All benchmarks of the original list in one run and one report, with short settings.

    python -m benchmarks.bench [--only SECTION ...] [--seed 1] [--out build/bench]

or ``make bench``, in less than 15 minutes. `bench.json` holds every measurement, the ratios that `benchmarks.compare` goes by, and the
machine; `bench.md` and `bench.png` are for people. Larger runs of single parts have files of their own: `benchmarks.ingest`,
`benchmarks.overload`, `benchmarks.cluster`, `benchmarks.scale`, `benchmarks.serve`, `benchmarks.learning` and others.

What the original design calls optimiser settings, and what stands for it here:

- cache: predictions that are made once a tick and kept ready; beside them the same read by the framework's way, and a list put together anew;
- self-tuning group commit: on, on without waiting, and off;
- zero-copy: the scanner in C reads a request where it lies; beside it the reader that makes objects;
- buffer pool: there is none. SQLite keeps pages, arrays of a tick are kept by NumPy, and a request's body is used as the socket gave it.
  What a pool would save is measured instead: how long it takes to get and touch the memory of a request's body anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import bench_local, bench_node
from benchmarks.bench_measure import SCRATCH, Measure, called, measure
from benchmarks.bench_report import page, picture, ratios
from benchmarks.machine import machine

__all__ = ["main"]

_BODY = 2**18  # bytes of a request of 512 spans before compression, about
_PAGE = 4096


def buffers(_: int) -> Iterator[Measure]:
    """Get memory for a body anew, and use the same again: what a pool of buffers would save."""
    kept = bytearray(_BODY)

    def anew() -> None:
        bytearray(_BODY)[::_PAGE] = b"x" * (_BODY // _PAGE)

    def again() -> None:
        kept[::_PAGE] = b"x" * (_BODY // _PAGE)

    for name, call in (("memory got anew (as it is)", anew), ("memory used again (as a pool would)", again)):
        took = called(call, seconds=1.0)
        yield measure(("optimiser settings", f"buffer pool: {name}, {_BODY // 1024} KiB"), took, each=(1, "bodies"))


PARTS: Mapping[str, Callable[[int], Iterator[Measure]]] = {
    "errors": bench_local.errors,
    "prediction": bench_local.prediction,
    "memory": bench_local.memory,
    "decoding": bench_local.decoding,
    "buffers": buffers,
    "log": bench_local.log,
    "coordination": bench_local.coordination,
    "node": bench_node.node,
}


def run(names: Sequence[str], seed: int) -> list[Measure]:
    """Measure parts, one after the other."""
    found: list[Measure] = []
    for name in names:
        begun = time.perf_counter()
        for one in PARTS[name](seed):
            found.append(one)
            print(
                f"{one.section}: {one.name}: {one.ops_s:,.0f} {one.unit}/s, p50 {one.p50_ms:g} ms, p99 {one.p99_ms:g} ms",
                flush=True,
            )
        print(f"-- {name} took {time.perf_counter() - begun:.0f} s", flush=True)
    return found


def main() -> int:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description="All benchmarks in one run and one report.")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder for bench.json, bench.md and bench.png")
    asked = parser.parse_args()
    SCRATCH.mkdir(exist_ok=True)
    where, begun = machine(), time.perf_counter()
    found = run(asked.only, asked.seed)
    result: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.bench", *sys.argv[1:]]),
        "seed": asked.seed,
        "machine": where,
        "seconds": round(time.perf_counter() - begun),
        "ratios": ratios(found),
        "measures": [asdict(one) for one in found],
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    (asked.out / "bench.md").write_text(page(result))
    picture(found, asked.out / "bench.png")
    print(f"{asked.out}/bench.md, bench.json and bench.png, after {result['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
