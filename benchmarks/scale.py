"""What a tick costs and what a series takes, from 1,000 to 100,000 series, through the whole line on one core.

    python -m benchmarks.scale [--series 1000 10000 100000] [--ticks 10] [--warm 95] [--seed 0] [--json] [--out FILE]

`benchmarks.scale_population` says what is sent. Its messages go through `Flow.absorb`, a tick a minute through `Flow.forecast` with all
documents, as `app.worker` does; nothing is left out but the log, the cache and history's disk. The champion is fitted by `training.fit` on a
day of 300 series of the same kind. After `--warm` ticks forecasts have matured, so that all learners learn and speak; then each of `--ticks`
is timed: CPU seconds by part, each without what another part does, and how much they grow with the series.

Bytes are those of everything that the line keeps between two ticks, walked object by object; beside them what the process grew by, from
before its first message to after its last tick, which counts whatever the walk does not see, and what a tick needs for a while.

Each size runs in a process of its own. Messages are made outside of what is timed.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

import app.flow
from app.champion import Champion
from app.flow import Flow, FlowPlan
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from benchmarks.scale_cost import Stopwatch, bytes_of, resident_bytes
from benchmarks.scale_population import PARTITIONS, START_TICK, TENANT, Population
from features.memory import Memory, MemoryPlan
from training.dataset import Gathering
from training.fit import fit

__all__ = ["main"]

_FITTED_SERIES, _FITTED_TICKS, _STRIDE = 300, 1440, 5
_FLUSH_TICKS, _FLUSH_ROWS = 5, 200_000  # as `store.checkpoint_s` and `store.history_flush_rows` have it
_LINE = ("windows", "features", "anomalies", "ensemble", "online, blend", "settle")
_PARTS = (*_LINE, "trends", "history rows", "documents", "rest", "absorb")


def champion(seed: int) -> Champion:
    """Return an ensemble that training fitted on a day of a small population."""
    population, memory = Population(_FITTED_SERIES, seed + 1), Memory(MemoryPlan())
    gathering = Gathering(memory, stride=_STRIDE)
    for tick in range(START_TICK, START_TICK + _FITTED_TICKS):
        memory.begin(tick)
        for partition, message in population.messages(tick):
            memory.add(TENANT, partition, message.batch)
        gathering.add(memory.advance(tick + 1).standing)
    dataset = gathering.dataset()
    print(f"fitted on {len(dataset.rows):,} rows with {len(dataset.incidents)} incidents", file=sys.stderr)
    return Champion("benchmark", fit(dataset.rows, seed=seed, jobs=1).ensemble)


def measure(n_series: int, ticks: int, warm: int, seed: int, serves: Champion) -> dict[str, Any]:
    """Return what a population of a size costs."""
    pa.set_cpu_count(1)
    with threadpool_limits(1):
        population = Population(n_series, seed)
        before, started = _resident(), time.perf_counter()
        flow = _flow(n_series, serves)
        watch = Stopwatch()
        _watch(watch, flow)
        spent, errors = list[dict[str, float]](), list[float]()
        for tick in range(START_TICK, START_TICK + warm + ticks):
            _minute(flow, population, tick, publish=tick >= START_TICK + warm - 1)
            spent.append(watch.take())
            errors.append(population.with_errors)
        measured = spent[warm:]
        return {
            "series": population.n_series,
            "services": population.n_services,
            "share_with_errors": float(np.mean(errors)),
            "incidents": flow.learners.of(TENANT).onsets,
            "rows_learned": flow.learners.of(TENANT).online.n_rows,
            "seconds": {part: float(np.mean([one.get(part, 0.0) for one in measured])) for part in _PARTS},
            "slowest": {part: float(np.max([one.get(part, 0.0) for one in measured])) for part in _PARTS},
            "line_s": float(np.mean([sum(one.get(part, 0.0) for part in _LINE) for one in measured])),
            "slowest_line_s": float(np.max([sum(one.get(part, 0.0) for part in _LINE) for one in measured])),
            "bytes": {name: total / population.n_series for name, total in bytes_of(_state(flow)).items()},
            "grown_bytes": (_resident() - before) / population.n_series,
            "peak_bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / population.n_series,
            "took_s": time.perf_counter() - started,
        }


def _resident() -> int:
    gc.collect()
    return resident_bytes()


def _flow(n_series: int, serves: Champion) -> Flow:
    plan = FlowPlan(MemoryPlan(max_series=2 * n_series, max_series_per_tenant=2 * n_series))
    flow = Flow(plan, Telemetry())
    flow.promote(TENANT, serves)
    return flow


def _minute(flow: Flow, population: Population, tick: int, *, publish: bool) -> None:
    """Let a minute's messages and its end go through the line, as the worker does."""
    for partition, message in population.messages(tick):
        flow.absorb(partition, message)
    flow.forecast(tick + 1, dict.fromkeys(range(PARTITIONS), tick - START_TICK), publish=publish)
    if tick % _FLUSH_TICKS == 0 or flow.chronicle.n_rows > _FLUSH_ROWS:
        flow.chronicle.tables()
        flow.chronicle.clear()


