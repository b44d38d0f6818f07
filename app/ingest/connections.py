"""HTTP/1.1 connections by uvicorn: how many there are, how long they stay, what they may bring and be answered.

`app.main` serves `app.ingest.http.OtlpHttp` on them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.ingest.heads import encoding_of
from app.ingest.http import OtlpHttp
from app.ingest.replies import Reply, failed
from app.ingest.senders import COUNTED, Ordinary
from features.errors import PartStopped
from features.values import hot_value

__all__ = ["MAX_CONNECTIONS", "MAX_HEADERS", "MAX_HEAD_BYTES", "MAX_PIPELINED", "Connection", "server_of"]

MAX_CONNECTIONS = 4096
"""Open at a time. The setting `server.max_connections` says why."""

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request's line and headers, or of what frames a chunk. Guessed: eight times what proxies allow by default."""

MAX_HEADERS = 256
"""Headers of a request. Guessed: proxies allow 100; while a head is read each takes far more than its bytes."""

MAX_PIPELINED = 16
"""Requests that may wait behind one that is not answered yet. Guessed: exporters wait for each answer."""

# Bodies up to the size for which uvicorn reads ahead anyway are collected before anything is asked of the application.
_COLLECTED_BYTES = 64 * 1024

# What a browser says at once is a click or a word to search for. Guessed.
_MESSAGE_BYTES = 2**18

# How long they are waited for so; then the application reads on, and times them. Guessed: a body of one packet or
# two is there in milliseconds.
_PATIENCE_S = 1.0

# Guessed: two round trips and a signature, of the slowest link some tenths of a second.
_HANDSHAKE_S = 10.0


class _Refused(Exception):
    """What a sender brings ends its connection. Raised inside of the parser, so that it reads no further."""

    def __init__(self, status: HTTPStatus, message: str, limit: str) -> None:
        super().__init__(message)
        self.status = status
        self.limit = limit


class _Flow(FlowControl):
    """Reads on only while nothing waits: no request for its turn, and no answer for its reader.

    uvicorn reads on after every answer, and so takes in all that is sent by one who waits for none.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Read on, unless something waits."""
        if not self.write_paused and not self._pipeline:
            super().resume_reading()

    def pause_writing(self) -> None:
        """Read no more requests of one who does not read answers."""
        super().pause_writing()
        self.pause_reading()

    def resume_writing(self) -> None:
        """Write and read on."""
        super().resume_writing()
        self.resume_reading()


@hot_value(eq=False)
class _Collected:
    """An ordinary request whose body arrives, what takes it, and what runs it as a task instead."""

    request: Ordinary
    app: OtlpHttp
    run: Callable[[], None]


