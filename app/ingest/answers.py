"""What a sender is answered: google.rpc.Status for what went wrong, the signal's response otherwise.

`app.ingest.http` writes them in the encoding of the request, `app.ingest.grpc_server` as the call's status.
OTLP 1.11, "OTLP/HTTP Response" and "OTLP/gRPC Response".
"""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from app.ingest.signals import Encoding, Signal
from features.batch import Batch

__all__ = ["RETRY_AFTER_S", "accepted", "failure", "failure_as"]

RETRY_AFTER_S = 1
"""Seconds after which a sender may try again; a group commit takes milliseconds, so a second drains a queue. Guessed."""

# A response is bounded too (OTLP 1.11); every message of ours is far shorter, but may quote what came in.
_MAX_MESSAGE_CHARS = 1024

_REJECTED: dict[Signal, str] = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}


def accepted(batch: Batch, signal: Signal, encoding: Encoding) -> bytes:
    """Return the response to a request that was taken, as partial success when records were refused.

    Examples
    --------
    >>> accepted(Batch("logs", 3), "logs", "json"), accepted(Batch("logs", 3), "logs", "protobuf")
    (b'{}', b'')
    >>> accepted(Batch("logs", 1, rejected=2, reason="rows"), "logs", "json")
    b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"rows"}}'
    """
    if not batch.rejected:
        return b"{}" if encoding == "json" else b""
    if encoding == "json":
        partial = {_REJECTED[signal]: str(batch.rejected), "errorMessage": batch.reason}
        return msgspec.json.encode({"partialSuccess": partial})
    n, why = batch.rejected, batch.reason
    if signal == "traces":
        partial = ExportTracePartialSuccess(rejected_spans=n, error_message=why)
        return ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    if signal == "logs":
        partial = ExportLogsPartialSuccess(rejected_log_records=n, error_message=why)
        return ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    partial = ExportMetricsPartialSuccess(rejected_data_points=n, error_message=why)
    return ExportMetricsServiceResponse(partial_success=partial).SerializeToString()


def failure(code: Code, message: str, retry_after_s: int | None = None) -> Status:
    """Return the Status of a request that was not taken, with the detail that its code asks for.

    Parameters
    ----------
    code : Code
        Of google.rpc.
    message : str
        What went wrong.
    retry_after_s : int, optional
        After which the same may be sent again; `RETRY_AFTER_S` where the code says that it may and this does not say when.
    """
    message = message[:_MAX_MESSAGE_CHARS]
    status = Status(code=code, message=message)
    if code == Code.INVALID_ARGUMENT:
        violation = BadRequest.FieldViolation(field="body", description=message)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    elif code == Code.UNAVAILABLE or retry_after_s is not None:
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=retry_after_s or RETRY_AFTER_S)))
    return status


def failure_as(code: Code, message: str, encoding: Encoding, retry_after_s: int | None = None) -> bytes:
    """Return the Status of a request that was not taken, in its encoding.

    Examples
    --------
    >>> failure_as(Code.RESOURCE_EXHAUSTED, "too large", "json")
    b'{"code":8,"message":"too large"}'
    """
    status = failure(code, message, retry_after_s)
    if encoding == "protobuf":
        return status.SerializeToString()
    answer: dict[str, Any] = {"code": int(code), "message": status.message}
    if code == Code.INVALID_ARGUMENT:
        violation = {"field": "body", "description": status.message}
        answer["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    elif code == Code.UNAVAILABLE or retry_after_s is not None:
        delay = f"{retry_after_s or RETRY_AFTER_S}s"
        answer["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return msgspec.json.encode(answer)
