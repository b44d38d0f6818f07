"""OTLP/HTTP: ``POST /v1/{traces,logs,metrics}`` as a bare ASGI app, answered to the letter of OTLP 1.11.

Requests come from uvicorn; the body is read within bounds on the event loop, then inflated, decoded and
appended on a thread, since an append waits for the disk. Answers leave when `Receiver.receive` returned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeAlias

from google.rpc.code_pb2 import Code

from app.ingest.admit import Hold, UnknownContentType, admit_encoding, admit_tenant, inflate
from app.ingest.answers import RETRY_AFTER_S, accepted, failure_as
from app.ingest.otlp import SIGNALS, Encoding, Signal
from app.ingest.receive import Receiver
from features.errors import BodyTooLarge, ForeshockError, InvalidValue, PartStopped

__all__ = ["OtlpHttp"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SIGNAL_OF: dict[str, Signal] = {f"/v1/{signal}": signal for signal in SIGNALS}
_CONTENT_TYPES: dict[Encoding, bytes] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}

# A body that stops arriving holds its bytes; a minute is far longer than any exporter's own timeout (10 s by default).
_BODY_TIMEOUT_S = 60.0


class _Gone(Exception):
    """The sender went away before its body ended."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What goes back."""

    status: HTTPStatus
    body: bytes
    encoding: Encoding
    headers: tuple[tuple[bytes, bytes], ...] = ()


class OtlpHttp:
    """The ASGI app of OTLP/HTTP.

    Parameters
    ----------
    receiver : Receiver
        Decodes and appends.
    default_tenant : str
        Tenant of a request without ``X-Scope-OrgID``.
    workers : int
        Threads that decode and append. Each waits for the disk most of its time, so they are many; they
        bound how many requests share one group commit.
    body_timeout_s : float
        Seconds in which a body must have arrived.
    """

    def __init__(
        self, receiver: Receiver, default_tenant: str, workers: int = 32, body_timeout_s: float = _BODY_TIMEOUT_S
    ) -> None:
        self._receiver = receiver
        self._default_tenant = default_tenant
        self._body_timeout_s = body_timeout_s
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="otlp-http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer_request(scope, receive, send)
        else:
            raise NotImplementedError(f"scope type must be http or lifespan, got {scope['type']}")

    def close(self) -> None:
        """Let the requests under way end, and the threads with them."""
        self._threads.shutdown(wait=True)

    async def _answer_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        signal = _SIGNAL_OF.get(scope["path"])
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            answer = await self._answer(scope, signal, headers, receive)
        except _Gone:
            return
        counted = self._receiver.telemetry.requests
        counted.labels(protocol="http", signal=signal or "none", code=str(int(answer.status))).inc()
        await _send(send, answer)

    async def _answer(self, scope: Scope, signal: Signal | None, headers: dict[bytes, str], receive: Receive) -> _Answer:
        encoding: Encoding = "json"  # of an answer to a body of no known encoding
        try:
            encoding = admit_encoding(headers.get(b"content-type", ""))
        except UnknownContentType as exc:
            unknown = exc
        else:
            unknown = None
        if signal is None:
            return _failed(HTTPStatus.NOT_FOUND, f"path must be one of {', '.join(_SIGNAL_OF)}", encoding)
        if scope["method"] != "POST":
            refused = _failed(HTTPStatus.METHOD_NOT_ALLOWED, f"method must be POST, got {scope['method']}", encoding)
            return _Answer(refused.status, refused.body, encoding, ((b"allow", b"POST"),))
        try:
            if unknown is not None:
                raise unknown
            tenant = admit_tenant(headers.get(b"x-scope-orgid", ""), self._default_tenant)
            with self._receiver.room.hold() as hold:
                async with asyncio.timeout(self._body_timeout_s):
                    body = await self._read(headers, receive, hold)
                return await self._take(_Request(tenant, signal, encoding, headers.get(b"content-encoding", ""), body), hold)
        except TimeoutError:
            return _failed(HTTPStatus.REQUEST_TIMEOUT, f"the body must arrive within {self._body_timeout_s:g} s", encoding)
        except ForeshockError as exc:
            return _failed(_status_of(exc), str(exc), encoding)

    async def _read(self, headers: dict[bytes, str], receive: Receive, hold: Hold) -> bytes:
        """Return the body, counting what arrives, since a chunked one says no length."""
        max_bytes = self._receiver.limits.max_body_bytes
        declared = headers.get(b"content-length", "0")
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

    async def _take(self, request: _Request, hold: Hold) -> _Answer:
        begun = perf_counter()
        try:
            work = asyncio.get_running_loop().run_in_executor(self._threads, self._work, request, hold)
        except RuntimeError:  # the pool takes no more work
            raise PartStopped("the service is stopping; send the request again") from None
        answer = await work
        self._receiver.telemetry.request_seconds.labels(protocol="http").observe(perf_counter() - begun)
        return answer

    def _work(self, request: _Request, hold: Hold) -> _Answer:
        receiver = self._receiver
        body = inflate(request.body, request.content_encoding, receiver.limits.max_body_bytes, hold.grow_to)
        batch = receiver.receive(request.tenant, request.signal, request.encoding, body)
        return _Answer(HTTPStatus.OK, accepted(batch, request.signal, request.encoding), request.encoding)


@dataclass(frozen=True, slots=True)
class _Request:
    tenant: str
    signal: Signal
    encoding: Encoding
    content_encoding: str
    body: bytes


_CODES = {
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.UNIMPLEMENTED,
    HTTPStatus.REQUEST_TIMEOUT: Code.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
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
        case _:
            # Overloaded, and whatever the log raises: the sender is to try again rather than to drop what it has.
            return HTTPStatus.SERVICE_UNAVAILABLE


def _failed(status: HTTPStatus, message: str, encoding: Encoding) -> _Answer:
    headers = ((b"retry-after", str(RETRY_AFTER_S).encode()),) if status == HTTPStatus.SERVICE_UNAVAILABLE else ()
    return _Answer(status, failure_as(_CODES.get(status, Code.INVALID_ARGUMENT), message, encoding), encoding, headers)


async def _send(send: Send, answer: _Answer) -> None:
    headers = [
        (b"content-type", _CONTENT_TYPES[answer.encoding]),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
