"""What 1, 2 and 3 nodes cost on a cluster of three NATS servers: CPU of nodes and of servers apart, through the whole line.

    python -m benchmarks.cluster [--nodes 1 2 3] [--requests 600] [--spans 512] [--errors 0.01] [--servers 3] [--json] [--out FILE]

For each number of nodes a cluster is started anew (`app.demo.cluster`: processes, `sync_interval: always`, three replicas, 64 partitions).
Bodies are those of `benchmarks.ingest`, gzip protobuf requests of 512 spans by default, of 64 services, all different; senders are processes of their own,
one a node, whose cost does not count. Measured are

- a start over an empty cluster until `/readyz` answers 200;
- idling, over which ticks pass and heartbeats go;
- the load, from the first request until every node has absorbed all: CPU seconds of the nodes' and of the servers' processes by the kernel's
  clocks, bytes that went through loopback and that servers wrote. A request is answered only after two servers of three have it on disk;
- replay: all nodes are killed with nothing checkpointed, and started again, from the start until all is absorbed; the same once more with all of it
  checkpointed is subtracted;
- history: every span sent must have been counted by the nodes together, and stand in the tables of history. If not, the exit code is 1.

`--nodes 0` is one node on SQLite, without servers. One machine holds all: with few processors, nodes take them from each other, so what adds up
over machines is CPU, not the wall clock.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np

from app.demo.cluster import ClusterPlan, DemoCluster, Part
from app.history.delta import DeltaHistory
from benchmarks.answers import answers_as_json, deliver
from benchmarks.otlp_bodies import Body, Template, bodies, templates
from benchmarks.otlp_clients import Address, Sent, send
from benchmarks.processes import cpu_s, tree

__all__ = ["Measured", "main"]

_GROUPS = 16  # of four services each
_ABSORBED_S = 600.0
_HISTORY_S = 400.0  # a tick, a checkpoint and what others of the machine take
_ASK_S = 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """What one number of nodes cost.

    Parameters
    ----------
    nodes : int
        How many; 0 is one node on SQLite.
    spans : int
        Sent in the load.
    start_s : float
        Until an empty cluster was ready, after its servers were.
    idle_nodes, idle_servers : float
        Cores that all nodes and all servers use while nothing comes.
    node_cpu_s, server_cpu_s : float
        CPU a million spans, idling within that time included.
    elapsed_s, p50_s, p99_s : float
        Of the load, and of its answers.
    wire_bytes, disk_bytes : float
        A span: through loopback in all, senders and replication; written by processes of servers, or of the node on SQLite.
    rss_mib : float
        Of the largest node.
    replay_s, replay_cpu_s : float
        Until a restart had absorbed the load again, and CPU of the nodes for it, a restart over a checkpoint subtracted.
    counted, stored : int
        Spans that the nodes counted, and that stand in history.
    sent : int
        Spans that should, those of warming up included.
    """

    nodes: int
    spans: int
    start_s: float
    idle_nodes: float
    idle_servers: float
    node_cpu_s: float
    server_cpu_s: float
    elapsed_s: float
    p50_s: float
    p99_s: float
    wire_bytes: float
    disk_bytes: float
    rss_mib: float
    replay_s: float
    replay_cpu_s: float
    counted: int
    stored: int
    sent: int

    @property
    def faults(self) -> list[str]:
        """What speaks against the measurement."""
        found = {"counted": self.counted, "stored in history": self.stored}
        return [f"{self.nodes} nodes: {n} spans were {what}, {self.sent} sent" for what, n in found.items() if n != self.sent]


class Bench:
    """A running cluster and the load for it."""

    def __init__(self, cluster: DemoCluster, asked: argparse.Namespace) -> None:
        self.cluster = cluster
        self.nodes, self.servers = cluster.nodes, cluster.servers
        self._asked = asked
        self._rng = np.random.default_rng(asked.seed)
        self._forms = forms_of(asked.spans, asked.errors, asked.seed)
        self.sent = 0

    def load(self, n_requests: int) -> list[Sent]:
        """Send requests to all nodes at once, and return when all is absorbed."""
        made = bodies(self._forms, n_requests, self._rng, time.time_ns())
        shares = [made[k :: len(self.nodes)] for k in range(len(self.nodes))]
        connections = max(self._asked.connections // len(self.nodes), 1)
        ports = [int(node.otlp_http.rpartition(":")[2]) for node in self.nodes]
        with ProcessPoolExecutor(len(self.nodes), multiprocessing.get_context("spawn")) as senders:
            list(senders.map(abs, range(2 * len(self.nodes))))  # the processes are there before the clock runs
            sent = list(senders.map(partial(_send, connections=connections), ports, shares))
        self.sent += n_requests * self._asked.spans
        self.until(lambda: not self.behind(), _ABSORBED_S, "the load to be absorbed")
        return sent

    def behind(self) -> int:
        """Return how many entries of the log no node has absorbed yet; at least 1 while one does not say."""
        lag = 0
        for node in self.nodes:
            try:
                found = re.search(r"(\d+) offsets behind", httpx.get(f"{node.api}/readyz?verbose=1", timeout=30).text)
            except httpx.HTTPError:
                found = None
            lag += int(found[1]) if found else 1
        return lag

    def counted(self) -> int:
        """Return the spans that all nodes counted."""
        text = "\n".join(httpx.get(f"{node.api}/metrics", timeout=30).text for node in self.nodes)
        return sum(int(float(n)) for n in re.findall(r'^foreshock_records_total\{signal="traces"\} (\S+)$', text, re.MULTILINE))

    def stored(self) -> int:
        """Return the spans that stand in the windows of whole services in history."""
        places = [self.cluster.folder / "history", *(self.cluster.folder / node.name / "history" for node in self.nodes)]
        place = next((one for one in places if (one / "windows").exists()), None)
        if place is None:
            return 0
        rows = DeltaHistory(place).read("windows", columns=["operation", "total", "inner"]).to_pandas()
        whole = rows[rows["operation"] == "*"]
        return round(float(whole["total"].sum() + whole["inner"].sum()))

    def until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait."""
        deadline = time.monotonic() + seconds
        while not holds():
            ended = [part.name for part in (*self.nodes, *self.servers) if not part.runs]
            if ended or time.monotonic() > deadline:
                raise TimeoutError(
                    f"waited {seconds:g} s for {what}; ended meanwhile: {ended}; {self.cluster.folder} has the logs"
                )
            time.sleep(_ASK_S)

    def restart(self, checkpoint_s: float) -> tuple[float, float]:
        """Kill all nodes, start them again, and return wall and CPU seconds until all is absorbed."""
        for node in self.nodes:
            node.kill()
        begun = time.perf_counter()
        for node in self.nodes:
            node.environment = {**node.environment, "FORESHOCK_STORE__CHECKPOINT_S": str(checkpoint_s)}
            node.start()
        self.until(lambda: not self.behind(), _ABSORBED_S, "the restart to have absorbed the log again")
        return time.perf_counter() - begun, _cpu(self.nodes)


