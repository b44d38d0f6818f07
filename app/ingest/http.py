"""OTLP/HTTP: ``POST /v1/{traces,logs,metrics}`` as a bare ASGI app, answered to the letter of OTLP 1.11.

Requests come from uvicorn (`app.ingest.connections`); the body is read within bounds, inflated, and handed to
`Receiver.take` on the event loop, or on a thread when it is large. Answers leave when what was taken is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeAlias

from prometheus_client import Counter

from app.auth.doorkeeper import require_tenant
from app.edge.throttle import TooOften
from app.ingest.admit import Hold, TooManyCalls, limit_of
from app.ingest.answers import RETRY_AFTER_S, accepted
from app.ingest.cors import Cors
from app.ingest.heads import SIGNAL_OF, Head, encoding_of, head_of, read_headers
from app.ingest.inflate import InflatedTooLarge, expected_bytes, inflate
from app.ingest.receive import Receiver
from app.ingest.replies import Headers, Reply, failed, packed, status_of
from app.ingest.senders import COUNTED, Counted, Ordinary, admit_sender, charge_sender, ordinary_request
from app.ingest.signals import Encoding, Signal
from app.ingest.turns import Turns
from app.ingest.wakes import Wakes
from app.settings import IngestSettings
from features.batch import Batch
from features.errors import BodyTooLarge, ForeshockError, PartStopped
from features.values import hot_value

__all__ = ["OtlpHttp"]

logger = logging.getLogger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# A body that stops arriving holds its bytes; a minute is far longer than any exporter's own timeout (10 s by default).
_BODY_TIMEOUT_S = 60.0

# Bodies of up to so many decompressed bytes are worked on right on the loop: a hop to a thread and back costs 0.1 ms,
# which is what a body of 512 spans (180 KB) costs to inflate. Larger ones would keep the others waiting; of these it
# does a few at a time (`app.ingest.turns`). JSON costs far more a byte: a MiB of empty spans takes most of a second.
_INLINE_BYTES: dict[Encoding, int] = {"protobuf": 2**20, "json": 2**17}

# Of large bodies two are decoded at a time: Python runs one anyway, and what decoding needs beside the body is
# bounded by this number, not by that of the senders.
_WORKERS = 2


class _Gone(Exception):
    """The sender went away before its body ended."""


@hot_value(eq=False)
class _Taken:
    """An ordinary request that waits for the log."""

    head: Head
    batch: Batch
    hold: Hold
    begun_s: float
    send: Callable[[Reply], None]


@hot_value(eq=False)
class _Loop:
    """What works on the event loop."""

    wakes: Wakes
    turns: Turns


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
        self._on_loop: _Loop | None = None
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

    def ordinary(
        self, method: str, path: str, pairs: Iterable[tuple[bytes, bytes]], client: Sequence[Any] | None = None
    ) -> Ordinary | None:
        """Return what the head of a request says if `take_ordinary` may take its body, None otherwise."""
        if method != "POST" or self._cors.is_on or self._closed:
            return None
        return ordinary_request(self._receiver, self._default_tenant, path, pairs, client)

    def refusal(self, ordinary: Ordinary) -> Reply | None:
        """Return the answer to an ordinary request for which there is no room, before its body is read; None where there is.

        Of twice what a node can take the refused half must cost next to nothing.
        """
        head, throttle, error = ordinary.head, self._receiver.throttle, None
        if self._n_calls >= self._max_calls:
            error = self._one_too_many()
        elif throttle is not None and ordinary.counted is not None:
            try:
                throttle.admit(*ordinary.counted)
            except TooOften as exc:
                error = exc
        if error is None:
            return None
        reply = self._refused(error, head.signal, head.encoding)
        self._count(head.signal, reply.status)
        return packed(reply, head.accept_encoding)

    def count_refusal(self, status: HTTPStatus, limit: str) -> None:
        """Count what a connection answered by itself, and the limit that it had passed, if any."""
        self._count(None, status)
        if limit:
            self._receiver.telemetry.limited.labels(reason=limit).inc()

    def take_ordinary(self, ordinary: Ordinary, body: bytes, send: Callable[[Reply], None]) -> bool:
        """Take the whole body of an ordinary request, on the loop and without a task of its own.

        A task with its coroutines, messages and timeout costs as much as decoding 200 spans does (measured).

        Parameters
        ----------
        ordinary : Ordinary
            From `ordinary`.
        body : bytes
            As received.
        send : callable
            Called once on the loop with the reply, when what the request said is durable or refused.

        Returns
        -------
        bool
            False when the body is for the ordinary ways of ASGI; nothing of it was kept, and nothing will be sent.
        """
        limits, head = self._receiver.limits, ordinary.head
        if self._closed or len(body) > limits.max_packed_bytes or len(body) > limits.max_body_bytes:
            return False
        if self._loop.turns.over or expected_bytes(body, head.content_encoding) > _INLINE_BYTES[head.encoding]:
            return False
        begun_s, hold = perf_counter(), self._receiver.room.hold(head.tenant)
        try:
            self._admit()
            hold.grow_to(len(body))
            work = partial(self._work, head, body, hold, min(limits.max_body_bytes, _INLINE_BYTES[head.encoding]))
            batch, durable = self._loop.turns.run(work)
        except InflatedTooLarge:
            hold.release()
            return False
        except Exception as exc:
            hold.release()
            self._send_ordinary(head, self._refused(exc, head.signal, head.encoding), send)
            return True
        charge_sender(self._receiver, ordinary.counted, len(body))
        self._n_calls += 1
        self._loop.wakes.call(durable, partial(self._settle, _Taken(head, batch, hold, begun_s, send)))
        return True

    def _settle(self, taken: _Taken, durable: Future[list[int]]) -> None:
        head = taken.head
        self._n_calls -= 1
        taken.hold.release()
        if (error := durable.exception()) is not None:
            reply = self._refused(error, head.signal, head.encoding)
        else:
            self._seconds.observe(perf_counter() - taken.begun_s)
            reply = Reply(HTTPStatus.OK, accepted(taken.batch, head.signal, head.encoding), head.encoding)
        self._send_ordinary(head, reply, taken.send)

    def _send_ordinary(self, head: Head, reply: Reply, send: Callable[[Reply], None]) -> None:
        self._count(head.signal, reply.status)
        send(packed(reply, head.accept_encoding))

    def close(self) -> None:
        """Let the requests under way end, and the threads with them."""
        self._closed = True
        self._threads.shutdown(wait=True)

    async def _answer_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        signal = SIGNAL_OF.get(scope["path"])
        try:
            answer = await self._answer(scope, signal, headers, receive)
        except _Gone:
            return
        self._count(signal, answer.status)
        cors = self._cors.of_answer(headers.get(b"origin", "")) if self._cors.is_on and answer.encoding else ()
        await _send(send, packed(answer, headers.get(b"accept-encoding", "")), cors)

    async def _answer(self, scope: Scope, signal: Signal | None, headers: dict[bytes, str], receive: Receive) -> Reply:
        method: str = scope["method"]
        encoding = encoding_of(headers.get(b"content-type", ""))
        if signal is None:
            return failed(HTTPStatus.NOT_FOUND, f"path must be one of {', '.join(SIGNAL_OF)}", encoding)
        if method != "POST":
            return self._answer_other(method, headers, encoding)
        try:
            sender, counted = admit_sender(
                self._receiver, headers.get(b"authorization"), lambda limits: limits.address_of(scope), scope.get(COUNTED)
            )
            head = head_of(signal, headers, sender.only_tenant or self._default_tenant)
            require_tenant(sender, head.tenant)
            batch = await self._admitted(head, headers.get(b"content-length", "0"), receive, counted)
            return Reply(HTTPStatus.OK, accepted(batch, signal, encoding), encoding)
        except _Gone:
            raise
        except asyncio.CancelledError:  # the server has stopped and waits no longer; what was sent may be durable or not
            return self._refused(PartStopped("the service is stopping; send the request again"), signal, encoding)
        except Exception as exc:
            return self._refused(exc, signal, encoding)

    def _refused(self, error: BaseException, signal: Signal, encoding: Encoding) -> Reply:
        if isinstance(error, TimeoutError):
            return failed(HTTPStatus.REQUEST_TIMEOUT, f"the body must arrive within {self._body_timeout_s:g} s", encoding)
        if isinstance(error, ForeshockError):
            if limit := limit_of(error):
                self._receiver.telemetry.limited.labels(reason=limit).inc()
            wait_s = error.retry_after_s if isinstance(error, TooOften) else RETRY_AFTER_S
            return failed(status_of(error), str(error), encoding, wait_s)
        # A fault of ours. The sender is told so in its own encoding, and the other requests go on.
        logger.error("a request to /v1/%s failed", signal, exc_info=error)
        self._receiver.telemetry.faults.labels(place="http").inc()
        return failed(HTTPStatus.INTERNAL_SERVER_ERROR, "the request met a fault of the service", encoding)

    def _count(self, signal: Signal | None, status: HTTPStatus) -> None:
        counter = self._counted.get((signal, status))
        if counter is None:
            labels = {"protocol": "http", "signal": signal or "none", "code": str(int(status))}
            counter = self._counted[signal, status] = self._receiver.telemetry.requests.labels(**labels)
        counter.inc()

    def _answer_other(self, method: str, headers: dict[bytes, str], encoding: Encoding) -> Reply:
        origin = headers.get(b"origin", "")
        if method == "OPTIONS" and self._cors.is_on and origin and b"access-control-request-method" in headers:
            if self._cors.allows(origin):
                return Reply(HTTPStatus.NO_CONTENT, b"", None, self._cors.of_preflight(origin))
            return failed(HTTPStatus.FORBIDDEN, f"pages of {origin[:100]} may not send here", encoding)
        refused = failed(HTTPStatus.METHOD_NOT_ALLOWED, f"method must be POST, got {method}", encoding)
        return Reply(refused.status, refused.body, encoding, ((b"allow", b"POST"),))

    async def _admitted(self, request: Head, declared: str, receive: Receive, counted: Counted | None) -> Batch:
        """Read a body and take what it says, while there is room for one more."""
        self._admit()
        with self._receiver.room.hold(request.tenant) as hold:
            async with asyncio.timeout(self._body_timeout_s):
                body = await self._read(request, declared, receive, hold)
            charge_sender(self._receiver, counted, len(body))
            # Not before: some hundred senders of a byte a second would leave no room for anybody else.
            self._admit()
            self._n_calls += 1
            try:
                return await self._take(request, body, hold)
            finally:
                self._n_calls -= 1

    def _admit(self) -> None:
        if self._n_calls >= self._max_calls:
            # Otherwise requests would wait in their sockets, unseen, until their senders give up on them.
            raise self._one_too_many()
        self._receiver.admit()

    def _one_too_many(self) -> TooManyCalls:
        return TooManyCalls(f"requests under way must be <= {self._max_calls}, got one more; send it again")

    async def _read(self, request: Head, declared: str, receive: Receive, hold: Hold) -> bytes:
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

    async def _take(self, request: Head, body: bytes, hold: Hold) -> Batch:
        if self._closed:
            raise PartStopped("the service is stopping; send the request again")
        begun = perf_counter()
        batch, durable = await self._decode(request, body, hold)
        if not durable.done():
            await self._loop.wakes.wait(durable)
        durable.result()
        self._seconds.observe(perf_counter() - begun)
        return batch

    @property
    def _loop(self) -> _Loop:
        if self._on_loop is None:
            loop = asyncio.get_running_loop()
            self._on_loop = _Loop(Wakes(loop), Turns(loop))
        return self._on_loop

    async def _decode(self, request: Head, body: bytes, hold: Hold) -> tuple[Batch, Future[list[int]]]:
        most = self._receiver.limits.max_body_bytes
        inline = _INLINE_BYTES[request.encoding]
        if expected_bytes(body, request.content_encoding) <= inline:
            turns = self._loop.turns
            work = partial(self._work, request, body, hold, min(most, inline))
            try:
                return await turns.later(work) if turns.over else turns.run(work)
            except InflatedTooLarge:  # the body said it were smaller; a thread looks how large it is
                if most <= inline:
                    raise
        try:
            threaded = asyncio.get_running_loop().run_in_executor(self._threads, self._work, request, body, hold, most)
        except RuntimeError:  # the pool takes no more work
            raise PartStopped("the service is stopping; send the request again") from None
        return await threaded

    def _work(self, request: Head, body: bytes, hold: Hold, max_bytes: int) -> tuple[Batch, Future[list[int]]]:
        plain = inflate(body, request.content_encoding, max_bytes, hold.grow_to)
        return self._receiver.take(request.tenant, request.signal, request.encoding, plain)


async def _send(send: Send, reply: Reply, cors: Headers) -> None:
    await send({"type": "http.response.start", "status": int(reply.status), "headers": [*reply.all_headers, *cors]})
    await send({"type": "http.response.body", "body": reply.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
