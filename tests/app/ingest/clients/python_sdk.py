"""The OpenTelemetry SDK for Python, told to send the table of `tests.app.ingest.truth`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
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
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace.span import TraceState

from tests.app.ingest.truth import RESOURCES, Log, Span, Truth

__all__ = ["Exporters", "over_grpc", "over_http", "send"]

_NOBODY = Context()  # no span of the caller is a parent


@dataclass
class Exporters:
    """What makes an exporter of each signal."""

    spans: Callable[[], Any]
    logs: Callable[[], Any]
    metrics: Callable[[], Any]


def over_http(address: str, *, packed: bool) -> Exporters:
    """Return the exporters of HTTP with protobuf."""
    how: dict[str, Any] = {"compression": Compression.Gzip if packed else Compression.NoCompression}
    url = f"http://{address}/v1"
    return Exporters(
        lambda: HttpSpans(f"{url}/traces", **how),
        lambda: HttpLogs(f"{url}/logs", **how),
        lambda: HttpMetrics(f"{url}/metrics", **how),
    )


def over_grpc(address: str, *, packed: bool) -> Exporters:
    """Return the exporters of gRPC."""
    compression = grpc.Compression.Gzip if packed else grpc.Compression.NoCompression
    how: dict[str, Any] = {"compression": compression, "insecure": True}
    return Exporters(lambda: GrpcSpans(address, **how), lambda: GrpcLogs(address, **how), lambda: GrpcMetrics(address, **how))


class _Ids(IdGenerator):
    """Gives the ids that were set last."""

    def __init__(self) -> None:
        self.span = self.trace = 0

    def generate_span_id(self) -> int:
        return self.span

    def generate_trace_id(self) -> int:
        return self.trace


def send(truth: Truth, exporters: Exporters) -> dict[str, dict[str, str]]:
    """Send the whole table; return by span id what the SDK wrote of exceptions that were raised."""
    ids, raised = _Ids(), dict[str, dict[str, str]]()
    for service, attributes in RESOURCES.items():
        resource, mine = Resource(attributes), truth.of(service)
        tracing = TracerProvider(resource=resource, id_generator=ids)
        tracing.add_span_processor(BatchSpanProcessor(exporters.spans(), max_export_batch_size=32))
        logging = LoggerProvider(resource=resource)
        logging.add_log_record_processor(BatchLogRecordProcessor(exporters.logs(), max_export_batch_size=7))
        metering = MeterProvider(
            [PeriodicExportingMetricReader(exporters.metrics(), export_interval_millis=3_600_000)], resource=resource
        )
        _measure(mine, metering)
        for span in mine.spans:
            _trace(span, tracing, ids, raised)
        for log in mine.logs:
            logging.get_logger("tests").emit(_record(log))
        with ThreadPoolExecutor(3) as pool:  # together, as a process that ends does not wait for one before the next
            list(pool.map(lambda end: end(), (tracing.shutdown, logging.shutdown, metering.shutdown)))
    return raised


def _context(trace: str, span: str, state: str = "") -> Context:
    pairs = [(key, value) for key, _, value in (member.partition("=") for member in state.split(",") if member)]
    parent = SpanContext(int(trace, 16), int(span, 16), True, TraceFlags(TraceFlags.SAMPLED), TraceState(pairs))
    return set_span_in_context(NonRecordingSpan(parent), _NOBODY)


def _trace(told: Span, tracing: TracerProvider, ids: _Ids, raised: dict[str, dict[str, str]]) -> None:
    ids.trace, ids.span = int(told.trace, 16), int(told.span, 16)
    span = tracing.get_tracer("tests").start_span(
        told.name,
        context=_context(told.trace, told.parent, told.trace_state) if told.parent else _NOBODY,
        kind=SpanKind[told.kind],
        attributes=told.attributes,
        start_time=told.start_ns,
    )
    for event in told.events:
        if event.raised:
            try:
                raise RuntimeError(event.raised)
            except RuntimeError as exc:
                span.record_exception(exc, timestamp=event.time_ns)
            assert isinstance(span, ReadableSpan)
            raised[told.span] = {key: str(value) for key, value in (span.events[-1].attributes or {}).items()}
        else:
            span.add_event(event.name, event.attributes, timestamp=event.time_ns)
    if told.status != "UNSET":
        span.set_status(Status(StatusCode[told.status], told.message or None))
    span.end(told.end_ns)


def _record(told: Log) -> LogRecord:
    return LogRecord(
        timestamp=told.time_ns,
        context=_context(told.trace, told.span) if told.trace else _NOBODY,
        severity_number=SeverityNumber(told.severity) if told.severity else None,
        severity_text=told.text,
        body=told.body,
        attributes=told.attributes,
    )


def _measure(truth: Truth, metering: MeterProvider) -> None:
    meter = metering.get_meter("tests")
    for name, kind in {point.name: point.kind for point in truth.points}.items():
        points = [(point.value, point.attributes) for point in truth.points if point.name == name]
        if kind == "sum":
            counter = meter.create_counter(name)
            for value, attributes in points:
                counter.add(value, attributes)
        elif kind == "gauge":
            gauge = meter.create_gauge(name)
            for value, attributes in points:
                gauge.set(value, attributes)
        else:
            histogram = meter.create_histogram(name)
            for value, attributes in points:
                histogram.record(value, attributes)
