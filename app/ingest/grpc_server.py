"""OTLP/gRPC: the three Export calls on raw bytes, answered as OTLP 1.11 says.

gRPC itself decompresses and bounds messages; `Receiver.receive` decodes and appends on the call's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, NoReturn

import grpc
from google.rpc.code_pb2 import Code

from app.ingest.admit import admit_tenant
from app.ingest.answers import accepted, failure
from app.ingest.otlp import Signal
from app.ingest.receive import Receiver
from features.errors import ForeshockError, InvalidSetting, InvalidValue

__all__ = ["OtlpGrpc"]

_SIGNAL_OF: dict[str, Signal] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
}

_STATUS_CODES = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


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
    workers : int
        Threads that decode and append. Each waits for the disk most of its time, so they are many.
    max_calls : int
        Calls under way or waiting for a thread; gRPC itself refuses more with RESOURCE_EXHAUSTED. Guessed:
        sixteen waiting calls a thread, far more than the exporters of a machine have under way.

    Raises
    ------
    InvalidSetting
        When the address cannot be listened on.
    """

    def __init__(self, receiver: Receiver, default_tenant: str, address: str, workers: int = 32, max_calls: int = 512) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="otlp-grpc")
        options = [
            ("grpc.max_receive_message_length", receiver.limits.max_body_bytes),
            # Two processes on one port would share its connections; the second must fail instead.
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(
            self._threads, handlers=[_Calls(receiver, default_tenant)], options=options, maximum_concurrent_rpcs=max_calls
        )
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as exc:
            raise InvalidSetting(f"OTLP/gRPC cannot listen on {address}: {exc}") from exc
        self._server.start()

    def close(self, grace_s: float = 5.0) -> None:
        """Take no more calls, let those under way end within the grace, and stop."""
        self._server.stop(grace_s).wait()
        self._threads.shutdown(wait=True)


class _Calls(grpc.GenericRpcHandler):
    """Finds the Export call of a path."""

    def __init__(self, receiver: Receiver, default_tenant: str) -> None:
        self._receiver = receiver
        self._default_tenant = default_tenant

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        signal = _SIGNAL_OF.get(handler_call_details.method)
        return None if signal is None else grpc.unary_unary_rpc_method_handler(self._export(signal))

    def _export(self, signal: Signal) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            begun = perf_counter()
            try:
                answer, error = self._take(signal, body, context), None
            except ForeshockError as exc:
                answer, error = b"", exc
            telemetry = self._receiver.telemetry
            telemetry.request_seconds.labels(protocol="grpc").observe(perf_counter() - begun)
            code = Code.OK if error is None else _code_of(error)
            telemetry.requests.labels(protocol="grpc", signal=signal, code=Code.Name(code)).inc()
            if error is not None:
                _abort(context, code, str(error))
            return answer

        return export

    def _take(self, signal: Signal, body: bytes, context: grpc.ServicerContext) -> bytes:
        metadata: dict[str, Any] = dict(context.invocation_metadata())
        tenant = admit_tenant(str(metadata.get("x-scope-orgid", "")), self._default_tenant)
        with self._receiver.room.hold() as hold:
            hold.grow_to(len(body))
            return accepted(self._receiver.receive(tenant, signal, "protobuf", body), signal, "protobuf")


def _code_of(error: ForeshockError) -> Code:
    # Overloaded, and whatever the log raises: the sender is to try again rather than to drop what it has.
    # A message that is too large never gets here: gRPC itself answers RESOURCE_EXHAUSTED.
    return Code.INVALID_ARGUMENT if isinstance(error, InvalidValue) else Code.UNAVAILABLE


def _abort(context: grpc.ServicerContext, code: Code, message: str) -> NoReturn:
    status = failure(code, message)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(_STATUS_CODES[code], status.message)
