"""What OTLP/JSON may hold, as typed structs that carry the attribute names of the protobuf messages.

msgspec fills them from a JSON body; the readers of `app.ingest` walk them and the protobuf messages with
the same code. Only what is read is named; unknown names are ignored, null means absent, numbers come as
numbers or texts of them, enums as numbers only, ids as hexadecimal (OTLP 1.11, "JSON Protobuf Encoding").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import msgspec
from msgspec import Meta

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

# Some senders write a whole number as 2.0 or 1.7e18.
_Whole: TypeAlias = Annotated[float, Meta(multiple_of=1.0)]

# What float() of Python would take beside these: "1_0", " 5 ", and the digits of every script.
_Decimal: TypeAlias = Annotated[str, Meta(pattern=r"^(-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity)\Z")]

# Every record has some, so their texts are looked at by `app.ingest.ids.whole` where they are read.
Int64: TypeAlias = int | str | _Whole | None
Double: TypeAlias = float | _Decimal | None

# A name of an enum is refused; 2.0 equals 2 wherever it is looked at.
Enum: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | _Whole | None

if TYPE_CHECKING:  # what `__post_init__` makes of them
    Int32: TypeAlias = int | None
    UInt32: TypeAlias = int | None
else:
    _Digits = Annotated[str, Meta(pattern=r"^-?[0-9]{1,10}\Z")]
    Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | _Digits | _Whole | None
    UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)] | _Digits | _Whole | None

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

    code: Enum = 0
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
    kind: Enum = 0
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
    severity_number: Enum = 0
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
    flags: UInt32 = 0

    def __post_init__(self) -> None:
        if self.flags:
            self.flags = int(self.flags)


class Points(_Shape):
    """The data points of a gauge, sum or summary."""

    data_points: list[DataPoint] | None = None


class Buckets(_Shape):
    """Consecutive buckets of an exponential histogram."""

    offset: Int32 = 0
    bucket_counts: list[Int64] | None = None

    def __post_init__(self) -> None:
        self.offset = int(self.offset or 0)


class HistogramPoint(_Shape):
    """One distribution, with explicit bounds or exponential ones."""

    attributes: list[KeyValue] | None = None
    start_time_unix_nano: Int64 = 0
    time_unix_nano: Int64 = 0
    count: Int64 = 0
    sum: Double = None
    flags: UInt32 = 0
    bucket_counts: list[Int64] | None = None
    explicit_bounds: list[Double] | None = None
    scale: Int32 = 0
    zero_count: Int64 = 0
    positive: Buckets | None = None

    def __post_init__(self) -> None:
        self.flags, self.scale = int(self.flags or 0), int(self.scale or 0)


class HistogramPoints(_Shape):
    """The data points of a histogram."""

    aggregation_temporality: Enum = 0
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
