"""``foreshock cluster-demo``: three servers and three nodes on one machine with the shop's traffic, to kill one and watch.

`app.demo.cluster` starts the processes, `app.demo.live` plays the shop, `app.demo.relay` sends it to whichever node takes it. What is
shown is what the nodes say of each other, `GET /api/v1/nodes`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live
from rich.text import Text

from app.demo.cluster import ClusterPlan, DemoCluster, Part
from app.demo.live import live
from app.demo.relay import Relay, Relayed
from app.demo.simulate import Shop
from app.signals import on_stop

__all__ = ["ClusterDemoOptions", "Seen", "Watch", "lines_of", "run", "seen_by"]

_ASK_S = 2.0
_LOOK_S = 1.0
_DRAIN_S = 10.0
_SETTINGS = {
    "CLUSTER__PARTITIONS": "24",  # twice the services of the shop: more would stay empty
    "CLUSTER__STREAMS": "3",
    "STORE__CHECKPOINT_S": "60",  # what a killed node leaves to read again
}


@dataclass(frozen=True, slots=True)
class ClusterDemoOptions:
    """What to start and play.

    Parameters
    ----------
    nodes, servers : int
        How many.
    seed : int
        Decides the shop.
    faults_per_day : float
        Expected faults a day.
    restart_s : float
        Seconds after which what was killed is started again; 0 never does.
    """

    nodes: int = 3
    servers: int = 3
    seed: int = 1
    faults_per_day: float = 48.0
    restart_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as the others see it.

    Parameters
    ----------
    id, state : str
        Its name, and whether it lives.
    held : tuple of int
        The partitions that it holds.
    lag : int
        Entries that it has not absorbed.
    """

    id: str
    state: str
    held: tuple[int, ...]
    lag: int


