"""OTLP/HTTP: ``POST /v1/{traces,logs,metrics}`` as a bare ASGI app, answered to the letter of OTLP 1.11.

Requests come from uvicorn (`app.ingest.connections`); the body is read within bounds, inflated, and handed to
`Receiver.take` on the event loop, or on a thread when it is large. Answers leave when what was taken is durable.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeAlias

from google.rpc.code_pb2 import Code
from prometheus_client import Counter

from app.ingest.admit import Hold, TenantRoomFull, TooManyCalls, UnknownContentType, admit_encoding, admit_tenant, limit_of
from app.ingest.answers import RETRY_AFTER_S, accepted, failure_as
from app.ingest.cors import Cors
from app.ingest.inflate import InflatedTooLarge, expected_bytes, inflate
from app.ingest.otlp import SIGNALS, Encoding, Signal
from app.ingest.receive import Receiver
from app.ingest.turns import Turns
from app.ingest.wakes import Wakes
from app.settings import IngestSettings
from features.batch import Batch
from features.errors import BodyTooLarge, ForeshockError, InvalidValue, PartStopped

__all__ = ["OtlpHttp"]

logger = logging.getLogger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_SIGNAL_OF: dict[str, Signal] = {f"/v1/{signal}": signal for signal in SIGNALS}
_CONTENT_TYPES: dict[Encoding, bytes] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}
_RETRY_AFTER = (b"retry-after", str(RETRY_AFTER_S).encode())

# A body that stops arriving holds its bytes; a minute is far longer than any exporter's own timeout (10 s by default).
_BODY_TIMEOUT_S = 60.0

# Bodies of up to so many decompressed bytes are worked on right on the loop: a hop to a thread and back costs 0.1 ms,
# which is what a body of 512 spans (180 KB) costs to inflate. Larger ones would keep the others waiting; of these it
# does a few at a time (`app.ingest.turns`).
_INLINE_BYTES = 2**20

# Of large bodies two are decoded at a time: Python runs one anyway, and what decoding needs beside the body is
# bounded by this number, not by that of the senders.
_WORKERS = 2

_PACKED_ANSWER_BYTES = 1024  # a shorter answer fits a packet either way
_TAKES_GZIP = re.compile(
    r"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q\s*=\s*(?!0(?:\.0{0,3})?\s*(?:,|$))[\d.]+\s*)?(?:,|$)", re.IGNORECASE
)


class _Gone(Exception):
    """The sender went away before its body ended."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What goes back; without an encoding it has no body."""

    status: HTTPStatus
    body: bytes
    encoding: Encoding | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class _Request:
    """One request whose head was read."""

    tenant: str
    signal: Signal
    encoding: Encoding
    content_encoding: str


