"""One client for every way in: OTLP/HTTP in both encodings and OTLP/gRPC, on real sockets."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from google.rpc.status_pb2 import Status

from app.ingest.limits import Limits
from app.ingest.signals import Encoding, Signal
from app.settings import IngestSettings
from app.store.contract import Log
from tests.app.ingest.requests import written
from tests.app.ingest.servers import Ingest, serve_grpc, serve_http

__all__ = [
    "GZIP",
    "HEADERS",
    "JSON",
    "METHODS",
    "PROTOBUF",
    "WAYS",
    "Wire",
    "call",
    "failure_of",
    "open_wire",
    "post",
    "status_of",
]

PROTOBUF, JSON = {"content-type": "application/x-protobuf"}, {"content-type": "application/json"}
HEADERS: dict[Encoding, dict[str, str]] = {"protobuf": PROTOBUF, "json": JSON}
GZIP = {"content-encoding": "gzip"}
METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
WAYS = ("http-protobuf", "http-json", "grpc")


def post(ingest: Ingest, path: str, content: bytes | Iterator[bytes], headers: dict[str, str]) -> httpx.Response:
    """Send a request by HTTP."""
    return httpx.post(f"http://{ingest.address}{path}", content=content, headers=headers, timeout=30)


def status_of(response: httpx.Response) -> Status:
    """Read the Status of an answer in the encoding that its content type names."""
    if response.headers["content-type"] == "application/x-protobuf":
        return Status.FromString(response.content)
    found = json.loads(response.content)
    return Status(code=found["code"], message=found["message"])


def call(ingest: Ingest, method: str, body: bytes, *, packed: bool = False, tenant: str = "") -> bytes:
    """Send a request by gRPC."""
    compression = grpc.Compression.Gzip if packed else grpc.Compression.NoCompression
    metadata = (("x-scope-orgid", tenant),) if tenant else ()
    with grpc.insecure_channel(ingest.address) as channel:
        return channel.unary_unary(method)(body, compression=compression, metadata=metadata, timeout=30)


def failure_of(ingest: Ingest, method: str, body: bytes, **changes: Any) -> tuple[grpc.StatusCode, Status]:
    """Send a request by gRPC that is refused, and return how."""
    try:
        call(ingest, method, body, **changes)
    except grpc.RpcError as exc:
        details = dict(exc.trailing_metadata() or ()).get("grpc-status-details-bin", b"")  # type: ignore[attr-defined]
        return exc.code(), Status.FromString(details)  # type: ignore[attr-defined]
    raise AssertionError("the call was not refused")


@dataclass(frozen=True)
class Wire:
    """A server and one way to it."""

    ingest: Ingest
    way: str

    @property
    def encoding(self) -> Encoding:
        """How requests are written."""
        return "json" if self.way == "http-json" else "protobuf"

    def send(self, signal: Signal, request: dict[str, Any]) -> bytes:
        """Send a request that is to be taken, and return the answer."""
        return self.send_bytes(signal, written(request, signal, self.encoding))

    def send_bytes(self, signal: Signal, body: bytes) -> bytes:
        """Send a body that is to be taken, and return the answer."""
        if self.way == "grpc":
            return call(self.ingest, METHODS[signal], body)
        response = post(self.ingest, f"/v1/{signal}", body, HEADERS[self.encoding])
        assert response.status_code == 200, response.content
        return response.content

    def refusal(self, signal: Signal, body: bytes, tenant: str = "") -> tuple[str, Status]:
        """Send a body that is to be refused, and return the code and the Status."""
        if self.way == "grpc":
            code, status = failure_of(self.ingest, METHODS[signal], body, tenant=tenant)
            return code.name, status
        headers = HEADERS[self.encoding] | ({"x-scope-orgid": tenant} if tenant else {})
        response = post(self.ingest, f"/v1/{signal}", body, headers)
        assert response.headers["content-type"] == HEADERS[self.encoding]["content-type"]
        return str(response.status_code), status_of(response)


@contextmanager
def open_wire(log: Log, way: str, limits: Limits | None = None, settings: IngestSettings | None = None) -> Generator[Wire]:
    """Serve a log in one way."""
    limits = limits or Limits()
    if way == "grpc":
        with serve_grpc(log, limits) as ingest:
            yield Wire(ingest, way)
    else:
        with serve_http(log, limits, settings=settings) as ingest:
            yield Wire(ingest, way)
