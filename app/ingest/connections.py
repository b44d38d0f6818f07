"""HTTP/1.1 connections by uvicorn: how long they stay, how large a head may be, and what broken HTTP is answered.

`app.main` serves `app.ingest.http.OtlpHttp` on them.
"""

from __future__ import annotations

import uvicorn
from google.rpc.code_pb2 import Code
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.ingest.answers import failure_as

__all__ = ["MAX_HEAD_BYTES", "Connection", "server_of"]

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request's line and headers, or of what frames a chunk. Guessed: eight times what proxies allow by default."""

_TOO_LARGE = 431


class Connection(HttpToolsProtocol):
    """One connection, with a bound on what may arrive without being a body, which uvicorn has none for."""

    n_head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self.n_head_bytes += len(data)
        super().data_received(data)
        if self.n_head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE, f"the head of a request must be <= {MAX_HEAD_BYTES} bytes, got more")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; it is bounded where it is read."""
        self.n_head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self.n_head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a Status, as everything else is."""
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        body = failure_as(Code.INVALID_ARGUMENT, message, "json")
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def server_of(app: ASGIApp, keep_alive_s: int = 120) -> uvicorn.Server:
    """Return the server of an application: its `run` takes the sockets to listen on.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    keep_alive_s : int
        Seconds for which an idle connection is kept.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        proxy_headers=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