class OtlpHttp:
    """The ASGI app of OTLP/HTTP.

    Parameters
    ----------
    receiver : Receiver
        Decodes and appends.
    default_tenant : str
        Tenant of a request without ``X-Scope-OrgID``.
    workers : int
        Threads that inflate and decode large bodies.
    body_timeout_s : float
        Seconds in which a body must have arrived.
    cors : Cors, optional
        Which pages may send from a browser; none by default.
    max_calls : int
        Requests under way; more are refused before their bodies are read.
    """

    def __init__(
        self,
        receiver: Receiver,
        default_tenant: str,
        workers: int = _WORKERS,
        body_timeout_s: float = _BODY_TIMEOUT_S,
        cors: Cors | None = None,
        max_calls: int = 512,
    ) -> None:
        self._receiver = receiver
        self._default_tenant = default_tenant
        self._body_timeout_s = body_timeout_s
        self._cors = cors or Cors(IngestSettings())
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="otlp-http")
        self._max_calls = max_calls
        self._n_calls = 0
        self._closed = False
        self._wakes: Wakes | None = None
        self._turns: Turns | None = None
        self._seconds = receiver.telemetry.request_seconds.labels(protocol="http")
        self._counted: dict[tuple[Signal | None, HTTPStatus], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "http":
            await self._answer_request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            raise NotImplementedError(f"scope type must be http or lifespan, got {scope['type']}")

    def close(self) -> None:
        """Let the requests under way end, and the threads with them."""
        self._closed = True
        self._threads.shutdown(wait=True)

    async def _answer_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            text = value.decode("latin-1")
            headers[name] = f"{headers[name]}, {text}" if name in headers else text  # RFC 9110, 5.3
        signal = _SIGNAL_OF.get(scope["path"])
        try:
            answer = await self._answer(scope["method"], signal, headers, receive)
        except _Gone:
            return
        counter = self._counted.get((signal, answer.status))
        if counter is None:
            labels = {"protocol": "http", "signal": signal or "none", "code": str(int(answer.status))}
            counter = self._counted[signal, answer.status] = self._receiver.telemetry.requests.labels(**labels)
        counter.inc()
        cors = self._cors.of_answer(headers.get(b"origin", "")) if self._cors.is_on and answer.encoding else ()
        await _send(send, answer, headers.get(b"accept-encoding", ""), cors)

    async def _answer(self, method: str, signal: Signal | None, headers: dict[bytes, str], receive: Receive) -> _Answer:
        encoding: Encoding = "json"  # of an answer to a body of no known encoding
        unknown: UnknownContentType | None = None
        try:
            encoding = admit_encoding(headers.get(b"content-type", ""))
        except UnknownContentType as exc:
            unknown = exc
        if signal is None:
            return _failed(HTTPStatus.NOT_FOUND, f"path must be one of {', '.join(_SIGNAL_OF)}", encoding)
        if method != "POST":
            return self._answer_other(method, headers, encoding)
        try:
            if unknown is not None:
                raise unknown
            tenant = admit_tenant(headers.get(b"x-scope-orgid", ""), self._default_tenant)
            request = _Request(tenant, signal, encoding, headers.get(b"content-encoding", "").strip().lower())
            batch = await self._admitted(request, headers.get(b"content-length", "0"), receive)
            return _Answer(HTTPStatus.OK, accepted(batch, signal, encoding), encoding)
        except TimeoutError:
            return _failed(HTTPStatus.REQUEST_TIMEOUT, f"the body must arrive within {self._body_timeout_s:g} s", encoding)
        except ForeshockError as exc:
            if limit := limit_of(exc):
                self._receiver.telemetry.limited.labels(reason=limit).inc()
            return _failed(_status_of(exc), str(exc), encoding)
        except _Gone:
            raise
        except Exception:
            # A fault of ours. The sender is told so in its own encoding, and the other requests go on.
            logger.exception("a request to /v1/%s failed", signal)
            self._receiver.telemetry.faults.labels(place="http").inc()
            return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, "the request met a fault of the service", encoding)

    def _answer_other(self, method: str, headers: dict[bytes, str], encoding: Encoding) -> _Answer:
        origin = headers.get(b"origin", "")
        if method == "OPTIONS" and self._cors.is_on and origin and b"access-control-request-method" in headers:
            if self._cors.allows(origin):
                return _Answer(HTTPStatus.NO_CONTENT, b"", None, self._cors.of_preflight(origin))
            return _failed(HTTPStatus.FORBIDDEN, f"pages of {origin[:100]} may not send here", encoding)
        refused = _failed(HTTPStatus.METHOD_NOT_ALLOWED, f"method must be POST, got {method}", encoding)
        return _Answer(refused.status, refused.body, encoding, ((b"allow", b"POST"),))

    async def _admitted(self, request: _Request, declared: str, receive: Receive) -> Batch:
        """Read a body and take what it says, while there is room for one more."""
        if self._n_calls >= self._max_calls:
            # Otherwise requests would wait in their sockets, unseen, until their senders give up on them.
            raise TooManyCalls(f"requests under way must be <= {self._max_calls}, got one more; send it again")
        self._receiver.admit()
        self._n_calls += 1
        try:
            with self._receiver.room.hold(request.tenant) as hold:
                async with asyncio.timeout(self._body_timeout_s):
                    body = await self._read(request, declared, receive, hold)
                return await self._take(request, body, hold)
        finally:
            self._n_calls -= 1

    async def _read(self, request: _Request, declared: str, receive: Receive, hold: Hold) -> bytes:
        """Return the body, counting what arrives, since a chunked one says no length."""
        limits = self._receiver.limits
        is_packed = request.content_encoding not in {"", "identity"}
        max_bytes = min(limits.max_body_bytes, limits.max_packed_bytes) if is_packed else limits.max_body_bytes
        parts: list[bytes] = []
        n_bytes = 0
        over = declared.isdigit() and int(declared[:20]) > max_bytes
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            more = message.get("more_body", False)
            n_bytes += len(part)
            if n_bytes > max_bytes or over:
                over = True
                parts.clear()
                # A client that is still sending does not read an answer, so some is read and thrown away first.
                if n_bytes > 2 * max_bytes:
                    break
                continue
            hold.grow_to(n_bytes)
            parts.append(part)
        if over:
            raise BodyTooLarge(f"body must be <= {max_bytes} bytes, got more")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _take(self, request: _Request, body: bytes, hold: Hold) -> Batch:
        if self._closed:
            raise PartStopped("the service is stopping; send the request again")
        begun = perf_counter()
        batch, durable = await self._decode(request, body, hold)
        if not durable.done():
            if self._wakes is None:
                self._wakes = Wakes(asyncio.get_running_loop())
            await self._wakes.wait(durable)
        durable.result()
        self._seconds.observe(perf_counter() - begun)
        return batch

    async def _decode(self, request: _Request, body: bytes, hold: Hold) -> tuple[Batch, Future[list[int]]]:
        most = self._receiver.limits.max_body_bytes
        if expected_bytes(body, request.content_encoding) <= _INLINE_BYTES:
            if self._turns is None:
                self._turns = Turns(asyncio.get_running_loop())
            work = partial(self._work, request, body, hold, min(most, _INLINE_BYTES))
            try:
                return await self._turns.later(work) if self._turns.over else self._turns.run(work)
            except InflatedTooLarge:  # the body said it were smaller; a thread looks how large it is
                if most <= _INLINE_BYTES:
                    raise
        try:
            threaded = asyncio.get_running_loop().run_in_executor(self._threads, self._work, request, body, hold, most)
        except RuntimeError:  # the pool takes no more work
            raise PartStopped("the service is stopping; send the request again") from None
        return await threaded

    def _work(self, request: _Request, body: bytes, hold: Hold, max_bytes: int) -> tuple[Batch, Future[list[int]]]:
        plain = inflate(body, request.content_encoding, max_bytes, hold.grow_to)
        return self._receiver.take(request.tenant, request.signal, request.encoding, plain)