def run(folder: Path, options: ClusterDemoOptions, console: Console) -> None:
    """Start all, play, and show how the nodes are until Ctrl-C.

    Raises
    ------
    InvalidSetting
        When there is no nats-server.
    PartStopped
        When the cluster does not come up.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it asks every second
    stop = threading.Event()
    cluster = DemoCluster(folder, ClusterPlan(options.nodes, options.servers, settings=_SETTINGS))
    with on_stop(_ending(stop)), closing(cluster):
        cluster.start(partial(_say, console))
        start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
        shop = Shop(options.seed, 1.0, options.faults_per_day, start)
        with closing(Relay([node.otlp_http for node in cluster.nodes])) as relay:
            player = threading.Thread(target=live, args=(relay.url, shop, lambda: datetime.now(UTC), stop), daemon=True)
            player.start()
            _say(console, "\n".join(_where(cluster, options)))
            try:
                _show(cluster, Watch(options.restart_s, time.monotonic), relay, console, stop)
            finally:
                stop.set()
                player.join(_DRAIN_S)
                relay.settle(_DRAIN_S)
                _say(console, _sent(relay.relayed))
        _say(console, "stopping: each node hands its partitions over first")


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False)


def seen_by(nodes: Sequence[Part]) -> list[Seen]:
    """Return the nodes as the first one sees them that answers; nothing where none does."""
    for node in nodes:
        if not node.runs:
            continue
        try:
            answer = httpx.get(f"{node.api}/api/v1/nodes", timeout=_ASK_S)
        except httpx.HTTPError:
            continue
        if answer.is_success:
            return [_seen(each) for each in answer.json()["items"]]
    return []


def _seen(node: Mapping[str, Any]) -> Seen:
    return Seen(str(node["id"]), str(node["state"]), tuple(node["partitions"]), int(node["lag"]))


class Watch:
    """Notices what ended and starts it again after a while, and how long partitions were with nobody.

    Parameters
    ----------
    restart_s : float
        Seconds after which it starts again what ended; 0 never does.
    monotonic : callable
        Seconds.
    """

    def __init__(self, restart_s: float, monotonic: Callable[[], float]) -> None:
        self._restart_s = restart_s
        self._monotonic = monotonic
        self._ended: dict[str, float] = {}
        self._moving_since: float | None = None

    def look(self, parts: Sequence[Part], n_held: int, n_partitions: int) -> list[str]:
        """Return what happened since the last look, a line each.

        Parameters
        ----------
        parts : sequence of Part
            All servers and nodes.
        n_held, n_partitions : int
            Partitions that living nodes hold, and how many there are.
        """
        now = self._monotonic()
        said: list[str] = []
        for part in parts:
            if part.runs:
                self._ended.pop(part.name, None)
            elif part.name not in self._ended:
                self._ended[part.name] = now
                self._moving_since = now
                code = part.process.returncode if part.process else None
                after = f"; it starts again in {self._restart_s:g} s" if self._restart_s else ""
                said.append(f"{part.name} (pid {part.pid}) ended with {code}{after}")
            elif self._restart_s and now - self._ended[part.name] >= self._restart_s:
                part.start()
                said.append(f"{part.name} was started again, pid {part.pid}")
        if n_held < n_partitions and self._moving_since is None:
            self._moving_since = now
        elif n_held == n_partitions and self._moving_since is not None:
            said.append(f"all {n_partitions} partitions are held, {now - self._moving_since:.1f} s after that began")
            self._moving_since = None
        return said


def lines_of(parts: Sequence[Part], seen: Sequence[Seen], relayed: Relayed) -> list[str]:
    """Return a table of the nodes and what became of the telemetry, a line each."""
    by_name = {each.id: each for each in seen}
    rows = [("name", "pid", "process", "state", "partitions", "lag")]
    for part in parts:
        node = by_name.get(part.name)
        state, held, lag = (node.state, f"{len(node.held)}", f"{node.lag}") if node else ("", "", "")
        rows.append((part.name, str(part.pid), "runs" if part.runs else "ended", state, held, lag))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, _sent(relayed)]


def _sent(relayed: Relayed) -> str:
    return f"requests: {relayed.taken} taken, {relayed.again} sent again, {relayed.waiting} waiting, {relayed.lost} lost"


def _show(cluster: DemoCluster, watch: Watch, relay: Relay, console: Console, stop: threading.Event) -> None:
    parts = [*cluster.nodes, *cluster.servers]
    n_partitions, before = int(_SETTINGS["CLUSTER__PARTITIONS"]), list[Seen]()
    with Live(console=console, auto_refresh=False, transient=True) as shown:
        while not stop.wait(_LOOK_S):
            seen = seen_by(cluster.nodes)
            held = {number for each in seen if each.state != "dead" for number in each.held}
            for line in watch.look(parts, len(held), n_partitions):
                _say(console, f"{datetime.now(UTC):%H:%M:%S} {line}")
            lines = lines_of(parts, seen, relay.relayed)
            if console.is_terminal:
                shown.update(Text("\n".join(lines)), refresh=True)
            elif [(each.id, each.state, each.held) for each in seen] != [(each.id, each.state, each.held) for each in before]:
                _say(console, "\n".join(lines))
            before = seen


def _where(cluster: DemoCluster, options: ClusterDemoOptions) -> list[str]:
    lines = [f"{node.name}  pid {node.pid}  OTLP/HTTP {node.otlp_http}  REST {node.api}/api/v1/nodes" for node in cluster.nodes]
    lines += [f"{server.name}  pid {server.pid}" for server in cluster.servers]
    again = f"; it starts again after {options.restart_s:g} s" if options.restart_s else ""
    victim = cluster.nodes[-1]
    lines.append(f"kill one and watch its partitions move: kill -9 {victim.pid}{again}")
    lines.append(f"logs and data: {cluster.folder}; stop with Ctrl-C")
    return lines


def _ending(stop: threading.Event) -> Callable[[], None]:
    """Return what a signal does: the first ends, the second does not wait for it."""

    def end() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    return end
