"""OTLP/gRPC: the three Export calls on raw bytes, answered as OTLP 1.11 says.

gRPC is told to hand messages over compressed, so that `app.ingest.inflate` bounds what comes out of them and
counts it; `Receiver.receive` decodes and appends on the call's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock, Thread
from time import monotonic, perf_counter
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc
from google.rpc.code_pb2 import Code
from prometheus_client import Counter

from app.auth.doorkeeper import require_tenant
from app.auth.refusals import NotAllowed, NotAuthenticated
from app.edge.throttle import Throttle, TooOften
from app.ingest.admit import TooManyCalls, admit_tenant, limit_of
from app.ingest.answers import accepted, failure
from app.ingest.inflate import inflate
from app.ingest.receive import Receiver
from app.ingest.senders import admit_sender, charge_sender
from app.ingest.signals import Signal
from features.errors import BodyTooLarge, ForeshockError, InvalidSetting, InvalidValue

__all__ = ["GrpcPlan", "OtlpGrpc"]

logger = logging.getLogger(__name__)

_SIGNAL_OF: dict[str, Signal] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
}

_STATUS_CODES = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Code.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}

# What a gzip frame begins with. No protobuf message does: 0x1f would be a field of wire type 7, which there is none of.
_GZIP_MAGIC = b"\x1f\x8b"

# identity and gzip, by gRPC's numbers; a call with another one gRPC answers UNIMPLEMENTED, naming these.
_IDENTITY_AND_GZIP = 0b101

# gRPC itself refuses more calls than this many times the bound, with an answer that senders do not retry.
_REFUSED_AT_ONCE = 16

# One connection may bring this share of the calls, of which a Collector has ten; its further ones wait with the sender.
_SHARE_OF_CONNECTION = 8

# What is reserved for calls that are read is a half of what one tenant's may hold, so that it alone refuses none.
_SHARE_OF_READING = 2

# Guessed: a message of 64 KiB, which few pass, needs 64 KiB/s to arrive in it.
_CROWDED_TIMEOUT_S = 1.0


class _NotReceived(InvalidValue):
    """A call ended without a message: gRPC found it too large and said so, or its sender went away or was too slow."""


Export = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]


@dataclass(frozen=True, slots=True)
class GrpcPlan:
    """How many calls a server takes, and how long it waits for what they bring.

    Parameters
    ----------
    workers : int
        Threads that read, decode and append. Each waits for the disk most of its time, so they are many. No more
        messages than these are read at a time; of those of calls that wait, gRPC takes the first 64 KiB.
    max_calls : int
        Calls under way or waiting for a thread; more are answered UNAVAILABLE at once.
    body_timeout_s : float
        Seconds in which a message must have arrived. One second does while calls wait and at least half of the
        threads read, for as many as wait: a few slow senders must not keep all others waiting.
    """

    workers: int = 32
    max_calls: int = 512
    body_timeout_s: float = 60.0


_PLAN = GrpcPlan()


class OtlpGrpc:
    """A listening OTLP/gRPC server.

    Parameters
    ----------
    receiver : Receiver
        Decodes and appends.
    default_tenant : str
        Tenant of a call without ``x-scope-orgid``.
    address : str
        Host and port, port 0 takes a free one.
    plan : GrpcPlan, optional
        How many calls, and for how long.
    credentials : grpc.ServerCredentials, optional
        With the certificate to show; without them connections are not encrypted.

    Raises
    ------
    InvalidSetting
        When the address cannot be listened on.
    """

    def __init__(
        self,
        receiver: Receiver,
        default_tenant: str,
        address: str,
        plan: GrpcPlan = _PLAN,
        *,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self._threads = _CountingPool(plan.workers)
        self._refusing = ThreadPoolExecutor(1, thread_name_prefix="otlp-grpc-refuse")
        self._overdue = _Overdue(plan.body_timeout_s, self._threads)
        limits = receiver.limits
        room_bytes = min(limits.max_in_flight_bytes, limits.max_tenant_in_flight_bytes)
        reserved = min(limits.max_body_bytes, room_bytes // (_SHARE_OF_READING * plan.workers))
        exports = {
            path: _Export(receiver, default_tenant, signal, self._overdue, reserved) for path, signal in _SIGNAL_OF.items()
        }
        options = [
            ("grpc.per_message_decompression", 0),
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
            ("grpc.max_receive_message_length", limits.max_body_bytes),
            # A probe that finds the link fast opens windows of MiBs, which gRPC fills whether or not a thread reads.
            # Without it a stream has 64 KiB until a thread does, and then as much as its message is long.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.max_concurrent_streams", max(1, plan.max_calls // _SHARE_OF_CONNECTION)),
            # Two processes on one port would share its connections; the second must fail instead.
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(
            self._threads,
            handlers=[_Calls(exports, self._threads, self._refusing, plan.max_calls)],
            options=options,
            maximum_concurrent_rpcs=plan.max_calls * _REFUSED_AT_ONCE,
        )
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as exc:
            raise InvalidSetting(
                f"OTLP/gRPC cannot listen on {address}: {exc}; choose another port (setting server.otlp_grpc_port) or stop what holds it"
            ) from exc
        self._server.start()

    def close(self, grace_s: float = 5.0) -> None:
        """Take no more calls, let those under way end within the grace, and stop."""
        self._server.stop(grace_s).wait()
        self._threads.shutdown(wait=True)
        self._refusing.shutdown(wait=True)
        self._overdue.close()


class _CountingPool(ThreadPoolExecutor):
    """Threads that know how many calls they were given and have not ended."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="otlp-grpc")
        self.workers = workers
        self.n_calls = 0
        self._counting = Lock()

    @property
    def n_waiting(self) -> int:
        """How many calls wait for a thread."""
        return max(0, self.n_calls - self.workers)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        with self._counting:
            self.n_calls += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: Future[Any]) -> None:
        with self._counting:
            self.n_calls -= 1


