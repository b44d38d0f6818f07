"""Nodes over temporary folders, and what their folders hold when they are gone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.alerts.contract import Channel
from app.alerts.routes import routes_of
from app.history.delta import DeltaHistory
from app.main import Node, Served
from app.replay import append_markers
from app.settings import Settings, load_settings
from features.batch import channel
from features.series import WHOLE

__all__ = ["RunningNode", "counted", "history_rows", "run_node", "settings_in", "states_of", "until"]

DEADLINE_S = 60.0
TICK_NS = 60 * 10**9


def settings_in(folder: Path, **overrides: Any) -> Settings:
    """Return settings of a folder, with free ports and checkpoints at every tick; `store__checkpoint_s=5` sets one."""
    free: dict[str, Any] = {f"server.{name}": 0 for name in ("otlp_http_port", "otlp_grpc_port", "api_port")}
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    brisk = {"cluster.heartbeat_s": 0.1, "cluster.ttl_s": 1.0, "cluster.handover_s": 0.0} if "nats_url" in given else {}
    quiet = {"dashboard.enabled": False}  # NiceGUI is one for a process; tests/app/dashboard have it
    return load_settings(None, data=folder, **{**free, **brisk, **quiet, "store.checkpoint_s": 0.001, **given})


def until(done: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s for {what}"
        time.sleep(0.005)


@dataclass
class RunningNode:
    """A node with its servers, whose clock the test moves; it begins half an hour ago, at a whole minute."""

    node: Node
    clock_ns: list[int]
    served: Served
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60.0))

    @property
    def now_ns(self) -> int:
        """Its clock."""
        return self.clock_ns[0]

    def tick(self, n: int = 1) -> None:
        """End minutes: move the clock, append the markers, and wait until the forecasts are out."""
        tick = self.now_ns // TICK_NS
        append_markers(self.node.store.log, range(tick + 1, tick + n + 1), 60)
        self.clock_ns[0] = (tick + n) * TICK_NS
        worker = self.node.worker
        until(lambda: worker.flow.memory.tick == tick + n and worker.published and not worker.lag(), f"tick {tick + n}")
        worker.checkpoint()

    def get(self, path: str) -> Any:
        """Read from the REST API."""
        answer = self.client.get(f"{self.served.api}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, signal: str, body: bytes, **headers: str) -> httpx.Response:
        """Send OTLP; underscores in header names become dashes."""
        named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"{self.served.otlp_http}/v1/{signal}", content=body, headers=named)

    def metric(self, name: str, **labels: str) -> float:
        """Return what /metrics says, 0 for what was never counted."""
        text = self.client.get(f"{self.served.api}/metrics").text
        shown = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        wanted = f"{name}{{{shown}}} " if labels else f"{name} "
        return next((float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted)), 0.0)


@contextmanager
def run_node(folder: Path, *, channels: Sequence[Channel] = (), **overrides: Any) -> Generator[RunningNode]:
    """Run a node with worker and servers, without the wall clock's ticks; with channels it makes alerts and tells of them."""
    clock_ns = [time.time_ns() // TICK_NS * TICK_NS - 30 * TICK_NS]
    node = Node(settings_in(folder, **overrides), now_ns=lambda: clock_ns[0])
    with closing(node):
        if channels:
            node.channels = channels
            node.routes = routes_of(node.settings.alerts, [channel.name for channel in channels])
            node.start_alerts()
        append_markers(node.store.log, range(clock_ns[0] // TICK_NS, clock_ns[0] // TICK_NS + 1), 60)
        node.start_worker()
        running = RunningNode(node, clock_ns, node.start_servers())
        node.start_peers(running.served)
        live = vars(node.worker)  # not only those that are held: some may still be on their way from the checkpoint
        until(lambda: len(live["_lane"].partitions) == node.store.log.n_partitions, "all partitions")
        with running.client:
            yield running


def counted(node: Node, name: str, service: str, operation: str = WHOLE, tenant: str = "default") -> float:
    """Return the sum of a channel over all windows in memory."""
    windows, row = node.worker.flow.memory.windows, node.worker.flow.memory.directory.find(tenant, service, operation)
    assert row is not None, f"{service} {operation} has no row"
    return float(sum(part[row, :, channel(name)].sum() for part in (windows.fine(), windows.coarse())))


def history_rows(folder: Path, table: str = "windows", without: Sequence[str] = ("offset",)) -> list[tuple[Any, ...]]:
    """Return the rows of a table of history, sorted, without the offsets, which a second attempt moves, or what hangs on these."""
    rows = DeltaHistory(folder / "history").read(table).drop_columns(list(without)).to_pylist()
    return sorted(tuple(map(repr, row.values())) for row in rows)


def states_of(folder: Path) -> dict[tuple[int, str], bytes]:
    """Return the committed state of all partitions, without the offsets of markers."""
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        rows = connection.execute('SELECT "partition", key, value FROM state').fetchall()
    return {(partition, key): value for partition, key, value in rows if key != "worker/markers"}
