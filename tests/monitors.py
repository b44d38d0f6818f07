"""Real programs of the Prometheus project, run for a test on free ports."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.cluster.servers import free_port
from tests.nodes import until

__all__ = ["alertmanager", "prometheus"]


@contextmanager
def alertmanager(folder: Path, config: str) -> Generator[str]:
    """Run an Alertmanager that has no cluster; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    options = [f"--storage.path={folder / 'am'}", "--cluster.listen-address=", f"--web.listen-address={address}"]
    with _running(folder, "prometheus-alertmanager", config, options, f"http://{address}") as found:
        yield found


@contextmanager
def prometheus(folder: Path, config: str) -> Generator[str]:
    """Run a Prometheus; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    options = [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    with _running(folder, "prometheus", config, options, f"http://{address}") as found:
        yield found


@contextmanager
def _running(folder: Path, program: str, config: str, options: Sequence[str], url: str) -> Generator[str]:
    (folder / f"{program}.yml").write_text(config, encoding="utf-8")
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen([program, f"--config.file={folder / program}.yml", *options], stdout=log, stderr=log)
    try:
        until(lambda: _ready(process, url), program)
        yield url
    finally:
        process.terminate()
        process.wait()


def _ready(process: subprocess.Popen[bytes], url: str) -> bool:
    assert process.poll() is None, "it ended: its log says why"
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False
