"""A node in a process of its own, on ports that nothing else uses: for those who look at one from outside, as notebooks and benchmarks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from app.demo.ports import free_ports

__all__ = ["beside"]

_PORTS = ("OTLP_HTTP_PORT", "OTLP_GRPC_PORT", "API_PORT")


@contextmanager
def beside(log: Path, *words: str) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """Run a command of ``foreshock`` that serves; asked to stop, and waited for, at the end.

    Parameters
    ----------
    log : Path
        Where it says what it does.
    *words : str
        The command and its options.

    Yields
    ------
    process : subprocess.Popen
        Which may have ended by itself.
    url : str
        Where its REST and dashboard are, or will be.
    """
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    environment = os.environ | {f"FORESHOCK_SERVER__{name}": str(port) for name, port in ports.items()}
    command = [sys.executable, "-m", "app.cli", *words]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,  # noqa: S603 - ours  # nosec B603
    ):
        try:
            yield process, f"http://127.0.0.1:{ports['API_PORT']}"
        finally:
            process.send_signal(signal.SIGTERM)
