"""The real OpenTelemetry SDK for Python over HTTP and gRPC, with and without gzip: what was sent is what is counted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from app.ingest.limits import Limits
from features.batch import Presence
from tests.app.ingest.servers import Ingest, serve_grpc, serve_http, stored_log

RESOURCE = Resource({"service.name": "shop", "service.version": "7", "service.instance.id": "shop-1"})
N_REQUESTS = 300
SEVERITIES = {number.value: number for number in SeverityNumber}


@dataclass
class Wire:
    """A server and the exporters that reach it."""

    ingest: Ingest
    spans: Callable[[], Any]
    logs: Callable[[], Any]
    metrics: Callable[[], Any]


@pytest.fixture(
    params=[("http", False), ("http", True), ("grpc", False), ("grpc", True)], ids=["http", "http-gzip", "grpc", "grpc-gzip"]
)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Wire, None, None]:
    protocol, packed = request.param
    limits = Limits(span_end_sample=1)
    with stored_log(tmp_path) as log:
        if protocol == "http":
            compression = Compression.Gzip if packed else Compression.NoCompression
            with serve_http(log, limits) as ingest:
                url = f"http://{ingest.address}/v1"
                yield Wire(
                    ingest,
                    lambda: HttpSpans(f"{url}/traces", compression=compression),
                    lambda: HttpLogs(f"{url}/logs", compression=compression),
                    lambda: HttpMetrics(f"{url}/metrics", compression=compression),
                )
        else:
            how: dict[str, Any] = {
                "compression": grpc.Compression.Gzip if packed else grpc.Compression.NoCompression,
                "insecure": True,
            }
            with serve_grpc(log, limits) as ingest:
                yield Wire(
                    ingest,
                    lambda: GrpcSpans(ingest.address, **how),
                    lambda: GrpcLogs(ingest.address, **how),
                    lambda: GrpcMetrics(ingest.address, **how),
                )


def test_spans_that_were_sent_are_counted(wire: Wire) -> None:
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(wire.spans(), max_export_batch_size=128))
    tracer = provider.get_tracer("test")
    for n in range(N_REQUESTS):
        with tracer.start_as_current_span("POST /order", kind=SpanKind.SERVER) as server:
            with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT, attributes={"peer.service": "payment"}) as client:
                if n % 10 == 0:
                    client.record_exception(TimeoutError("no answer"))
                    client.set_status(Status(StatusCode.ERROR, "no answer"))
            if n % 50 == 0:
                server.set_attribute("http.response.status_code", 503)
            if n % 25 == 0:
                server.record_exception(ValueError("handled"))
    provider.shutdown()
    ingest = wire.ingest
    assert ingest.total("total") == N_REQUESTS
    assert ingest.total("inner") == N_REQUESTS
    assert (ingest.total("server_errors"), ingest.total("failed"), ingest.total("errors")) == (6, 6, 36)
    assert ingest.total("handled") == 6  # of the 12 recorded, those of servers that answered 503 are errors
    assert ingest.total("duration_sum_s") > 0
    batches = [message.batch for message in ingest.messages()]
    errors = [error for batch in batches for error in batch.errors]
    assert len({(error.trace_id, error.span_id) for error in errors}) == 36
    assert {(error.exception_type, error.message) for error in errors} == {
        ("TimeoutError", "no answer"),
        ("ValueError", "handled"),
    }
    assert sum(call.count for batch in batches for call in batch.calls) == N_REQUESTS
    assert {call.callee for batch in batches for call in batch.calls} == {"payment"}
    assert {presence for batch in batches for presence in batch.presences} == {Presence("shop", "shop-1", "7")}
    assert sum(len(batch.end_trace) for batch in batches) == N_REQUESTS
    assert ingest.sample("foreshock_records_total", signal="traces") == 2 * N_REQUESTS


def test_log_records_that_were_sent_are_counted(wire: Wire) -> None:
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(wire.logs()))
    logger = provider.get_logger("test")
    for n in range(N_REQUESTS):
        word, severity = (("ERROR", 17), ("WARN", 13), ("INFO", 9))[n % 3]
        attributes = {"exception.type": "ValueError", "exception.message": f"bad {n}"} if n % 6 < 2 else None
        logger.emit(
            timestamp=10**18,
            severity_number=SEVERITIES[severity],
            severity_text=word,
            body=f"{word} {n}",
            attributes=attributes,
        )
    provider.shutdown()
    ingest = wire.ingest
    assert (ingest.total("logs"), ingest.total("errors"), ingest.total("warnings"), ingest.total("handled")) == (
        300,
        100,
        100,
        50,
    )
    errors = [error for message in ingest.messages() for error in message.batch.errors]
    assert {error.message for error in errors} == {f"bad {n}" if n % 6 == 0 else f"ERROR {n}" for n in range(0, 300, 3)}
    assert ingest.sample("foreshock_records_total", signal="logs") == N_REQUESTS


def test_metrics_that_were_sent_are_levels(wire: Wire) -> None:
    reader = PeriodicExportingMetricReader(wire.metrics(), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=RESOURCE)
    meter = provider.get_meter("test")
    meter.create_counter("orders").add(5, {"kind": "a"})
    meter.create_counter("orders").add(7, {"kind": "b"})
    meter.create_gauge("queue.length").set(42.5)
    meter.create_histogram("latency").record(0.3)
    provider.shutdown()
    levels = {
        level.name: level.value
        for message in wire.ingest.messages()
        for level in message.batch.levels
        if level.service == "shop"
    }
    assert levels == {"orders": 7.0, "queue.length": 42.5}
    assert wire.ingest.sample("foreshock_records_total", signal="metrics") == 4