class _Overdue:
    """Ends the calls whose message does not arrive: each keeps a thread until then."""

    def __init__(self, timeout_s: float, threads: _CountingPool) -> None:
        self.reading: dict[grpc.ServicerContext, float] = {}
        """The calls whose message is awaited, and since when, the oldest first."""
        self._timeout_s = timeout_s
        self._crowded_s = min(timeout_s, _CROWDED_TIMEOUT_S)
        self._threads = threads
        self._stop = Event()
        self._thread = Thread(target=self._run, name="otlp-grpc-overdue", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._crowded_s / 4):
            reading, now = list(self.reading.items()), monotonic()
            crowded = 2 * len(reading) >= self._threads.workers
            n_wanted = self._threads.n_waiting if crowded else 0
            for place, (context, since) in enumerate(reading):
                if now - since > (self._crowded_s if place < n_wanted else self._timeout_s):
                    context.cancel()


class _Calls(grpc.GenericRpcHandler):
    """Finds the Export call of a path.

    A call of one message is served as a stream of them: that lets a thread decide before the message is read.
    """

    def __init__(
        self, exports: dict[str, _Export], threads: _CountingPool, refusing: ThreadPoolExecutor, max_calls: int
    ) -> None:
        self._threads = threads
        self._max_calls = max_calls
        self._serving = {path: grpc.stream_unary_rpc_method_handler(export) for path, export in exports.items()}
        self._refusing = {
            path: grpc.stream_unary_rpc_method_handler(_refuse(export, refusing, max_calls)) for path, export in exports.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return what answers a call, None for an unknown path."""
        handlers = self._refusing if self._threads.n_calls >= self._max_calls else self._serving
        return handlers.get(handler_call_details.method)


def _refuse(export: _Export, threads: ThreadPoolExecutor, max_calls: int) -> Export:
    def refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        export.refuse(context, TooManyCalls(f"calls under way must be <= {max_calls}, got one more; send it again"))

    # The call's own threads are what is full; gRPC reads from here where else to run it.
    vars(refuse)["experimental_thread_pool"] = threads
    return refuse


class _Export:
    """The Export call of one signal."""

    def __init__(self, receiver: Receiver, default_tenant: str, signal: Signal, overdue: _Overdue, reserved_bytes: int) -> None:
        self._receiver = receiver
        self._default_tenant = default_tenant
        self._signal: Signal = signal
        self._overdue = overdue
        self._reserved_bytes = reserved_bytes
        self._seconds = receiver.telemetry.request_seconds.labels(protocol="grpc")
        self._counted: dict[str, Counter] = {}

    def __call__(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            answer = self._take(messages, context)
        except ForeshockError as exc:
            self.refuse(context, exc)
        except Exception:
            logger.exception("an Export call of %s failed", self._signal)
            self._receiver.telemetry.faults.labels(place="grpc").inc()
            self._abort(context, Code.INTERNAL, "the request met a fault of the service", "INTERNAL")
        self._count("OK")
        return answer

    def refuse(self, context: grpc.ServicerContext, error: ForeshockError) -> NoReturn:
        """End a call with what an error means to its sender."""
        if limit := limit_of(error):
            self._receiver.telemetry.limited.labels(reason=limit).inc()
        code = _code_of(error)
        counted = "NOT_RECEIVED" if isinstance(error, _NotReceived) else Code.Name(code)
        self._abort(context, code, str(error), counted, error.retry_after_s if isinstance(error, TooOften) else None)

    def _take(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        receiver = self._receiver
        shown = _shown(context)
        sender, counted = admit_sender(receiver, shown.get("authorization"), lambda limits: _address_of(limits, shown, context))
        tenant = admit_tenant(shown.get("x-scope-orgid", ""), sender.only_tenant or self._default_tenant)
        require_tenant(sender, tenant)
        receiver.admit()
        with receiver.room.hold(tenant) as hold:
            # gRPC tells how long a message is only once it holds all of it.
            hold.grow_to(self._reserved_bytes)
            packed = self._read(messages, context)
            charge_sender(receiver, counted, len(packed))
            begun = perf_counter()
            hold.release()
            hold.grow_to(len(packed))
            encoding = "gzip" if packed.startswith(_GZIP_MAGIC) else ""
            if encoding and len(packed) > receiver.limits.max_packed_bytes:
                raise BodyTooLarge(f"body must be <= {receiver.limits.max_packed_bytes} bytes, got {len(packed)}")
            body = inflate(packed, encoding, receiver.limits.max_body_bytes, hold.grow_to)
            answer = accepted(receiver.receive(tenant, self._signal, "protobuf", body), self._signal, "protobuf")
        self._seconds.observe(perf_counter() - begun)
        return answer

    def _read(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._overdue.reading[context] = monotonic()
        try:
            message = next(messages, None)
        except grpc.RpcError:
            message = None
        finally:
            del self._overdue.reading[context]
        if message is None:
            raise _NotReceived("an Export call must bring one message, got none")
        return message

    def _abort(
        self, context: grpc.ServicerContext, code: Code, message: str, counted: str, retry_after_s: int | None = None
    ) -> NoReturn:
        self._count(counted)
        status = failure(code, message, retry_after_s)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(_STATUS_CODES[code], status.message)

    def _count(self, code: str) -> None:
        counter = self._counted.get(code)
        if counter is None:
            found = self._receiver.telemetry.requests.labels(protocol="grpc", signal=self._signal, code=code)
            counter = self._counted[code] = found
        counter.inc()


def _shown(context: grpc.ServicerContext) -> dict[str, str]:
    """Return what a call says of its sender; of what it says twice something that fits neither a token nor a tenant."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata():
        if name in ("authorization", "x-scope-orgid", "x-forwarded-for"):
            found[name] = f"{found[name]}, {value}" if name in found else str(value)
    return found


def _address_of(throttle: Throttle, shown: Mapping[str, str], context: grpc.ServicerContext) -> str:
    """Return by which address a call counts, of a peer such as ``ipv4:10.0.0.1:5000`` or ``ipv6:%5B::1%5D:5000``."""
    peer = unquote(context.peer()).partition(":")[2]
    host = peer[1:].partition("]")[0] if peer.startswith("[") else peer.rpartition(":")[0]
    return throttle.addresses.of(host, [shown.get("x-forwarded-for", "")])


def _code_of(error: ForeshockError) -> Code:
    match error:
        case NotAuthenticated():
            return Code.UNAUTHENTICATED
        case NotAllowed():
            return Code.PERMISSION_DENIED
        case TooOften():
            return Code.RESOURCE_EXHAUSTED  # with RetryInfo, which says that the same is taken later
        case BodyTooLarge():
            return Code.RESOURCE_EXHAUSTED  # without RetryInfo, which says that the same again would fail again
        case InvalidValue():
            return Code.INVALID_ARGUMENT
        case _:
            # Overloaded, and whatever the log raises: the sender is to try again rather than to drop what it has.
            return Code.UNAVAILABLE
