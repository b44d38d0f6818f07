"""What OTLP/JSON may hold, as typed structs that carry the attribute names of the protobuf messages.

msgspec fills them from a JSON body; the readers of `app.ingest` walk them and the protobuf messages with
the same code. Only what is read is named; unknown names are ignored, null means absent, 64-bit integers
come as numbers or strings, ids as hexadecimal (OTLP 1.11, "JSON Protobuf Encoding").
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

__all__ = [
    "AnyValue",
    "ArrayValue",
    "Buckets",
    "DataPoint",
    "HistogramPoint",
    "HistogramPoints",
    "KeyValue",
    "KeyValueList",
    "LogRecord",
    "LogsRequest",
    "Metric",
    "MetricsRequest",
    "Points",
    "Resource",
    "ResourceLogs",
    "ResourceMetrics",
    "ResourceSpans",
    "Scope",
    "ScopeLogs",
    "ScopeMetrics",
    "ScopeSpans",
    "Span",
    "SpanEvent",
    "Status",
    "TracesRequest",
]

# Floats are there for senders that write a whole number as 1.7e18.
Int64: TypeAlias = int | str | float | None
Double: TypeAlias = float | str | None
Id: TypeAlias = str | None


class _Shape(msgspec.Struct, rename="camel", gc=False):
    pass


class _OneOf(_Shape):
    """A message with alternatives, of which the protobuf messages tell the name in the same way."""

    ALTERNATIVES: ClassVar[tuple[str, ...]] = ()

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the name that protobuf messages give it
        for name in self.ALTERNATIVES:
            if getattr(self, name) is not None:
                return name
        return None


class AnyValue(_OneOf):
    """A value of an attribute or the body of a log record."""

    ALTERNATIVES: ClassVar[tuple[str, ...]] = (
        "string_value",
        "int_value",
        "double_value",
        "bool_value",
        "array_value",
        "kvlist_value",
        "bytes_value",
    )

    string_value: str | None = None
    int_value: Int64 = None
    double_value: Double = None
    bool_value: bool | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class ArrayValue(_Shape):
    """A list of values."""

    values: list[AnyValue] | None = None


class KeyValueList(_Shape):
    """A map of values."""

    values: list[KeyValue] | None = None


class KeyValue(_Shape):
    """An attribute."""

    key: str | None = ""
    value: AnyValue | None = None


class Resource(_Shape):
    """Who sent it."""

    attributes: list[KeyValue] | None = None


class Status(_Shape):
    """How a span ended; code 2 is an error."""

    code: int | None = 0
    message: str | None = ""


class SpanEvent(_Shape):
    """Something that happened during a span, such as an exception."""

    name: str | None = ""
    attributes: list[KeyValue] | None = None


class Span(_Shape):
    """One operation of one service."""

    trace_id: Id = ""
    span_id: Id = ""
    parent_span_id: Id = ""
    trace_state: str | None = ""
    name: str | None = ""
    kind: int | None = 0
    start_time_unix_nano: Int64 = 0
    end_time_unix_nano: Int64 = 0
    attributes: list[KeyValue] | None = None
    events: list[SpanEvent] | None = None
    status: Status | None = None


class ScopeSpans(_Shape):
    """Spans of one library."""

    spans: list[Span] | None = None


class ResourceSpans(_Shape):
    """Spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


class TracesRequest(_Shape):
    """The body of ``/v1/traces``."""

    resource_spans: list[ResourceSpans] | None = None


class LogRecord(_Shape):
    """One log record."""

    time_unix_nano: Int64 = 0
    observed_time_unix_nano: Int64 = 0
    severity_number: int | None = 0
    severity_text: str | None = ""
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    trace_id: Id = ""
    span_id: Id = ""


class ScopeLogs(_Shape):
    """Log records of one library."""

    log_records: list[LogRecord] | None = None


class ResourceLogs(_Shape):
    """Log records of one resource."""

    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None


class LogsRequest(_Shape):
    """The body of ``/v1/logs``."""

    resource_logs: list[ResourceLogs] | None = None


class DataPoint(_OneOf):
    """One measured value; summaries have points without one."""

    ALTERNATIVES: ClassVar[tuple[str, ...]] = ("as_double", "as_int")

    time_unix_nano: Int64 = 0
    as_double: Double = None
    as_int: Int64 = None
    flags: int | None = 0


class Points(_Shape):
    """The data points of a gauge, sum or summary."""

    data_points: list[DataPoint] | None = None


class Buckets(_Shape):
    """Consecutive buckets of an exponential histogram."""

    offset: int | None = 0
    bucket_counts: list[Int64] | None = None


class HistogramPoint(_Shape):
    """One distribution, with explicit bounds or exponential ones."""

    attributes: list[KeyValue] | None = None
    start_time_unix_nano: Int64 = 0
    time_unix_nano: Int64 = 0
    count: Int64 = 0
    sum: Double = None
    flags: int | None = 0
    bucket_counts: list[Int64] | None = None
    explicit_bounds: list[Double] | None = None
    scale: int | None = 0
    zero_count: Int64 = 0
    positive: Buckets | None = None


class HistogramPoints(_Shape):
    """The data points of a histogram."""

    aggregation_temporality: int | None = 0
    data_points: list[HistogramPoint] | None = None


class Metric(_OneOf):
    """One metric."""

    ALTERNATIVES: ClassVar[tuple[str, ...]] = ("gauge", "sum", "histogram", "exponential_histogram", "summary")

    name: str | None = ""
    unit: str | None = ""
    gauge: Points | None = None
    sum: Points | None = None
    histogram: HistogramPoints | None = None
    exponential_histogram: HistogramPoints | None = None
    summary: Points | None = None


class Scope(_Shape):
    """The library that measured."""

    name: str | None = ""


class ScopeMetrics(_Shape):
    """Metrics of one library."""

    scope: Scope | None = None
    metrics: list[Metric] | None = None


class ResourceMetrics(_Shape):
    """Metrics of one resource."""

    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] | None = None


class MetricsRequest(_Shape):
    """The body of ``/v1/metrics``."""

    resource_metrics: list[ResourceMetrics] | None = None
