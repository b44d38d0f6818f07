"""What one OTLP request says, reduced to arrays: the value that crosses from `app.ingest` to `features.windows`.

A decoder builds one `Batch` from one body; `features.pieces.split` cuts it by partition; the log carries the pieces;
`features.windows.Windows.add` adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np

from features.arrays import FloatArray, IntArray, UInt64Array
from features.event import ErrorRecord
from features.values import hot_value

__all__ = [
    "BUCKETS",
    "CHANNELS",
    "N_BUCKETS",
    "N_CHANNELS",
    "Batch",
    "Call",
    "DurationPoint",
    "Level",
    "Presence",
    "bucket_of",
    "channel",
]

CHANNELS = (
    "total",  # entry spans: SERVER, CONSUMER, or a root span of any other kind
    "failed",  # entry spans with status ERROR or a 5xx answer
    "server_errors",  # entry spans that answered 5xx
    "errors",  # ErrorEvents: failing spans of every kind and log records of severity >= 17
    "warnings",  # log records of severity 13 to 16
    "handled",  # exceptions that were recorded but did not fail the span, or below severity 17
    "inner",  # spans that are no entry spans
    "logs",  # log records
    "served",  # entry spans of kind SERVER, which a service may measure itself as well
    "duration_sum_s",  # of entry spans
    "duration_max_s",  # of entry spans
)
"""The channels of a traffic group, in order; all add up, but the last one takes the maximum.

A sampled span counts as often as its sampling says (`ErrorRecord.weight`), except in the maximum.
"""

N_CHANNELS = len(CHANNELS)

BUCKETS = tuple(2.0**k * 1e-6 for k in range(9, 24))
"""Upper bounds in seconds of the log2 duration histogram's buckets but the last: 512 us to 8.4 s."""

N_BUCKETS = len(BUCKETS) + 1


def channel(name: str) -> int:
    """Return the index of a channel.

    Examples
    --------
    >>> channel("errors")
    3
    """
    return CHANNELS.index(name)


def bucket_of(duration_ns: int) -> int:
    """Return the histogram bucket of a duration in nanoseconds.

    Examples
    --------
    >>> bucket_of(0), bucket_of(511_999), bucket_of(512_000), bucket_of(10**12)
    (0, 0, 1, 15)
    """
    return min(max((max(duration_ns, 0) // 1000).bit_length() - 9, 0), N_BUCKETS - 1)


@hot_value()
class Level:
    """One value of a gauge or sum of a service.

    Parameters
    ----------
    service, name : str
        The service and the metric's name.
    time_ns : int
        Unix nanoseconds as sent.
    value : float
        The last value of that tick in this request.
    """

    service: str
    name: str
    time_ns: int
    value: float


@hot_value()
class Call:
    """Calls from one service to a peer that it named itself.

    Parameters
    ----------
    caller, callee : str
        The calling service, and the peer as the span's attributes name it (a service or a host).
    count, failed : float
        How many client spans, and how many of them failed; sampled ones count with their weight.
    """

    caller: str
    callee: str
    count: float
    failed: float


@hot_value()
class DurationPoint:
    """One point of a histogram in which a service measured the requests that it served.

    Parameters
    ----------
    service, operation : str
        Named as the spans of the same requests are.
    stream : int
        64-bit hash of everything that tells this stream of points from others.
    family : int
        64-bit hash of the resource, the scope and the metric: streams of a family are exported together.
    start_ns, time_ns : int
        Unix nanoseconds as sent: from when, 0 where that is not known, and until when.
    cumulative : bool
        Whether the numbers run on from `start_ns`, or hold what came since the point before.
    failed, server_error : bool
        What kind of requests it counts: those that failed, and of these those that answered 5xx.
    count, seconds : float
        Requests, and the sum of their durations.
    histogram : tuple of float, length N_BUCKETS or 0
        Requests by the buckets of `BUCKETS`, spread from the sender's own; empty where the sender keeps none.
    """

    service: str
    operation: str
    stream: int
    family: int
    start_ns: int
    time_ns: int
    cumulative: bool
    failed: bool
    server_error: bool
    count: float
    seconds: float
    histogram: tuple[float, ...]


@hot_value()
class Presence:
    """That an instance of a service spoke, and in which version.

    Parameters
    ----------
    service, instance, version : str
        Resource attributes; the last two may be empty.
    """

    service: str
    instance: str
    version: str


def _no_float() -> FloatArray:
    return np.zeros((0, N_CHANNELS))


def _no_histogram() -> FloatArray:
    return np.zeros((0, N_BUCKETS))


def _no_int() -> IntArray:
    return np.zeros(0, np.int64)


def _no_uint() -> UInt64Array:
    return np.zeros(0, np.uint64)


@hot_value(eq=False)
class Batch:
    """One request, or the part of it that belongs to one partition.

    Parameters
    ----------
    signal : {"traces", "logs", "metrics"}
        The OTLP signal.
    n_records : int
        Spans, log records or data points accepted from the request.
    series : tuple of (service, operation)
        Table that `group_series` points into; operation ``*`` holds what belongs to no entry span.
    group_series : IntArray, shape (g,)
        Row of `series` of each traffic group.
    group_time_s : IntArray, shape (g,)
        Window start in unix seconds, as the sender's clock has it.
    counts : FloatArray, shape (g, N_CHANNELS)
        Channels of `CHANNELS`.
    histogram : FloatArray, shape (g, N_BUCKETS)
        Durations of entry spans.
    errors : tuple of ErrorRecord
        Failures; at most as many as the limits allow, while channel ``errors`` counts them all.
    levels : tuple of Level
        Gauges and sums.
    calls : tuple of Call
        Edges that the caller's attributes name.
    end_trace, end_span : UInt64Array, shape (e,)
        Span ends for the join that finds the other edges: 64-bit hash of the trace id, and of the
        span id under which caller and callee meet (its own for a caller, the parent's for a callee).
    end_service : IntArray, shape (e,)
        Index into `services`.
    end_role : IntArray, shape (e,)
        0 for a caller, 1 for a callee.
    services : tuple of str
        Table that `end_service` points into.
    presences : tuple of Presence
        Instances and versions seen.
    durations : tuple of DurationPoint
        What services measured of the requests they served.
    counters : Mapping[str, int]
        What was cut, refused or odd, by reason; these become metrics.
    rejected : int
        Records refused from this request, reported as OTLP partial success.
    reason : str
        Why they were refused.
    """

    signal: str
    n_records: int = 0
    series: tuple[tuple[str, str], ...] = ()
    group_series: IntArray = field(default_factory=_no_int)
    group_time_s: IntArray = field(default_factory=_no_int)
    counts: FloatArray = field(default_factory=_no_float)
    histogram: FloatArray = field(default_factory=_no_histogram)
    errors: tuple[ErrorRecord, ...] = ()
    levels: tuple[Level, ...] = ()
    calls: tuple[Call, ...] = ()
    end_trace: UInt64Array = field(default_factory=_no_uint)
    end_span: UInt64Array = field(default_factory=_no_uint)
    end_service: IntArray = field(default_factory=_no_int)
    end_role: IntArray = field(default_factory=_no_int)
    services: tuple[str, ...] = ()
    presences: tuple[Presence, ...] = ()
    durations: tuple[DurationPoint, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict[str, int])
    rejected: int = 0
    reason: str = ""
