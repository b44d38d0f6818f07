"""OTLP requests for tests: written once as JSON, read as JSON or as protobuf."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.signals import Encoding, Signal
from features.batch import Batch, channel
from features.series import WHOLE

__all__ = [
    "TRACE",
    "a_log",
    "a_point",
    "a_span",
    "as_json",
    "as_protobuf",
    "attributes",
    "count",
    "decode_both",
    "logs",
    "metrics",
    "span_id",
    "traces",
    "written",
]

Json = dict[str, Any]

MESSAGES = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest, "metrics": ExportMetricsServiceRequest}
TRACE = "5b8efff798038103d269b633813fc60c"
SECOND = 10**9


def span_id(n: int) -> str:
    return f"{n:016x}"


def attributes(values: Mapping[str, object]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: object) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes(value)}}
    return {"stringValue": str(value)}


def a_span(kind: int = 2, **changes: Any) -> Json:
    """Return a span of 10 ms that ends at second 120; `attributes` may be a plain dict."""
    span: Json = {
        "traceId": TRACE,
        "spanId": span_id(1),
        "name": "GET /cart",
        "kind": kind,
        "startTimeUnixNano": str(120 * SECOND - 10**7),
        "endTimeUnixNano": str(120 * SECOND),
    }
    return _changed(span, changes)


def a_log(severity: int = 17, **changes: Any) -> Json:
    record: Json = {"timeUnixNano": str(120 * SECOND), "severityNumber": severity, "body": {"stringValue": "it broke"}}
    return _changed(record, changes)


def a_point(value: float = 1.0, **changes: Any) -> Json:
    return _changed({"timeUnixNano": str(120 * SECOND), "asDouble": value}, changes)


def _changed(record: Json, changes: Json) -> Json:
    if isinstance(changes.get("attributes"), dict):
        changes["attributes"] = attributes(changes["attributes"])
    return record | changes


def traces(*spans: Json, service: str = "cart", resource: dict[str, object] | None = None) -> Json:
    return {"resourceSpans": [{"resource": _resource(service, resource), "scopeSpans": [{"spans": list(spans)}]}]}


def logs(*records: Json, service: str = "cart", resource: dict[str, object] | None = None) -> Json:
    return {"resourceLogs": [{"resource": _resource(service, resource), "scopeLogs": [{"logRecords": list(records)}]}]}


def metrics(*found: Json, service: str = "cart", resource: dict[str, object] | None = None) -> Json:
    return {"resourceMetrics": [{"resource": _resource(service, resource), "scopeMetrics": [{"metrics": list(found)}]}]}


def _resource(service: str, resource: dict[str, object] | None) -> Json:
    return {"attributes": attributes({"service.name": service} | (resource or {}))}


def as_json(request: Json) -> bytes:
    return json.dumps(request).encode()


def as_protobuf(request: Json, signal: Signal) -> bytes:
    return ParseDict(_with_base64_ids(request), MESSAGES[signal]()).SerializeToString()


def written(request: Json, signal: Signal, encoding: Encoding) -> bytes:
    return as_json(request) if encoding == "json" else as_protobuf(request, signal)


def _with_base64_ids(value: Any) -> Any:
    """Protobuf's own JSON mapping has ids in base64, OTLP's in hexadecimal."""
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: b64encode(bytes.fromhex(item)).decode() if key in ids else _with_base64_ids(item) for key, item in value.items()
    }


def decode_both(request: Json, signal: Signal, limits: Limits | None = None) -> tuple[Batch, Batch]:
    limits = limits or Limits()
    return (
        decode(as_json(request), signal, "json", limits=limits),
        decode(as_protobuf(request, signal), signal, "protobuf", limits=limits),
    )


def count(batch: Batch, name: str, operation: str = WHOLE, service: str = "cart") -> float:
    """Return the sum of a channel of a series over all windows."""
    rows = [row for row, series in enumerate(batch.series) if series == (service, operation)]
    return sum(float(batch.counts[batch.group_series == row, channel(name)].sum()) for row in rows)
