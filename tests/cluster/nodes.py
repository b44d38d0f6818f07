"""Real node processes over real servers on this machine, each link of which can be cut, and each process killed or stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.cluster_settings import ClusterSettings
from app.settings import Settings
from tests.cluster.links import Link, Links
from tests.cluster.servers import Servers, free_port, until_listening

__all__ = ["Cluster", "NodeProcess", "Shape"]

ROOT = Path(__file__).parent.parent.parent
READY_S = 120.0
SERVE = "from app.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a cluster is, and how fast its time goes."""

    nodes: int = 3
    servers: int = 3
    partitions: int = 12
    streams: int = 4
    tick_s: int = 2
    lateness_s: int = 118  # 59 ticks, the most that windows keep open: what is sent again after a minute is not too late
    checkpoint_s: float = 4.0
    log_bytes: int = 2**28  # half an hour of the load and to spare: what an undisturbed worker is to read must not be let go of


@dataclass(eq=False)
class NodeProcess:
    """One `foreshock serve`, with a folder of its own and links of its own to the servers."""

    number: int
    folder: Path
    links: Sequence[Link]
    tree: Path = ROOT
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in ("http", "grpc", "api")})
    process: subprocess.Popen[bytes] | None = None
    paused: bool = False

    @property
    def name(self) -> str:
        """Its id in the cluster."""
        return f"node{self.number}"

    @property
    def api(self) -> str:
        """Address of its REST API."""
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def alive(self) -> bool:
        """Whether its process runs, stopped or not."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process; `until_ready` waits for it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FORESHOCK_")}
        environment |= {"PYTHONPATH": str(self.tree), "PYTHONUNBUFFERED": "1"}
        # What is installed is compiled; a node that compiles its sources at each start takes half as long again.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(self.folder.parent / "compiled")
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-c", SERVE, "serve", "--config", str(self.folder / "config.toml")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)

    def until_ready(self) -> float:
        """Wait until it takes requests, and return how many seconds that took."""
        began = time.monotonic()
        while time.monotonic() < began + READY_S:
            assert self.alive, f"{self.name} ended: {self.tail()}"
            try:
                if httpx.get(f"{self.api}/livez", timeout=1.0).is_success:
                    until_listening(self.ports["http"])
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise TimeoutError(f"{self.name} does not answer: {self.tail()}")

    def kill(self) -> None:
        """End it with no chance to say farewell."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process, self.paused = None, False

    def terminate(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(120.0)
            except subprocess.TimeoutExpired as exc:
                raise TimeoutError(f"{self.name} does not end: {self.tail()}") from exc
        self.process = None

    def pause(self) -> None:
        """Stop it (SIGSTOP): it lives, and knows nothing of the time that passes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)
            self.paused = True

    def resume(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def part(self, *, hold: bool = False) -> None:
        """Part it from all servers: connections end, or hang where `hold`."""
        for link in self.links:
            (link.hold if hold else link.cut)()

    def heal(self) -> None:
        """Let it reach all servers again."""
        for link in self.links:
            link.heal()

    def tail(self, n: int = 25) -> str:
        """Return the last lines of its log."""
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-n:])


class Cluster:
    """Servers, and nodes over them.

    Parameters
    ----------
    folder : Path
        Where all of it lies.
    shape : Shape
        How large it is.
    tree : Path, optional
        The source tree that nodes run, this one by default.
    """

    def __init__(self, folder: Path, shape: Shape | None = None, tree: Path = ROOT) -> None:
        self.folder, self.shape, self.tree = folder, shape or Shape(), tree
        self.links = Links()
        (folder / "servers").mkdir(parents=True, exist_ok=True)
        self.servers = Servers(folder / "servers", self.shape.servers, links=self.links)
        self.nodes: list[NodeProcess] = []
        self._made = 0
        try:
            for _ in range(self.shape.nodes):
                self.add_node()
            for node in self.nodes:
                node.until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def history(self) -> Path:
        """Where history lies that all nodes share; the only node's own folder where there is no setting for it."""
        shared = "history_url" in Settings.model_fields
        return self.folder / "history" if shared else self.nodes[0].folder / "data" / "history"

    @property
    def living(self) -> list[NodeProcess]:
        """Nodes that run and are not stopped."""
        return [node for node in self.nodes if node.alive and not node.paused]

    def add_node(self) -> NodeProcess:
        """Start one more node with the key of the first, and return it without waiting."""
        number, self._made = self._made, self._made + 1
        folder = self.folder / f"node{number}"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        node = NodeProcess(number, folder, [self.links.to(port) for port in self.servers.ports], self.tree)
        (folder / "config.toml").write_text(self._config(node))
        key = self.folder / "node0" / "data" / "signing.key"
        if number:
            while not key.exists():  # the first one makes it at its start
                assert not self.nodes or self.nodes[0].alive, self.nodes[0].tail()
                time.sleep(0.05)
            shutil.copy(key, folder / "data" / "signing.key")
        node.start()
        self.nodes.append(node)
        return node

    def heal(self) -> None:
        """Undo whatever was done: start what is dead, let go on what is stopped, join what was parted."""
        for number, process in enumerate(self.servers.processes):
            if process is None or process.poll() is not None:
                self.servers.start(number)
            self.servers.resume(number)
        self.servers.heal()
        for node in self.nodes:
            node.heal()
            node.resume()
            if not node.alive:
                node.start()
        for node in self.nodes:
            node.until_ready()

    def close(self) -> None:
        """Kill everything."""
        for node in self.nodes:
            node.kill()
        self.servers.close()
        self.links.close()

    def _config(self, node: NodeProcess) -> str:
        shape, ports = self.shape, node.ports
        urls = ",".join(f"nats://127.0.0.1:{link.port}" for link in node.links)
        monitors = ", ".join(f'"{url}"' for url in self.servers.monitors)
        shared = f'history_url = "{self.folder}/history"\n' if "history_url" in Settings.model_fields else ""
        named = f'node = "{node.name}"\n' if "node" in ClusterSettings.model_fields else ""
        return (
            f'data = "{node.folder}/data"\nnats_url = "{urls}"\n{shared}'
            f"[server]\notlp_http_port = {ports['http']}\notlp_grpc_port = {ports['grpc']}\napi_port = {ports['api']}\n"
            f"[cluster]\n{named}monitor_urls = [{monitors}]\npartitions = {shape.partitions}\nstreams = {shape.streams}\n"
            f"[features]\ntick_s = {shape.tick_s}\nlateness_s = {shape.lateness_s}\n"
            f"[store]\ncheckpoint_s = {shape.checkpoint_s}\nlog_max_bytes = {shape.log_bytes}\n"
        )
