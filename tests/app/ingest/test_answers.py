"""Answers say the same in both encodings."""

from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import Parse, ParseDict
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.ingest.answers import accepted, failure, failure_as
from app.ingest.signals import SIGNALS, Signal
from features.batch import Batch

RESPONSES = {"traces": ExportTraceServiceResponse, "logs": ExportLogsServiceResponse, "metrics": ExportMetricsServiceResponse}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("rejected", [0, 3])
def test_a_response_says_the_same_in_both_encodings(signal: Signal, rejected: int) -> None:
    batch = Batch(signal, 5, rejected=rejected, reason="too many" if rejected else "")
    of_protobuf = RESPONSES[signal].FromString(accepted(batch, signal, "protobuf"))
    of_json = Parse(accepted(batch, signal, "json"), RESPONSES[signal]())
    assert of_protobuf == of_json
    assert of_json.HasField("partial_success") == bool(rejected)


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.UNAVAILABLE, Code.NOT_FOUND])
def test_a_status_says_the_same_in_both_encodings(code: Code) -> None:
    of_protobuf = Status.FromString(failure_as(code, "why", "protobuf"))
    found = json.loads(failure_as(code, "why", "json"))
    # Parsing the details needs the message types, which the protobuf library finds by their names.
    assert ParseDict(found, Status()) == of_protobuf == failure(code, "why")


def test_a_message_is_bounded() -> None:
    assert len(failure(Code.NOT_FOUND, "x" * 100_000).message) == 1024