def _watch(watch: Stopwatch, flow: Flow) -> None:
    ensemble = flow.learners.of(TENANT).champion
    assert ensemble is not None  # promoted by `_flow`
    for owner, names, part in (
        (flow, ("absorb",), "absorb"),
        (flow, ("forecast",), "rest"),
        (flow.memory, ("advance",), "windows"),
        (app.flow, ("extract",), "features"),
        (flow.anomalies, ("advance",), "anomalies"),
        (flow.trends, ("advance",), "trends"),
        (flow.trends, ("outputs",), "documents"),
        (ensemble.ensemble, ("hazards",), "ensemble"),
        (flow.learners, ("hazards",), "online, blend"),
        (flow, ("settle",), "settle"),
        (flow.chronicle, ("add_closed", "add_errors", "add_forecasts", "add_incidents"), "history rows"),
        (flow.anomalies, ("scores",), "documents"),
        (flow, ("publish",), "documents"),
        (flow.publisher, ("incidents",), "documents"),
    ):
        for name in names:
            watch.watch(owner, name, part)


def _state(flow: Flow) -> list[tuple[str, object]]:
    """Return everything that is kept between two ticks, by part."""
    memory, errors = flow.memory, list(flow.errors.values())
    return [
        ("names", memory.directory),
        ("windows", memory.windows),
        ("rhythm", memory.rhythm),
        ("facts of services", memory.facts),
        ("incidents, intensity", (memory.onsets, memory.excitation)),
        ("names as they come, calls", memory),
        ("anomalies", flow.anomalies),
        ("trends", flow.trends),
        ("forecasts that wait", flow.learners.maturing),
        (
            "learners",
            [(m.online, m.blend, m.recalibration, m.drifts, m.rivalry, m.progressive) for m in flow.learners.members.values()],
        ),
        ("what was forecast before", flow.publisher),
        ("recent errors", [part.recent for part in errors]),
        ("repeats", [part.repeats for part in errors]),
        ("fingerprints", errors),
        ("rows for history", flow.chronicle),
        ("the champion", flow.learners),
        ("the newest tick", flow),
    ]


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the tables."""
    head = f"{'':28}" + "".join(f"{one['series']:>12,}" for one in found)

    def row(name: str, values: list[float], digits: int = 3) -> str:
        growth = f"{values[-1] / values[0]:>10.2f}" if len(values) > 1 and values[0] else ""
        return f"{name:28}" + "".join(f"{value:12,.{digits}f}" for value in values) + growth

    told = [f"{'CPU seconds a tick':28}", head]
    told += [row(part, [one["seconds"][part] for one in found]) for part in _PARTS]
    told += [row("windows to settle", [one["line_s"] for one in found])]
    told += [row("  slowest tick", [one["slowest_line_s"] for one in found])]
    told += [row("all but absorb", [sum(one["seconds"].values()) - one["seconds"]["absorb"] for one in found])]
    told += ["", f"{'bytes a series':28}", head]
    told += [row(part, [one["bytes"][part] for one in found], 0) for part in found[0]["bytes"]]
    told += [row("all that is kept", [sum(one["bytes"].values()) for one in found], 0)]
    told += [row("process grew by", [one["grown_bytes"] for one in found], 0)]
    told += [row("  at its peak", [one["peak_bytes"] for one in found], 0), ""]
    for one in found:
        told.append(
            f"{one['series']:,} series of {one['services']:,} services: {one['share_with_errors']:.1%} fail in a tick, "
            f"{one['incidents']} incidents began, {one['rows_learned']:,} rows learned online, {one['took_s']:.0f} s"
        )
    return told


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--ticks", type=int, default=10)
    parser.add_argument("--warm", type=int, default=95)
    answers_as_json(parser)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes that measure
    found = list[dict[str, Any]]()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as alone:
        serves = alone.submit(champion, asked.seed).result()
        for n in asked.series:
            found.append(alone.submit(measure, n, asked.ticks, asked.warm, asked.seed, serves).result())
            print(f"{n:,} series: {found[-1]['took_s']:.0f} s", file=sys.stderr)
    if not asked.json:
        print(*lines(found), sep="\n")
    deliver(asked, sizes=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
