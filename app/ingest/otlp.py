"""The contract of decoding: the body of an OTLP request in, a Batch out, whatever the bytes.

`app.ingest.receive` calls `decode`; a faster scanner replaces it behind the same signature and the same
tests. Protobuf is parsed by upb, JSON by msgspec into structs of the same shape, and one reader a signal
walks either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, cast

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.ingest.limits import Limits
from app.ingest.logs import read_logs
from app.ingest.metrics import read_metrics
from app.ingest.shapes import LogsRequest, MetricsRequest, TracesRequest
from app.ingest.spans import read_spans
from app.ingest.tally import Tally
from features.batch import Batch
from features.errors import MalformedBody

__all__ = ["SIGNALS", "Encoding", "Signal", "decode"]

Signal: TypeAlias = Literal["traces", "logs", "metrics"]
Encoding: TypeAlias = Literal["protobuf", "json"]

SIGNALS: tuple[Signal, ...] = ("logs", "metrics", "traces")
"""The signals of OTLP that are taken."""

_MESSAGES: dict[Signal, Callable[[bytes], Any]] = {
    "traces": ExportTraceServiceRequest.FromString,
    "logs": ExportLogsServiceRequest.FromString,
    "metrics": ExportMetricsServiceRequest.FromString,
}
_STRUCTS: dict[Signal, Callable[[bytes], Any]] = {
    "traces": msgspec.json.Decoder(TracesRequest).decode,
    "logs": msgspec.json.Decoder(LogsRequest).decode,
    "metrics": msgspec.json.Decoder(MetricsRequest).decode,
}

_DEFAULT = Limits()
_BOM = b"\xef\xbb\xbf"
_SHOWN = 200


def decode(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = _DEFAULT) -> Batch:
    """Return what one OTLP request says.

    Parameters
    ----------
    body : bytes
        The body, decompressed.
    signal : {"traces", "logs", "metrics"}
        Which request it is.
    encoding : {"protobuf", "json"}
        How it is written.
    limits : Limits
        Bounds on names, errors and rows.

    Returns
    -------
    Batch
        Times are as sent; those outside ``[0, 2**63)`` are -1 and counted.

    Raises
    ------
    MalformedBody
        When the bytes are no such request. Nothing else is raised, whatever the bytes.

    Examples
    --------
    >>> decode(b"", "traces", "protobuf").n_records
    0
    >>> decode(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","kind":2}]}]}]}', "traces", "json").series
    (('unknown_service', 'a'),)
    """
    tally = Tally(signal, limits, from_hex=encoding == "json")
    try:
        parse = _STRUCTS[signal] if encoding == "json" else _MESSAGES[signal]
        request = parse(body.removeprefix(_BOM) if encoding == "json" else body)
        # A protobuf message has the attributes of the struct, so it is read as one.
        if signal == "traces":
            read_spans(cast("TracesRequest", request), tally)
        elif signal == "logs":
            read_logs(cast("LogsRequest", request), tally)
        else:
            read_metrics(cast("MetricsRequest", request), tally)
    except (DecodeError, msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as exc:
        raise MalformedBody(f"the body is no OTLP {signal} request in {encoding}: {str(exc)[:_SHOWN]}") from exc
    return tally.batch()
