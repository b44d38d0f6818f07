"""Seconds for which senders are refused while a node moves from its folder into a cluster of three servers on this machine.

    python benchmarks/migrate.py [--services 500] [--minutes 5] [--history] [--json]

Every service sends a request of 40 spans a minute, a quarter of them failed; nothing of the last minutes is behind a checkpoint. The counts in the
cluster have to be those that were sent; if one is not, the exit code is 1. With `--history` history goes to an object store on this machine, and has to hold
as many of each service once the node on the cluster has gone on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from app.commands.migrate_command import migrate
from app.replay import append_markers
from features.series import WHOLE
from tests.app.ingest.requests import a_span, as_json, traces
from tests.cluster.servers import Servers
from tests.nodes import TICK_NS, RunningNode, counted, run_node, settings_in, until
from tests.object_store import object_store

__all__ = ["main", "measure"]

SPANS = 40


def measure(folder: Path, services: int, minutes: int, *, history: bool = False) -> dict[str, Any]:
    """Return the seconds of each step, and how many counts are wrong."""
    (folder / "servers").mkdir()
    servers = Servers(folder / "servers")
    over: dict[str, Any] = {"cluster__monitor_urls": tuple(servers.monitors)}
    if history:
        store = object_store()
        over |= {"history_url": store.place(), **{f"history_options.{name}": value for name, value in store.options.items()}}
    told: list[float] = []
    try:
        with run_node(folder / "data", store__checkpoint_s=3600) as before:
            for minute in range(minutes):
                _send(before, services, minute)
                if history and minute == 0:
                    before.node.worker.checkpoint()  # so that the folder has tables
            begun = perf_counter()
        stopped = perf_counter()
        report, _ = migrate(
            settings_in(folder / "data", **over),
            ",".join(servers.urls),
            lambda _share, text: told.append(perf_counter()) if text == "copying history" else None,
        )
        moved = perf_counter()
        with run_node(folder / "data", nats_url=",".join(servers.urls), cluster__partitions=8, **over) as after:
            answering = perf_counter()
            until(lambda: not after.node.worker.lag(), "the log")
            wrong = sum(counted(after.node, "total", f"s{n}") != SPANS * minutes for n in range(services))
            if history:
                after.clock_ns[0] = before.now_ns
                wrong += _wrong_in_history(after, services, minutes)
    finally:
        servers.close()
    steps = {"stop_s": stopped - begun, "migrate_s": moved - stopped, "start_s": answering - moved}
    if told:
        steps["of_it_history_s"] = told[-1] - told[0]
    return {**{name: round(seconds, 1) for name, seconds in steps.items()}, **report, "wrong": wrong}


def _wrong_in_history(running: RunningNode, services: int, minutes: int) -> int:
    """Take in one more minute on the cluster, and return of how many services history holds another number than was sent."""
    _send(running, services, minutes)
    running.node.worker.checkpoint()
    rows = running.node.history.read("windows", columns=["service", "operation", "total"])
    found = Counter[str]()
    for row in rows.to_pylist():
        found[row["service"]] += row["total"] if row["operation"] == WHOLE else 0
    return sum(found[f"s{n}"] != SPANS * (minutes + 1) for n in range(services))


def _send(running: RunningNode, services: int, minute: int) -> None:
    for service in range(services):
        first = (minute * services + service) * SPANS
        spans = [
            a_span(
                startTimeUnixNano=str(running.now_ns + n),
                endTimeUnixNano=str(running.now_ns + n + 1),
                traceId=f"{first + n + 1:032x}",
                spanId=f"{first + n + 1:016x}",
                status={"code": 2} if n % 4 == 0 else {},
            )
            for n in range(SPANS)
        ]
        running.post("traces", as_json(traces(*spans, service=f"s{service}"))).raise_for_status()
    tick, worker = running.now_ns // TICK_NS + 1, running.node.worker
    append_markers(running.node.store.log, range(tick, tick + 1), 60)
    running.clock_ns[0] = tick * TICK_NS
    until(lambda: worker.flow.memory.tick == tick and not worker.lag(), f"tick {tick}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Downtime of a move into a cluster.")
    parser.add_argument("--services", type=int, default=500, help="services that send")
    parser.add_argument("--minutes", type=int, default=5, help="minutes without a checkpoint")
    parser.add_argument("--history", action="store_true", help="move history to an object store too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = measure(Path(folder), asked.services, asked.minutes, history=asked.history)
    if asked.json:
        where = {"machine": platform.platform(), "cores": os.cpu_count(), "date": datetime.now(UTC).isoformat()}
        print(json.dumps(found | where))
    else:
        for name, value in found.items():
            print(f"{name}: {value}")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
