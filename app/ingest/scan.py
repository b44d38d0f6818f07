"""Reads OTLP traces and logs in protobuf with the scanner in C, `app.ingest._scan`.

`app.ingest.otlp` calls `scan` where the scanner is built. What it returns equals what the readers in Python
return, to the last bit; a change to `app.ingest.spans`, `logs`, `tally` or `traffic` is one to `scanner/` too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from app.ingest import _scan
from app.ingest.attributes import IMPORTANT
from app.ingest.limits import Limits
from app.ingest.tally import refusal
from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, Presence
from features.errors import MalformedBody
from features.event import ErrorRecord

__all__ = ["scan"]

_TYPES = (ErrorRecord, Call, Presence)


def scan(body: bytes, signal: Literal["traces", "logs"], limits: Limits) -> Batch | None:
    """Return what an OTLP request in protobuf says, unless it is one for the reader in Python.

    Parameters
    ----------
    body : bytes
        The body, decompressed.
    signal : {"traces", "logs"}
        Which request it is.
    limits : Limits
        Bounds on names, errors and rows.

    Returns
    -------
    Batch or None
        As `app.ingest.otlp.decode` returns it. None where there are more records, or resources and scopes, than
        `Limits.max_records`, which `app.ingest.census` refuses, or an attribute holds a list in several parts, which protobuf
        joins and no library writes.

    Raises
    ------
    MalformedBody
        When the bytes are no such request.

    Examples
    --------
    >>> batch = scan(b"", "traces", Limits())
    >>> batch is not None and batch.n_records
    0
    """
    bounds = (
        limits.tick_s,
        limits.span_end_sample,
        limits.max_errors_per_request,
        limits.max_attribute_chars,
        limits.max_attributes,
        limits.max_attribute_depth,
        limits.max_name_chars,
        limits.max_operations,
        limits.max_rows,
        limits.max_records,
    )
    try:
        found = _scan.scan(body, signal == "logs", bounds, IMPORTANT, _TYPES)
    except ValueError as exc:
        raise MalformedBody(f"the body is no OTLP {signal} request in protobuf: {exc}") from None
    if found is None:
        return None
    n_records, rejected, groups, ends, errors, calls, presences, counters = found
    series, group_series, group_time_s, counts, histogram = groups
    end_trace, end_span, end_service, end_role, services = ends
    return Batch(
        signal=signal,
        n_records=n_records,
        series=series,
        group_series=np.frombuffer(group_series, np.int64),
        group_time_s=np.frombuffer(group_time_s, np.int64),
        counts=np.frombuffer(counts, np.float64).reshape(-1, N_CHANNELS),
        histogram=np.frombuffer(histogram, np.float64).reshape(-1, N_BUCKETS),
        errors=errors,
        calls=calls,
        end_trace=np.frombuffer(end_trace, np.uint64),
        end_span=np.frombuffer(end_span, np.uint64),
        end_service=np.frombuffer(end_service, np.int64),
        end_role=np.frombuffer(end_role, np.int64),
        services=services,
        presences=presences,
        counters=counters,
        rejected=rejected,
        reason=refusal(rejected, limits),
    )
