"""Write a minute as OTLP: one export request a signal, all processes in it, as a Collector would send it.

`app.demo.minute.Minute` comes in, protobuf bodies go out, to `app.commands.demo_command`. What many spans share is serialised
once and merged, so a span costs a few microseconds.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.demo.attributes import Value, resource_attributes, span_attributes, span_kind, span_name
from app.demo.gauges import Metric, readings
from app.demo.minute import Identity, LogLine, Minute
from app.demo.story import LEVEL_NAMES, path_of, tell_log, tell_span
from app.demo.topology import TOPOLOGY
from features.arrays import IntArray

__all__ = ["requests"]

SCOPE = InstrumentationScope(name="shop.instrumentation", version="1.0.0").SerializeToString()
_SERVICE: list[int] = TOPOLOGY.instance_service.tolist()


def requests(minute: Minute) -> list[tuple[str, bytes]]:
    """Return the export requests of a minute.

    Parameters
    ----------
    minute : Minute
        From `app.demo.simulate.Shop.minute`.

    Returns
    -------
    list of (signal, body)
        ``traces``, ``logs`` and ``metrics``, each as OTLP protobuf; the same minute gives the same bytes.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from app.demo.simulate import Shop
    >>> shop = Shop(1, 1.0, 24.0, datetime(2026, 1, 5, tzinfo=UTC))
    >>> [signal for signal, _ in requests(shop.minute(0))]
    ['traces', 'logs', 'metrics']
    """
    return [("traces", _traces(minute)), ("logs", _logs(minute)), ("metrics", _metrics(minute))]


def _value(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)


def _pairs(attributes: dict[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


@cache
def _span_template(role: int, ref: int, status: int, symptom: int) -> bytes:
    span = Span(name=span_name(role, ref), kind=Span.SpanKind.ValueType(span_kind(role, ref)), flags=0x101)
    span.attributes.extend(_pairs(dict(span_attributes(role, ref, status, symptom))))
    if symptom:
        span.status.code = Status.STATUS_CODE_ERROR
    return span.SerializeToString()


@cache
def _resource(instance: int, identity: Identity) -> bytes:
    attributes = dict(resource_attributes(_SERVICE[instance], instance, identity))
    return Resource(attributes=_pairs(attributes)).SerializeToString()


def _traces(minute: Minute) -> bytes:
    table, start_ns = minute.spans, minute.start_ns
    ids, traces = minute.span_ids, minute.trace_ids
    order: IntArray = np.argsort(table.instance, kind="stable")
    columns = (table.role, table.ref, table.instance, table.trace, table.parent, table.start_ns, table.end_ns)
    rows = zip(
        order.tolist(),
        *(column[order].tolist() for column in (*columns, table.status, table.symptom, table.handled)),
        strict=True,
    )
    request = ExportTraceServiceRequest()
    current, spans = -1, None
    for row, role, ref, instance, trace, parent, begin, end, status, symptom, handled in rows:
        if instance != current or spans is None:
            current = instance
            group = request.resource_spans.add()
            group.resource.MergeFromString(_resource(instance, minute.identities[instance]))
            scope = group.scope_spans.add()
            scope.scope.MergeFromString(SCOPE)
            spans = scope.spans
        span = spans.add()
        span.MergeFromString(_span_template(role, ref, status, symptom))
        span.trace_id = traces[16 * trace : 16 * trace + 16]
        span.span_id = ids[8 * row : 8 * row + 8]
        if parent >= 0:
            span.parent_span_id = ids[8 * parent : 8 * parent + 8]
        span.start_time_unix_nano = start_ns + begin
        span.end_time_unix_nano = start_ns + end
        if (path := path_of(role, ref, ids[8 * row])) is not None:
            span.attributes.add(key="url.path").value.string_value = path
        if symptom or handled:
            _tell(minute, row, span)
    return request.SerializeToString()


def _tell(minute: Minute, row: int, span: Span) -> None:
    story = tell_span(minute, row)
    if story.failed:
        span.status.message = story.message
    if story.attributes:
        event = span.events.add(name="exception", time_unix_nano=minute.start_ns + story.time_ns)
        event.attributes.extend(_pairs(dict(story.attributes)))


def _logs(minute: Minute) -> bytes:
    request = ExportLogsServiceRequest()
    current, records = -1, None
    for line in minute.logs:
        if line.instance != current or records is None:
            current = line.instance
            group = request.resource_logs.add()
            group.resource.MergeFromString(_resource(current, minute.identities[current]))
            scope = group.scope_logs.add()
            scope.scope.MergeFromString(SCOPE)
            records = scope.log_records
        _write_log(minute, line, records.add())
    return request.SerializeToString()


def _write_log(minute: Minute, line: LogLine, record: LogRecord) -> None:
    story = tell_log(minute, line)
    record.time_unix_nano = record.observed_time_unix_nano = minute.start_ns + story.time_ns
    record.severity_number = SeverityNumber.ValueType(line.severity)
    record.severity_text = LEVEL_NAMES[line.severity]
    record.body.string_value = story.message
    if story.attributes:
        record.attributes.extend(_pairs(dict(story.attributes)))
    if line.span >= 0:
        trace = int(minute.spans.trace[line.span])
        record.trace_id = minute.trace_ids[16 * trace : 16 * trace + 16]
        record.span_id = minute.span_ids[8 * line.span : 8 * line.span + 8]
        record.flags = 1


@cache
def _metric_template(metric: Metric) -> bytes:
    found = MetricMessage(name=metric.name, unit=metric.unit)
    if metric.is_sum:
        found.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        points = found.sum.data_points
    else:
        points = found.gauge.data_points
    points.add(attributes=_pairs(dict(metric.attributes)))
    return found.SerializeToString()


def _metrics(minute: Minute) -> bytes:
    request = ExportMetricsServiceRequest()
    # Read at the minute's end, a little before its requests leave.
    at = minute.start_ns + 59_900_000_000
    for instance, metrics, values in readings(minute):
        group = request.resource_metrics.add()
        group.resource.MergeFromString(_resource(instance, minute.identities[instance]))
        scope = group.scope_metrics.add()
        scope.scope.MergeFromString(SCOPE)
        for metric, value in zip(metrics, values, strict=True):
            message = scope.metrics.add()
            message.MergeFromString(_metric_template(metric))
            point = (message.sum if metric.is_sum else message.gauge).data_points[0]
            point.time_unix_nano = at
            if metric.is_count:
                point.as_int = int(value)
            else:
                point.as_double = value
    return request.SerializeToString()
