"""How long a node takes from its start to ready over a large checkpointed state, and how fast it absorbs the log behind it.

    python -m benchmarks.start [--series 90000] [--ticks 4] [--behind 2] [--cluster] [--json] [--out FILE]

A node in a process of its own takes what `benchmarks.scale_population` sends, `--ticks` minutes of it over the log, and makes a checkpoint; further
`--behind` minutes go into the log alone. Then the node is started as a user starts it (`foreshock serve`): once over the checkpoint, and once with
the minutes behind it to absorb. Both are measured from the start of the process until `/readyz` answers 200 and nothing is left to absorb, so
what the second takes more is replay: entries and spans a second. Nobody else must use the folder's disk meanwhile.

90,000 series are about 0.5 GB of state; what it came to is in the answer. `--cluster` keeps it in three NATS servers on this machine, with 8 partitions
as the folder has; else it is SQLite.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from app.demo.cluster import ClusterPlan, DemoCluster, Part
from app.ingest.codec import pack
from app.main import Node
from app.replay import append_markers
from app.settings import load_settings
from benchmarks.answers import answers_as_json, deliver
from benchmarks.processes import cpu_s
from benchmarks.scale_population import PARTITIONS, START_TICK, Population

__all__ = ["main"]

_ABSORBED_S, _STARTED_S = 3600.0, 1800.0
_TOGETHER = 256  # messages appended at once


def fill(environment: dict[str, str], series: int, minutes: range, seed: int, checkpoint: bool) -> dict[str, float]:
    """Append minutes of the population; with a checkpoint, absorb them first and bring the state to disk."""
    os.environ.update(environment)
    population = Population(series, seed)
    with closing(Node(load_settings())) as node:
        if checkpoint:
            append_markers(node.store.log, range(minutes.start, minutes.start + 1), 60)
            node.start_worker()
        entries, spans = 0, 0.0
        for tick in range(START_TICK, minutes.stop):
            made = list(population.messages(tick))  # also those that are in already: the population draws one after the other
            if tick not in minutes:
                continue
            packed = [(partition, message.batch_id, pack(message)) for partition, message in made]
            for first in range(0, len(packed), _TOGETHER):
                node.store.log.append_many(packed[first : first + _TOGETHER])
            append_markers(node.store.log, range(tick + 1, tick + 2), 60)
            entries += len(packed)
            spans += sum(float(message.batch.n_records) for _, message in made)
        if checkpoint:
            _wait(node, _ABSORBED_S)
            node.worker.checkpoint()
        return {"entries": entries, "records": spans}


def _wait(node: Node, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while node.worker.lag():
        node.check_alive()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{node.worker.lag()} entries were not absorbed after {seconds:g} s")
        time.sleep(0.05)


def started(node: Part) -> dict[str, float]:
    """Start a node, and return what it took until it was ready with nothing left to absorb."""
    begun = time.perf_counter()
    node.start()
    listens_s = 0.0
    while time.perf_counter() - begun < _STARTED_S:
        try:
            found = re.search(r"(\d+) offsets behind", httpx.get(f"{node.api}/readyz?verbose=1", timeout=60).text)
            listens_s = listens_s or time.perf_counter() - begun
            if found and not int(found[1]) and holds_all(node):
                elapsed = time.perf_counter() - begun
                return {"listens_s": listens_s, "elapsed_s": elapsed, "cpu_s": cpu_s(node.pid)}
        except httpx.HTTPError:
            pass
        if not node.runs:
            break
        time.sleep(0.05)
    raise TimeoutError(f"{node.name} was not there after {_STARTED_S:g} s: {node.log.read_text()[-2000:]}")


def holds_all(node: Part) -> bool:
    """Return whether it holds all partitions: a node of a cluster is none of its members at first, and then listens for others."""
    members = httpx.get(f"{node.api}/api/v1/nodes", timeout=60).raise_for_status().json()["items"]
    return sum(len(member["partitions"]) for member in members) == PARTITIONS


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make the state, and start over it."""
    bounds = {
        "FEATURES__MAX_SERIES": str(2 * asked.series),
        "FEATURES__MAX_SERIES_PER_TENANT": str(2 * asked.series),
        "STORE__CHECKPOINT_S": "3600",
        "CLUSTER__PARTITIONS": str(PARTITIONS),
        "CLUSTER__STREAMS": "3",
    }
    cluster = DemoCluster(folder, ClusterPlan(nodes=1, servers=3 if asked.cluster else 1, settings=bounds))
    (node,) = cluster.nodes
    if not asked.cluster:
        cluster.servers.clear()
        node.environment = {
            key: value for key, value in node.environment.items() if "_CLUSTER__" not in key and not key.endswith("NATS_URL")
        }
    given = {key: value for key, value in node.environment.items() if key.startswith("FORESHOCK_")}
    ticks = range(START_TICK, START_TICK + asked.ticks)
    with closing(cluster):
        cluster.nodes.clear()
        cluster.start()
        filled = _apart(fill, given, asked.series, ticks, asked.seed, True)
        state_bytes = _bytes_of(folder)
        cluster.nodes.append(node)
        bare = started(node)
        node.kill()
        behind = _apart(fill, given, asked.series, range(ticks.stop, ticks.stop + asked.behind), asked.seed, False)
        full = started(node)
        rss = int(Path(f"/proc/{node.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    replay_s = max(full["elapsed_s"] - bare["elapsed_s"], 1e-3)
    return {
        "store": "3 NATS servers" if asked.cluster else "SQLite",
        "series": asked.series,
        "state": state_bytes,
        "filled": filled,
        "start": bare,
        "start_behind": full,
        "behind": behind,
        "replay_entries_per_s": behind["entries"] / replay_s,
        "replay_records_per_s": behind["records"] / replay_s,
        "rss_bytes": rss,
    }


def _apart(function: Any, *arguments: object) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _bytes_of(folder: Path) -> dict[str, int]:
    """Return what lies on disk, by where."""
    found: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            top = path.relative_to(folder).parts[0]
            found[top] = found.get(top, 0) + path.stat().st_size
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=90_000)
    parser.add_argument("--ticks", type=int, default=4, help="minutes before the checkpoint")
    parser.add_argument("--behind", type=int, default=2, help="minutes behind it")
    parser.add_argument("--cluster", action="store_true", help="in three NATS servers")
    answers_as_json(parser)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        found = measure(asked, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(found, file=sys.stderr)
    deliver(asked, starts=found, load=list(os.getloadavg()))


if __name__ == "__main__":
    main()
