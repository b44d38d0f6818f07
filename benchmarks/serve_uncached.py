"""The same answers without a cache: a bare ASGI application that computes at every request, on the server that Foreshock uses.

    python -m benchmarks.serve_uncached DATA PORT

`POST /row` takes a row of features and asks the ensemble, as the model servers do. `GET /extract/{service}` does what a tick does for
one series: it builds the features of all series out of the state in the folder, as they are built, and has the tenant's members
forecast one row of them. Neither says why, or what category, as Foreshock's own answer does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
from starlette.types import Receive, Scope, Send

from app.ingest.connections import server_of
from app.jobs import champion_of
from app.main import Node
from app.members import subjects_of
from app.settings import load_settings
from benchmarks.serve_ensemble import predicted
from features.errors import InvalidValue
from features.extract import extract
from features.series import WHOLE
from models.hazard import cumulate
from models.prediction import HORIZONS

__all__ = ["TENANT", "Uncached", "main", "opened"]

TENANT = "default"
_EXTRACT = "/extract/"

_Found: TypeAlias = dict[str, float]


class _Row(msgspec.Struct):
    row: list[float]


def opened(folder: Path) -> Node:
    """Return a node over a data folder with the state of its last checkpoint, and the champion in it."""
    free = {f"server.{name}": 0 for name in ("otlp_http_port", "otlp_grpc_port", "api_port")}
    node = Node(load_settings(None, data=folder, **free))
    node.worker.acquire()
    champion = champion_of(node.registry(TENANT))
    if champion is None:
        raise InvalidValue(f"{folder} must hold a champion, got none; the demo's training did not pass the gate")
    node.worker.flow.promote(TENANT, champion)
    return node


class Uncached:
    """Computes.

    Parameters
    ----------
    node : Node
        From `opened`.
    """

    def __init__(self, node: Node) -> None:
        self._flow = node.worker.flow
        self._members = self._flow.learners.of(TENANT)

    def row(self, row: list[float]) -> _Found:
        """Return what the ensemble says of a row."""
        champion = self._members.champion
        assert champion is not None
        return predicted(champion.ensemble, row)

    def extracted(self, service: str) -> _Found:
        """Return what is served of a service, from its state on."""
        memory = self._flow.memory
        row = memory.directory.find(TENANT, service, WHOLE)
        assert row is not None
        own = np.array([row])
        hazards = self._members.forecast(extract(memory)[own], subjects_of(self._members, memory, own))
        return dict(zip(HORIZONS, cumulate(hazards)[0].tolist(), strict=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith(_EXTRACT):
            await _send(send, lambda: self.extracted(path[len(_EXTRACT) :]))
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await _send(send, lambda: self.row(msgspec.json.decode(body, type=_Row).row))


async def _send(send: Send, compute: Callable[[], _Found]) -> None:
    body = msgspec.json.encode(compute())
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until stopped."""
    server = server_of(Uncached(opened(Path(sys.argv[1]))))
    server.config.host, server.config.port = "127.0.0.1", int(sys.argv[2])
    server.run()


if __name__ == "__main__":
    main()
