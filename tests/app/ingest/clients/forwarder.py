"""Rotel, a collector in Rust, between a client and us: it takes OTLP, gathers it anew and forwards it."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

__all__ = ["forwarder", "program"]

_PATIENCE_S = 30


def program() -> Path | None:
    """Return rotel's program, of the wheel that the extra `bench` installs."""
    found = find_spec("rotel")
    return None if found is None or found.origin is None else Path(found.origin).parent / "rotel-agent"


@contextmanager
def forwarder(protocol: str, compression: str, address: str, folder: Path) -> Generator[str, None, None]:
    """Run a rotel that forwards to an address by `grpc` or `http`; give the address that it takes OTLP/HTTP on.

    When it ends it has forwarded all that it took.
    """
    with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("127.0.0.1", 0)) as grpc:
        taken, unused = (f"127.0.0.1:{held.getsockname()[1]}" for held in (http, grpc))
    told = {
        "--otlp-http-endpoint": taken,
        "--otlp-grpc-endpoint": unused,
        "--exporter": "otlp",
        "--otlp-exporter-endpoint": f"http://{address}",
        "--otlp-exporter-protocol": protocol,
        "--otlp-exporter-compression": compression,
        "--pid-file": str(folder / "rotel.pid"),
        "--log-file": str(folder / "rotel-agent.log"),
    }
    command = [str(program()), "start", *(word for pair in told.items() for word in pair)]
    with (folder / "rotel.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(process, taken)
        yield taken
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE_S)


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    host, _, port = address.partition(":")
    deadline = monotonic() + _PATIENCE_S
    while process.poll() is None and monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), 1.0).close()
        except OSError:
            sleep(0.02)
        else:
            return
    raise TimeoutError(f"rotel does not listen on {address}, it ended with {process.poll()}")
