"""Real nats-servers for tests, from the wheel that brings the binary."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from app.demo.ports import free_ports
from tests.cluster.links import Link, Links
from tests.ending import at_end

__all__ = ["BINARY", "Accounts", "Servers", "free_port", "until_listening"]

BINARY = Path(sys.executable).parent / "nats-server"
_ACCOUNTS = 600
_given: set[int] = set()


class Accounts:
    """One server with many accounts, each of which is an empty cluster of its own."""

    def __init__(self) -> None:
        self.folder = TemporaryDirectory()
        self.port = free_port()
        names = [f"a{n}" for n in range(_ACCOUNTS)]
        accounts = "\n".join(
            f"  {name} {{ users: [{{user: {name}, password: {name}}}], jetstream: enabled }}" for name in names
        )
        config = Path(self.folder.name) / "server.conf"
        config.write_text(
            f"listen: 127.0.0.1:{self.port}\nmax_payload: 8MB\n"
            f'jetstream {{ store_dir: "{self.folder.name}/data", sync_interval: always }}\naccounts {{\n{accounts}\n}}\n'
        )
        log = Path(self.folder.name) / "log"
        self.process = subprocess.Popen([BINARY, "-c", config, "-l", log])
        at_end(self.close)
        self._free = itertools.count()
        self._of: dict[Path, str] = {}
        until_listening(self.port)

    def connect(self, folder: Path) -> dict[str, object]:
        """Return options of a connection to the account that stands for a folder."""
        name = self._of.setdefault(folder, f"a{next(self._free)}")
        return {"servers": f"nats://127.0.0.1:{self.port}", "user": name, "password": name}

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Servers:
    """A cluster of real servers on this machine, each of which can be killed and started again.

    Parameters
    ----------
    folder : Path
        Where they keep their data and logs.
    n : int
        How many; one is no cluster.
    sync : str
        When they write through.
    disk : str
        How much each may store, empty for what the machine has.
    links : Links, optional
        Makes a link of its own from each server to each other one, which `cut_off` cuts.
    """

    def __init__(self, folder: Path, n: int = 3, sync: str = "always", disk: str = "", links: Links | None = None) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(n)]
        self._monitors = [free_port() for _ in range(n)]
        routes = [free_port() for _ in range(n)]
        pairs = itertools.permutations(range(n), 2)
        self.routes: dict[tuple[int, int], Link] = {(i, j): links.to(routes[j]) for i, j in pairs} if links else {}
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * n
        most = f", max_file_store: {disk}" if disk else ""
        for number in range(n):
            others = [self.routes[number, j].port if links else routes[j] for j in range(n) if j != number]
            # What servers tell each other of addresses would lead around the links.
            told = 'advertise: "127.0.0.1:9", no_advertise: true, ' if links else ""
            named = ", ".join(f'"nats://127.0.0.1:{port}"' for port in others)
            (folder / f"{number}.conf").write_text(
                f"server_name: n{number}\nhttp: 127.0.0.1:{self._monitors[number]}\nlisten: 127.0.0.1:{self.ports[number]}\nmax_payload: 8MB\n"
                f'jetstream {{ store_dir: "{folder}/data{number}", sync_interval: {sync}{most} }}\n'
                + (f"cluster {{ name: tests, listen: 127.0.0.1:{routes[number]}, {told}routes: [{named}] }}\n" if n > 1 else "")
            )
            self.start(number)

    @property
    def urls(self) -> list[str]:
        """Addresses of all, also of those that do not run."""
        return [f"nats://127.0.0.1:{port}" for port in self.ports]

    @property
    def monitors(self) -> list[str]:
        """Addresses of their monitoring."""
        return [f"http://127.0.0.1:{port}" for port in self._monitors]

    def start(self, number: int) -> None:
        """Start a server and wait until it listens."""
        command = [BINARY, "-c", self.folder / f"{number}.conf", "-l", self.folder / f"{number}.log"]
        self.processes[number] = subprocess.Popen(command)
        until_listening(self.ports[number])

    def kill(self, number: int) -> None:
        """Kill a server with no chance to say farewell."""
        process = self.processes[number]
        if process is not None:
            process.kill()
            process.wait()
            self.processes[number] = None

    def pause(self, number: int) -> None:
        """Stop a server (SIGSTOP) without anybody hearing of it."""
        process = self.processes[number]
        if process is not None:
            process.send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        """Let a stopped server go on."""
        process = self.processes[number]
        if process is not None:
            process.send_signal(signal.SIGCONT)

    def cut_off(self, number: int, *, hold: bool = False) -> None:
        """Part a server from the others, which clients reach still: connections end, or hang where `hold`."""
        for pair, link in self.routes.items():
            if number in pair:
                (link.hold if hold else link.cut)()

    def heal(self) -> None:
        """Join all servers again."""
        for link in self.routes.values():
            link.heal()

    def close(self) -> None:
        """Kill all."""
        for number in range(len(self.processes)):
            self.kill(number)


def free_port() -> int:
    """Return a port that nobody listens on now, and that no test got before.

    What a test got may have no listener yet, or none for a moment, so neither this process nor another one of the same run gives it again.
    """
    worker, n_workers = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        (port,) = free_ports(1)
        if port not in _given and port % n_workers == int(worker.removeprefix("gw")) % n_workers:
            _given.add(port)
            return port


def until_listening(port: int, host: str = "127.0.0.1") -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=1.0).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"no server listens on port {port}")
