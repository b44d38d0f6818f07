"""The contract of decoding: the body of an OTLP request in, a Batch out, whatever the bytes.

`app.ingest.receive` calls a `Decode`. Two engines meet the contract with the same Batch to the last bit: in
Python, upb parses protobuf, msgspec JSON into structs of the same shape, and one reader a signal walks either;
where the scanner in C is built, it reads traces and logs in protobuf in place of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias, cast

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.ingest.census import admit_census, admit_records
from app.ingest.json_body import MAX_NESTING, nests_too_deep, without_lone_surrogates
from app.ingest.limits import Limits
from app.ingest.logs import read_logs
from app.ingest.metrics import read_metrics
from app.ingest.shapes import LogsRequest, MetricsRequest, TracesRequest
from app.ingest.signals import Encoding, Signal
from app.ingest.spans import read_spans
from app.ingest.tally import Tally
from features.batch import Batch
from features.errors import InvalidSetting, MalformedBody

try:
    from app.ingest.scan import scan as _scan
except ImportError:  # no compiler built it, or it was built for another interpreter
    _scan = None

__all__ = ["ENGINE", "Decode", "Engine", "decode", "decoder"]

Engine: TypeAlias = Literal["c", "python"]

ENGINE: Engine = "python" if _scan is None else "c"
"""The fastest engine that is here."""

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


class Decode(Protocol):
    """What `decode` is, and the engines that `decoder` returns."""

    def __call__(self, body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = _DEFAULT) -> Batch:
        """Return what one OTLP request says; raise MalformedBody, TooManyRecords and nothing else."""
        ...


def decoder(engine: Engine) -> Decode:
    """Return the decoder of an engine.

    Parameters
    ----------
    engine : {"c", "python"}
        Which one.

    Returns
    -------
    Decode
        With the signature and the contract of `decode`.

    Raises
    ------
    InvalidSetting
        When the scanner in C is asked for and not built.

    Examples
    --------
    >>> decoder("python")(b"", "logs", "protobuf").n_records
    0
    """
    if engine == "c" and _scan is None:
        raise InvalidSetting("engine must be auto or python where the scanner in C is not built, got c")
    return _in_c if engine == "c" else _in_python


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
        When the bytes are no such request.
    TooManyRecords
        When they hold more than `Limits.max_records`. Nothing else is raised, whatever the bytes.

    Examples
    --------
    >>> decode(b"", "traces", "protobuf").n_records
    0
    >>> decode(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","kind":2}]}]}]}', "traces", "json").series
    (('unknown_service', 'a'),)
    """
    return _in_python(body, signal, encoding, limits=limits) if _scan is None else _in_c(body, signal, encoding, limits=limits)


def _in_c(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = _DEFAULT) -> Batch:
    if _scan is None or encoding == "json" or signal == "metrics":
        return _in_python(body, signal, encoding, limits=limits)
    batch = _scan(body, signal, limits)
    return _in_python(body, signal, encoding, limits=limits) if batch is None else batch


def _in_python(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = _DEFAULT) -> Batch:
    admit_census(body, signal, encoding, limits.max_records)
    tally = Tally(signal, limits, from_hex=encoding == "json")
    try:
        request = _parsed_json(body.removeprefix(_BOM), signal, tally) if encoding == "json" else _MESSAGES[signal](body)
        # A protobuf message has the attributes of the struct, so it is read as one.
        if signal == "traces":
            read_spans(cast("TracesRequest", request), tally)
        elif signal == "logs":
            read_logs(cast("LogsRequest", request), tally)
        else:
            read_metrics(cast("MetricsRequest", request), tally)
    except (DecodeError, msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as exc:
        raise MalformedBody(f"the body is no OTLP {signal} request in {encoding}: {str(exc)[:_SHOWN]}") from exc
    batch = tally.batch()
    admit_records(batch.n_records + batch.rejected, limits.max_records)
    return batch


def _parsed_json(body: bytes, signal: Signal, tally: Tally) -> Any:
    if nests_too_deep(body):
        raise ValueError(f"nesting must be <= {MAX_NESTING}")
    try:
        return _STRUCTS[signal](body)
    except msgspec.DecodeError:
        mended, n_lone = without_lone_surrogates(body)
        if not n_lone:
            raise
        tally.counters["surrogates_replaced"] += n_lone
        return _STRUCTS[signal](mended)
