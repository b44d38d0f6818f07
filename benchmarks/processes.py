"""The receivers of the ingest benchmark as processes, and the CPU time of each one's whole process tree.

CPU time is user plus system time of every thread of the receiver and of every process that it started, living or
ended. It is read from the kernel's CPU clock of each living process, which counts in nanoseconds what
`/proc/PID/stat` gives in hundredths of a second, and from that file for children that have ended.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from app.demo.ports import free_ports
from benchmarks.otlp_clients import Address

__all__ = ["Receiver", "cpu_s", "find_rotel", "foreshock", "rotel", "tree"]

_START_S = 180.0
_LAG_S = 120.0
_POLL_S = 0.05
_ASK_S = 0.25  # between questions whether all is absorbed: the answer costs a few ms of what is measured
_ROTEL_BATCH_S = 0.5  # its batches leave after 0.2 s
_TICKS_A_S = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a living process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process tree has used so far."""
    seconds = 0.0
    for process in tree(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ended = int(fields[13]) + int(fields[14])  # cutime and cstime
        seconds += time.clock_gettime((~process << 3) | 2) + ended / _TICKS_A_S  # the clock of all its threads
    return seconds


@dataclass(slots=True)
class Receiver:
    """One running receiver.

    Parameters
    ----------
    name : str
        As in the tables.
    process : Popen
        The root of its process tree.
    address : Address
        Where it listens for OTLP.
    settled : callable
        Returns once it has done all that the requests answered so far ask of it.
    api : int
        Port of `/metrics`, 0 where it has none.
    folder : Path or None
        Its data.
    """

    name: str
    process: subprocess.Popen[bytes]
    address: Address
    settled: Callable[[], None]
    api: int = 0
    folder: Path | None = None
    labels: dict[str, str] = field(default_factory=dict[str, str])

    def cpu_s(self) -> float:
        """Return the seconds of CPU of its process tree so far."""
        return cpu_s(self.process.pid)

    def rss_bytes(self) -> int:
        """Return the resident memory of its process tree."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree(self.process.pid))
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def metrics(self) -> dict[str, float]:
        """Return the samples of `/metrics` by name and labels."""
        if not self.api:
            return {}
        lines = _get(self.api, "/metrics").decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def behind(self) -> int:
        """Return how many messages of the log Foreshock has not absorbed."""
        found = re.search(rb"(\d+) offsets behind", _get(self.api, "/readyz?verbose=1"))
        return int(found[1]) if found else 0

    def stop(self) -> None:
        """End it as a user would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def foreshock(name: str, folder: Path, environment: Mapping[str, str]) -> Receiver:
    """Start `foreshock serve` over a new folder with the default settings and those of the environment."""
    http, grpc, api = free_ports(3)
    ports = {"OTLP_HTTP_PORT": http, "OTLP_GRPC_PORT": grpc, "API_PORT": api}
    env = os.environ | {f"FORESHOCK_SERVER__{key}": str(port) for key, port in ports.items()} | dict(environment)
    folder.mkdir(parents=True)
    with (folder / "foreshock.log").open("wb") as log:
        command = [sys.executable, "-m", "app.cli", "serve", "--data", str(folder / "data")]
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    made = Receiver(name, process, Address(http, grpc), lambda: _absorbed(api), api)
    made.folder, made.labels = folder / "data", dict(environment)
    try:
        _until(lambda: _answers(process, http) and _answers(process, grpc) and _answers(process, api), _START_S)
    except BaseException:
        made.stop()  # nobody else knows of it yet
        raise
    return made


def rotel(binary: Path, folder: Path) -> Receiver:
    """Start rotel with its defaults and the exporter that drops everything."""
    http, grpc = free_ports(2)
    folder.mkdir(parents=True)
    addresses = ["--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]
    files = ["--pid-file", str(folder / "rotel.pid"), "--log-file", str(folder / "rotel-agent.log")]
    with (folder / "rotel.log").open("wb") as log:
        command = [str(binary), "start", "--exporter", "blackhole", *addresses, *files]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    _until(lambda: _answers(process, http) and _answers(process, grpc), _START_S)
    return Receiver("rotel", process, Address(http, grpc), lambda: time.sleep(_ROTEL_BATCH_S))


def find_rotel(given: Path | None) -> Path:
    """Return rotel's program: the one given, or the one of the wheel in the environment that runs this.

    Raises
    ------
    FileNotFoundError
        When there is none.
    """
    folders = [Path(folder) / "rotel" / "rotel-agent" for folder in sys.path]
    for path in [given] if given else folders:
        if path.is_file():
            return path
    raise FileNotFoundError(f"no rotel at {given or 'any place of sys.path'}: pip install '.[bench]', or give --rotel PATH")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"{process.args} ended with {process.returncode}; its log is in the output folder")
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def _absorbed(api: int) -> None:
    _until(lambda: b" 0 offsets behind" in _get(api, "/readyz?verbose=1"), _LAG_S, _ASK_S)


def _get(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _until(holds: Callable[[], bool], seconds: float, every_s: float = _POLL_S) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a receiver was not there or not done after {seconds:g} s")
        time.sleep(every_s)
