"""What `benchmarks.soak` runs, a node and a receiver of notices, and what it does to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from benchmarks.otlp_clients import Address
from benchmarks.processes import Receiver, tree

__all__ = ["Inbox", "Soaked", "plan", "say"]

_START_S = 600.0  # on a machine that others use too
_SETTLED_S = 600.0
_BLOCK = 16 * 2**20


@dataclass
class Inbox:
    """A receiver of notices that can be away: nothing listens then."""

    port: int
    taken: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    server: ThreadingHTTPServer | None = None

    def open(self) -> None:
        """Listen."""
        inbox = self

        class Asked(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inbox.taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Asked)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Be away."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@dataclass
class Soaked:
    """The node, what is done to it, and what was seen."""

    folder: Path
    inbox: Inbox
    ports: tuple[int, int, int]
    begun: float = 0.0
    receiver: Receiver | None = None
    samples: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    faults: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    burst: dict[str, int] = field(default_factory=lambda: {"spans": 0, "errors": 0})
    failing: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    starting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def node(self) -> Receiver:
        """What runs now."""
        assert self.receiver is not None
        return self.receiver

    def start(self) -> float:
        """Start the node over its folder and return the seconds until it is ready."""
        http, grpc, api = self.ports
        names = {"OTLP_HTTP_PORT": http, "OTLP_GRPC_PORT": grpc, "API_PORT": api}
        env = os.environ | {f"FORESHOCK_SERVER__{key}": str(port) for key, port in names.items()}
        command = [sys.executable, "-m", "app.cli", "serve", "--config", str(self.folder / "soak.toml")]
        begun = time.monotonic()
        with (self.folder / "foreshock.log").open("ab") as log:
            process = subprocess.Popen([*command, "--data", str(self.folder / "data")], env=env, stdout=log, stderr=log)
        self.receiver = Receiver("soak", process, Address(http, grpc), lambda: None, api, self.folder / "data")
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{api}/readyz", timeout=5.0).status_code == 200:
                    return time.monotonic() - begun
            except httpx.HTTPError:
                pass
            if process.poll() is not None or time.monotonic() > begun + _START_S:
                raise RuntimeError(f"the node did not start; {self.folder / 'foreshock.log'} says why")
            time.sleep(0.1)

    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.begun

    def sample(self) -> None:
        """Note what the node holds."""
        pids = tree(self.node.process.pid)
        files = threads = 0
        for pid in pids:
            try:
                files += len(os.listdir(f"/proc/{pid}/fd"))
                threads += len(os.listdir(f"/proc/{pid}/task"))
            except OSError:  # it ended meanwhile
                continue
        data = self.folder / "data"
        noted = {"second": round(self.now(), 1), "files": files, "threads": threads, "processes": len(pids)}
        try:
            noted |= {"rss_mib": round(self.node.rss_bytes() / 2**20, 1), "behind": self.node.behind()}
        except OSError:
            return  # it is being killed
        noted |= {"log_mib": _mib(data.glob("store.db*")), "history_mib": _mib((data / "history").rglob("*"))}
        self.samples.append(noted)

    def absorbed(self) -> None:
        """Wait until nothing is left to absorb."""
        deadline = time.monotonic() + _SETTLED_S
        while self.node.behind():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not absorbed after {_SETTLED_S:g} s")
            time.sleep(0.25)

    def note(self, kind: str, seconds: float, begun: float) -> None:
        """Write down a fault."""
        self.faults.append({"kind": kind, "at_s": round(begun, 1), "seconds": round(seconds, 1)})
        say(f"{begun:.0f} s: {kind} for {seconds:.1f} s")


def _mib(paths: Iterable[Path]) -> float:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return round(total / 2**20, 2)


def kill(run: Soaked, _: float) -> None:
    """Kill the node and start it again; what is still starting is let start first."""
    with run.starting:
        begun = run.now()
        run.node.process.kill()
        run.node.process.wait()
        run.start()
        run.note("kill", run.now() - begun, begun)


def busy_disk(run: Soaked, seconds: float) -> None:
    """Write and flush beside the node."""
    begun, block = run.now(), os.urandom(_BLOCK)
    with (run.folder / "busy").open("wb") as file:
        while run.now() < begun + seconds:
            file.seek(0)
            for _ in range(4):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    run.note("disk", seconds, begun)


def receiver_down(run: Soaked, seconds: float) -> None:
    """Let nobody take notices."""
    begun = run.now()
    run.inbox.close()
    run.ended.wait(seconds)
    run.inbox.open()
    run.note("receiver", run.now() - begun, begun)


def fail(run: Soaked, seconds: float) -> None:
    """Let a service fail."""
    begun, run.failing = run.now(), True
    run.ended.wait(seconds)
    run.failing = False
    run.note("burst", run.now() - begun, begun)


def plan(seconds: float) -> list[tuple[float, Callable[[Soaked, float], None], float]]:
    """Return when which fault begins and for how long, over the length of a run.

    Kills are in its first half. Bursts last four minutes, so that the rule finds an incident, and the receiver is away during every other.
    """
    kills = max(3, round(3 * seconds / 3600))
    found = [(0.5 * seconds * (k + 1) / (kills + 1), kill, 0.0) for k in range(kills)]
    found += [(seconds * share, busy_disk, min(30.0, seconds / 40)) for share in (0.2, 0.45, 0.62, 0.8)]
    bursts = max(2, round(4 * seconds / 3600))
    long = min(240.0, seconds / 6)
    for k in range(bursts):
        begin = seconds * (k + 0.25) / bursts
        found.append((begin, fail, long))
        if k % 2 == 0:
            found.append((begin + long / 3, receiver_down, long))
    return sorted(found, key=lambda one: one[0])


def say(what: str) -> None:
    """Tell whoever watches."""
    print(what, file=sys.stderr, flush=True)