def forms_of(n_spans: int, errors: float, seed: int) -> list[Template]:
    """Return templates of requests of four of 64 services each."""
    rng = random.Random(seed)
    groups = [[f"service-{4 * group + k:02d}" for k in range(4)] for group in range(_GROUPS)]
    return [form for group in groups for form in templates("traces", n_spans, errors, rng, group)[:2]]


def measure(asked: argparse.Namespace, n_nodes: int, folder: Path) -> Measured:
    """Start a cluster of so many nodes, and measure it."""
    embedded = n_nodes == 0
    plan = ClusterPlan(max(n_nodes, 1), asked.servers, settings={"STORE__CHECKPOINT_S": "3600"})
    cluster = DemoCluster(folder, plan)
    if embedded:
        _without_servers(cluster)
    with closing(cluster):
        bench = Bench(cluster, asked)
        begun = time.perf_counter()
        cluster.start()
        start_s = time.perf_counter() - begun
        bench.load(max(asked.requests // 10, 16))
        idle_nodes, idle_servers = _idle(bench, asked.idle)
        before = (_cpu(bench.nodes), _cpu(bench.servers), _loopback_bytes(), _written(bench))
        begun = time.perf_counter()
        sent = bench.load(asked.requests)
        elapsed_s = time.perf_counter() - begun
        after = (_cpu(bench.nodes), _cpu(bench.servers), _loopback_bytes(), _written(bench))
        node_cpu_s, server_cpu_s, wire, disk = (end - start for start, end in zip(before, after, strict=True))
        rss = max(_rss_bytes(node) for node in bench.nodes) / 2**20
        counted = bench.counted()
        replay_s, replay_cpu_s = bench.restart(checkpoint_s=15.0)
        bench.until(lambda: bench.stored() >= bench.sent, _HISTORY_S, f"history: {bench.stored()} of {bench.sent} spans")
        stored = bench.stored()
        again_s, again_cpu_s = bench.restart(checkpoint_s=3600.0)
        spans = asked.requests * asked.spans
        p50, p99 = np.quantile([s for one in sent for s in one.answers_s], (0.5, 0.99)).tolist()
        million = spans / 1e6
        return Measured(
            n_nodes, spans, start_s, idle_nodes, idle_servers, node_cpu_s / million, server_cpu_s / million, elapsed_s, p50, p99,
            wire / spans, disk / spans, rss, max(replay_s - again_s, 0.0), max(replay_cpu_s - again_cpu_s, 0.0), counted,
            stored, bench.sent,
        )  # fmt: skip


def _without_servers(cluster: DemoCluster) -> None:
    cluster.servers.clear()
    for node in cluster.nodes:
        cluster_only = ("FORESHOCK_NATS_URL", "FORESHOCK_CLUSTER__")
        node.environment = {key: value for key, value in node.environment.items() if not key.startswith(cluster_only)}


def _send(port: int, share: Sequence[Body], connections: int) -> Sent:
    return send(Address(port, 0), "http", "traces", share, connections)


def _idle(bench: Bench, seconds: float) -> tuple[float, float]:
    nodes, servers, begun = _cpu(bench.nodes), _cpu(bench.servers), time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - begun
    return (_cpu(bench.nodes) - nodes) / elapsed, (_cpu(bench.servers) - servers) / elapsed


def _cpu(parts: Sequence[Part]) -> float:
    return sum(cpu_s(part.pid) for part in parts)


def _rss_bytes(part: Part) -> int:
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree(part.pid))
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def _written(bench: Bench) -> int:
    """Return the bytes that the processes of the log had written to disk: the servers, or the node that has none."""
    texts = [Path(f"/proc/{part.pid}/io").read_text() for part in (bench.servers or bench.nodes)]
    return sum(int(re.findall(r"^write_bytes: (\d+)$", text, re.MULTILINE)[0]) for text in texts)


def _loopback_bytes() -> int:
    """Return what went through loopback so far, of all processes of the machine."""
    (line,) = re.findall(r"^\s*lo:(.+)$", Path("/proc/net/dev").read_text(), re.MULTILINE)
    return int(line.split()[0])


def table(rows: Sequence[Measured]) -> str:
    """Return what was measured as a table."""
    head = (
        "| nodes | spans/s | CPU-s a million spans: nodes | servers | share of servers | p50 | p99 ms | bytes a span: wire | disk |"
        " idle cores: nodes | servers | start s | replay spans/s | replay CPU-s a million |"
    )
    lines = [head, "|" + "---|" * 14]
    for row in rows:
        million = row.sent / 1e6
        share = row.server_cpu_s / (row.server_cpu_s + row.node_cpu_s)
        lines.append(
            f"| {row.nodes or 'SQLite'} | {row.spans / row.elapsed_s:,.0f} | {row.node_cpu_s:.1f} | {row.server_cpu_s:.1f} | {share:.0%} |"
            f" {row.p50_s * 1e3:.0f} | {row.p99_s * 1e3:.0f} | {row.wire_bytes:.0f} | {row.disk_bytes:.0f} | {row.idle_nodes:.2f} |"
            f" {row.idle_servers:.2f} | {row.start_s:.1f} | {row.sent / max(row.replay_s, 1e-3):,.0f} | {row.replay_cpu_s / million:.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[0, 1, 2, 3], help="0 is one node on SQLite")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--requests", type=int, default=600, help="in the load that is measured")
    parser.add_argument("--spans", type=int, default=512, help="a request; Collectors send up to 8,192")
    parser.add_argument("--errors", type=float, default=0.01, help="share of the spans that failed")
    parser.add_argument("--connections", type=int, default=24, help="each with one request under way, over all nodes")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds without a request")
    answers_as_json(parser)
    asked = parser.parse_args()
    rows: list[Measured] = []
    for n_nodes in asked.nodes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(asked, n_nodes, Path(folder)))
        print(f"{time.strftime('%H:%M:%S')} {rows[-1]}", file=sys.stderr)
    faults = [fault for row in rows for fault in row.faults]
    print("\n".join([table(rows), *faults]), file=sys.stderr)
    deliver(
        asked,
        plan=vars(asked) | {"out": str(asked.out)},
        load=list(os.getloadavg()),
        nodes=[asdict(row) for row in rows],
        faults=faults,
    )
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
