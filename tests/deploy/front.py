"""The samples of `deploy/`, with the addresses of a test in the place of theirs, and the proxies started with them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.main import Served
from tests.app.ingest.requests import a_span, as_protobuf, traces
from tests.cluster.servers import free_port, until_listening
from tests.house.sources import ROOT

__all__ = [
    "DEPLOY",
    "KINDS",
    "NODES",
    "PORTS",
    "Front",
    "Ports",
    "command",
    "nobody",
    "placed",
    "ports_of",
    "run_front",
    "spans",
]

DEPLOY = ROOT / "deploy"
NODES = ("fs-1", "fs-2", "fs-3")
"""What the samples call the nodes."""
Ports = Mapping[str, int]
PORTS = {"otlp_http": 4318, "otlp_grpc": 4317, "api": 8318}
KINDS = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}


@dataclass(frozen=True)
class Front:
    """Where a proxy listens, host and port, and where it says what happens to it."""

    otlp_http: str
    otlp_grpc: str
    api: str
    log: Path


def placed(sample: str, listens: Ports, nodes: Sequence[Ports]) -> str:
    """Return a sample that listens on other ports, before nodes at ports of this machine."""
    of_port = {port: name for name, port in PORTS.items()}

    def node(found: re.Match[str]) -> str:
        return f"127.0.0.1:{nodes[NODES.index(found[1])][of_port[int(found[2])]]}"

    text = re.sub(r"\b(fs-\d):(\d+)", node, sample)
    # HAProxy's checks of the OTLP listeners ask the node's API port, which is another one for each node here.
    for name, given in zip(NODES, nodes, strict=True):
        text = re.sub(rf"(server {name} .*check port )8318", rf"\g<1>{given['api']}", text)
    for name, port in PORTS.items():
        text = re.sub(rf"(listen |bind :){port}\b", lambda found, name=name: _listen(found[1], listens[name]), text)
    return text


def _listen(word: str, port: int) -> str:
    return f"listen 127.0.0.1:{port}" if word == "listen " else f"bind 127.0.0.1:{port}"


@contextmanager
def run_front(kind: str, folder: Path, nodes: Sequence[Ports]) -> Generator[Front]:
    """Start a proxy with its sample before nodes, and end it."""
    listens = {name: free_port() for name in PORTS}
    config = folder / KINDS[kind]
    config.write_text(placed((DEPLOY / KINDS[kind]).read_text(), listens, nodes).replace("/tmp/", f"{folder}/"))
    log = folder / "front.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command(kind, config, folder), stdout=said, stderr=said)
    try:
        for port in listens.values():
            until_listening(port)
        yield Front(**{name: f"127.0.0.1:{port}" for name, port in listens.items()}, log=log)
    finally:
        process.terminate()
        process.wait(30)


def command(kind: str, config: Path, folder: Path) -> list[str]:
    """Return what starts a proxy in the foreground."""
    if kind == "haproxy":
        return ["haproxy", "-db", "-f", str(config)]
    user = "user root; " if os.geteuid() == 0 else ""  # its workers would be another user, whom the folder is closed to
    return ["nginx", "-p", str(folder), "-c", str(config), "-g", f"{user}daemon off;"]


def ports_of(served: Served) -> Ports:
    """Return where a node listens."""
    places = {"otlp_http": served.otlp_http, "otlp_grpc": f"//{served.otlp_grpc}", "api": served.api}
    return {name: int(urlsplit(place).port or 0) for name, place in places.items()}


def nobody() -> Ports:
    """Return ports on which nothing listens."""
    return {name: free_port() for name in PORTS}


def spans(now_ns: int, first: int, n: int = 1, **attributes: str) -> bytes:
    """Return a request of spans that no other request has."""
    found = [
        a_span(
            startTimeUnixNano=str(now_ns),
            endTimeUnixNano=str(now_ns + 1),
            traceId=f"{first + i:032x}",
            spanId=f"{first + i:016x}",
            attributes=attributes,
        )
        for i in range(n)
    ]
    return as_protobuf(traces(*found, service="shop"), "traces")