_CODES = {
    HTTPStatus.FORBIDDEN: Code.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.UNIMPLEMENTED,
    HTTPStatus.REQUEST_TIMEOUT: Code.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.TOO_MANY_REQUESTS: Code.UNAVAILABLE,
    HTTPStatus.INTERNAL_SERVER_ERROR: Code.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.UNAVAILABLE,
}


def _status_of(error: ForeshockError) -> HTTPStatus:
    match error:
        case UnknownContentType():
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case BodyTooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case InvalidValue():
            return HTTPStatus.BAD_REQUEST
        case TenantRoomFull():
            return HTTPStatus.TOO_MANY_REQUESTS
        case _:
            # Overloaded, and whatever the log raises: the sender is to try again rather than to drop what it has.
            return HTTPStatus.SERVICE_UNAVAILABLE


def _failed(status: HTTPStatus, message: str, encoding: Encoding) -> _Answer:
    code = _CODES.get(status, Code.INVALID_ARGUMENT)
    headers = (_RETRY_AFTER,) if code == Code.UNAVAILABLE else ()
    return _Answer(status, failure_as(code, message, encoding), encoding, headers)


async def _send(send: Send, answer: _Answer, accept_encoding: str, cors: Headers) -> None:
    body, headers = answer.body, [*answer.headers, *cors]
    if answer.encoding is not None:
        if len(body) > _PACKED_ANSWER_BYTES:
            headers.append((b"vary", b"accept-encoding"))
            if _TAKES_GZIP.search(accept_encoding):
                body = gzip.compress(body, 6)
                headers.append((b"content-encoding", b"gzip"))
        headers += [(b"content-type", _CONTENT_TYPES[answer.encoding]), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
