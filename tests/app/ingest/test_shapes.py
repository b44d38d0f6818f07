"""The structs of OTLP/JSON have the attribute names of the protobuf messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue as ProtobufValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as ProtobufLogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as ProtobufMetric
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtobufSpan

from app.ingest import shapes


@pytest.mark.parametrize(
    ("struct", "message"),
    [
        (shapes.TracesRequest, ExportTraceServiceRequest),
        (shapes.LogsRequest, ExportLogsServiceRequest),
        (shapes.MetricsRequest, ExportMetricsServiceRequest),
        (shapes.Span, ProtobufSpan),
        (shapes.SpanEvent, ProtobufSpan.Event),
        (shapes.LogRecord, ProtobufLogRecord),
        (shapes.Metric, ProtobufMetric),
        (shapes.DataPoint, NumberDataPoint),
        (shapes.AnyValue, ProtobufValue),
    ],
)
def test_every_field_exists_in_protobuf_under_the_same_names(struct: type[msgspec.Struct], message: type[Message]) -> None:
    fields: dict[str, Any] = {field.name: field for field in message.DESCRIPTOR.fields}
    for field in msgspec.structs.fields(struct):
        assert fields[field.name].json_name == field.encode_name


def test_alternatives_are_those_of_protobuf() -> None:
    assert set(shapes.Metric.ALTERNATIVES) == {field.name for field in ProtobufMetric.DESCRIPTOR.oneofs_by_name["data"].fields}
    known = {field.name for field in ProtobufValue.DESCRIPTOR.oneofs_by_name["value"].fields}
    assert set(shapes.AnyValue.ALTERNATIVES) <= known
    assert shapes.AnyValue(int_value=0).WhichOneof("value") == "int_value"
    assert shapes.AnyValue().WhichOneof("value") is None