class Connection(HttpToolsProtocol):
    """One connection, with bounds on all that may arrive without being a body, which uvicorn has none for.

    An ordinary request to `OtlpHttp` is handed over when its body is complete and its reply written in one piece; all
    others run as tasks of ASGI.
    """

    max_connections = MAX_CONNECTIONS
    n_head_bytes = 0
    collected: _Collected | None = None
    patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are too many. It may be silent for as long as an idle one."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = _Flow(self.transport, self.pipeline)
        if len(self.connections) > self.max_connections:
            message = f"connections must be <= {self.max_connections}, got one more; come again"
            self._refuse(_Refused(HTTPStatus.SERVICE_UNAVAILABLE, message, "connections"))
        else:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.transport.is_closing():
            return
        self.n_head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            if self._should_upgrade():
                self._unset_keepalive_if_required()  # a socket is kept for as long as it answers pings
                self.handle_websocket_upgrade()
            else:
                self._read_without_upgrade(data[exc.args[0] :])
            return
        except httptools.HttpParserError as exc:
            found = exc.__context__
            self._refuse(found if isinstance(found, _Refused) else _Refused(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1", ""))
            return
        if self.collected is not None and self.patience is None:
            self.patience = self.loop.call_later(_PATIENCE_S, self._run_as_task)
        if self.n_head_bytes > MAX_HEAD_BYTES or len(self.headers or ()) > MAX_HEADERS:
            self._refuse(_too_large())

    def on_headers_complete(self) -> None:
        """Begin a request. Until here a connection counts as idle, however slowly a head arrives."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # it comes again
        if len(self.headers) > MAX_HEADERS or (self.n_head_bytes > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES):
            raise _too_large()
        if len(self.pipeline) >= MAX_PIPELINED:
            message = f"requests that wait on one connection must be <= {MAX_PIPELINED}, got one more"
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, message, "pipelined")
        self._unset_keepalive_if_required()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; it is bounded where it is read."""
        self.n_head_bytes = 0
        super().on_body(body)
        if self.collected is not None and len(self.cycle.body) > _COLLECTED_BYTES:
            self._run_as_task()

    def on_message_complete(self) -> None:
        """End a request."""
        if self.parser.should_upgrade():
            return
        self.n_head_bytes = 0
        super().on_message_complete()
        if (collected := self._end_collecting()) is not None:
            body, reply = bytes(self.cycle.body), partial(self._reply, self.cycle)
            if not collected.app.take_ordinary(collected.request, body, reply):
                collected.run()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what had arrived, at once: nothing here may wait for the garbage collector."""
        self._end_collecting()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        self.pipeline.clear()
        self.cycle = None  # pyright: ignore[reportAttributeAccessIssue]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin a request, as uvicorn asks for once its head was read, unless it is refused or its body collected first."""
        run = partial(super()._start_asgi_task, cycle, app)
        has_come = cycle.body or not cycle.more_body  # while it waited in the pipeline
        if isinstance(app, OtlpHttp) and cycle.keep_alive and not cycle.waiting_for_100_continue and not has_come:
            scope = cycle.scope
            request = app.ordinary(scope["method"], scope["path"], scope["headers"], scope["client"])
            if request is not None and (refusal := app.refusal(request)) is not None:
                self._reply(cycle, refusal)  # what arrives of the body is thrown away
                return
            if request is not None:
                scope[COUNTED] = request.counted  # pyright: ignore[reportGeneralTypeIssues] - for `run`, if it comes to that
                self.collected = _Collected(request, app, run)
                return
        run()

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a request that asks for another protocol as if it did not, as a server may (RFC 9110, 7.8).

        The parser would leave out its body. Java's HttpClient asks for HTTP/2 so with every first request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(_Refused(HTTPStatus.BAD_REQUEST, "this is no proxy", ""))
            return
        lines = [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.n_head_bytes = 0
        self.data_received(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, b"".join(lines), rest))

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
        self._write(reply, closes=not cycle.keep_alive)  # as the server stops
        self.on_response_complete()

    def _write(self, reply: Reply, *, closes: bool) -> None:
        lines = [b"%b: %b\r\n" % pair for pair in reply.all_headers]
        if closes:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[reply.status], b"".join(lines), reply.body))
        if closes:
            self.transport.close()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, refused: _Refused) -> None:
        """Answer with a Status, as everything is, and hang up; without an answer while an earlier one is due."""
        if isinstance(self.app, OtlpHttp):
            self.app.count_refusal(refused.status, refused.limit)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        of_earlier = cycle is not None and not cycle.response_complete and not cycle.more_body
        if self.pipeline or of_earlier:
            self.transport.close()
            return
        content_type = dict(self.headers or ()).get(b"content-type", b"").decode("latin-1")
        self._write(failed(refused.status, str(refused), encoding_of(content_type)), closes=True)


def _too_large() -> _Refused:
    bounds = f"{MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers"
    return _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head of a request must be <= {bounds}, got more", "head")


class _Server(uvicorn.Server):
    """Gives a handshake of TLS, which counts as no connection yet, seconds instead of a minute."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on sockets that are open."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise PartStopped("the application did not start; the log says why")
        config, loop = self.config, asyncio.get_running_loop()
        timeout_s = _HANDSHAKE_S if config.ssl else None

        def connection() -> asyncio.Protocol:
            made: Any = config.http_protocol_class
            return made(config=config, server_state=self.server_state, app_state=self.lifespan.state)

        self.servers = [
            await loop.create_server(
                connection, sock=each, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=timeout_s
            )
            for each in sockets or ()
        ]
        self.started = True


def server_of(
    app: ASGIApp,
    keep_alive_s: int = 120,
    max_connections: int = MAX_CONNECTIONS,
    *,
    sockets: bool = False,
    context: ssl.SSLContext | None = None,
) -> uvicorn.Server:
    """Return the server of an application: its `run` takes the sockets to listen on.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    keep_alive_s : int
        Seconds for which an idle connection is kept.
    max_connections : int
        Connections at a time; one more is answered 503 and closed.
    sockets : bool
        Whether a connection may become a WebSocket, as the dashboard wants.
    context : ssl.SSLContext, optional
        With the certificate to show; without one connections are not encrypted.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=type("Connection", (Connection,), {"max_connections": max_connections}),
        ws="websockets-sansio" if sockets else "none",
        ws_max_size=_MESSAGE_BYTES,
        proxy_headers=False,
        log_config=None,  # through the handlers of the process, which take secrets out
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=5,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    return _Server(config)
