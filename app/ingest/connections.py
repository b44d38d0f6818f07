"""HTTP/1.1 connections by uvicorn: how long they stay, how large a head may be, and what broken HTTP is answered.

`app.main` serves `app.ingest.http.OtlpHttp` on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from google.rpc.code_pb2 import Code
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.ingest.answers import failure_as
from app.ingest.heads import Head
from app.ingest.http import OtlpHttp
from app.ingest.replies import Reply
from features.values import hot_value

__all__ = ["MAX_HEAD_BYTES", "Connection", "server_of"]

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request's line and headers, or of what frames a chunk. Guessed: eight times what proxies allow by default."""

_TOO_LARGE = 431

# Bodies up to the size for which uvicorn reads ahead anyway are collected before anything is asked of the application.
_COLLECTED_BYTES = 64 * 1024

# How long they are waited for so; then the application reads on, and times them. Guessed: a body of one packet or
# two is there in milliseconds.
_PATIENCE_S = 1.0


@hot_value(eq=False)
class _Collected:
    """An ordinary request whose body arrives, what takes it, and what runs it as a task instead."""

    head: Head
    app: OtlpHttp
    run: Callable[[], None]


class Connection(HttpToolsProtocol):
    """One connection, with a bound on what may arrive without being a body, which uvicorn has none for.

    An ordinary request to `OtlpHttp` is handed over when its body is complete and its reply written in one piece; all
    others run as tasks of ASGI.
    """

    n_head_bytes = 0
    collected: _Collected | None = None
    patience: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self.n_head_bytes += len(data)
        super().data_received(data)
        if self.collected is not None and self.patience is None:
            self.patience = self.loop.call_later(_PATIENCE_S, self._run_as_task)
        if self.n_head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE, f"the head of a request must be <= {MAX_HEAD_BYTES} bytes, got more")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; it is bounded where it is read."""
        self.n_head_bytes = 0
        super().on_body(body)
        if self.collected is not None and len(self.cycle.body) > _COLLECTED_BYTES:
            self._run_as_task()

    def on_message_complete(self) -> None:
        """End a request."""
        self.n_head_bytes = 0
        super().on_message_complete()
        if (collected := self._end_collecting()) is not None:
            body, reply = bytes(self.cycle.body), partial(self._reply, self.cycle)
            if not collected.app.take_ordinary(collected.head, body, reply):
                collected.run()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what had not arrived."""
        self._end_collecting()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin a request, as uvicorn asks for once its head was read, unless its body is collected first."""
        run = partial(super()._start_asgi_task, cycle, app)
        has_come = cycle.body or not cycle.more_body  # while it waited in the pipeline
        if isinstance(app, OtlpHttp) and cycle.keep_alive and not cycle.waiting_for_100_continue and not has_come:
            scope = cycle.scope
            head = app.ordinary(scope["method"], scope["path"], scope["headers"])
            if head is not None:
                self.collected = _Collected(head, app, run)
                return
        run()

    def _run_as_task(self) -> None:
        if (collected := self._end_collecting()) is not None:
            collected.run()

    def _end_collecting(self) -> _Collected | None:
        collected, self.collected = self.collected, None
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None
        return collected

    def _reply(self, cycle: RequestResponseCycle, reply: Reply) -> None:
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        lines = [b"%b: %b\r\n" % pair for pair in reply.all_headers]
        if not cycle.keep_alive:  # the server stops
            lines.append(b"connection: close\r\n")
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[reply.status], b"".join(lines), reply.body))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

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
