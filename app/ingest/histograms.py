"""Reads histograms of request durations: which metrics they are, whose requests, and their buckets as ours.

`app.ingest.metrics` hands over the metrics that `is_request_duration` knows; what comes out are
`DurationPoint`s of the Batch, for `features.durations`.

Buckets become those of `features.batch.BUCKETS` by spreading each source bucket evenly over the logarithm of
its range. That is linear in the counts, so differences of cumulative points may be taken afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from math import isfinite, log2

import numpy as np

from app.ingest.attributes import number, texts
from app.ingest.ids import time_ns, whole
from app.ingest.limits import Limits
from app.ingest.shapes import HistogramPoint, Metric
from app.ingest.traffic import operation_name
from features.arrays import FloatArray
from features.batch import BUCKETS, N_BUCKETS, DurationPoint
from features.status_codes import rpc_code

__all__ = ["duration_points", "is_request_duration", "spread"]

# Semantic conventions for HTTP and RPC metrics, the stable names and those before; with the unit of each.
_UNITS = {
    "http.server.request.duration": "s",
    "http.server.duration": "ms",
    "rpc.server.call.duration": "s",
    "rpc.server.duration": "ms",
}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

_CUMULATIVE = 2  # AggregationTemporality of opentelemetry.proto.metrics.v1
_NO_RECORDED_VALUE = 1  # DataPointFlags
_MAX_BOUNDS = 1_024  # far beyond any real histogram (15 by default, 160 exponential)
_LONGEST_S = 86_400.0  # a longer mean is no duration, as of spans
_OCTAVES_BELOW = 3.0  # guessed: what is shorter than the first bound lies within an eighth of it

# Status codes of gRPC that mean that the server failed (semantic conventions for gRPC).
_GRPC_FAULTS = frozenset({2, 4, 12, 13, 14, 15})

_OURS = np.log2(np.array(BUCKETS))
_UPPER = np.array([*BUCKETS, 2 * BUCKETS[-1]])


def is_request_duration(name: str) -> bool:
    """Return whether a metric of this name measures the requests that a service serves.

    Examples
    --------
    >>> is_request_duration("http.server.request.duration"), is_request_duration("http.client.request.duration")
    (True, False)
    """
    return name in _UNITS


def duration_points(metric: Metric, service: str, identity: bytes, limits: Limits) -> tuple[list[DurationPoint], int]:
    """Return what a metric that `is_request_duration` knows says of requests.

    Parameters
    ----------
    metric : Metric
        A protobuf message or the struct of its shape.
    service : str
        Whose.
    identity : bytes
        Tells the resource and the scope from others.
    limits : Limits
        Bounds of names and of what attributes hold.

    Returns
    -------
    list of DurationPoint
        Of histograms, explicit and exponential; other kinds of points have no buckets and are left out.
    int
        How many points held no histogram that can be read.

    Raises
    ------
    ValueError
        When a text that should hold a number holds none.
    """
    which = metric.WhichOneof("data")
    if which not in {"histogram", "exponential_histogram"}:
        return [], 0
    points = metric.histogram if which == "histogram" else metric.exponential_histogram
    assert points is not None
    name = metric.name or ""
    unit_s = _SECONDS.get(metric.unit or "", _SECONDS[_UNITS[name]])
    cumulative = points.aggregation_temporality == _CUMULATIVE
    of_metric = identity + name.encode() + bytes([cumulative])
    family = _hashed(of_metric, {})
    found: list[DurationPoint] = []
    n_invalid = 0
    for point in points.data_points or ():
        if (point.flags or 0) & _NO_RECORDED_VALUE:
            continue
        histogram = _histogram(point, which, unit_s)
        count = whole(point.count)
        if histogram is None or not 0 <= count < 2**63:
            n_invalid += 1
            continue
        attributes = texts(point.attributes, limits.max_attribute_depth, limits.max_attribute_chars)
        seconds = float(point.sum or 0.0) * unit_s  # absent reads as 0 in protobuf
        failed, server_error = _failure(attributes, rpc=name.startswith("rpc."))
        found.append(
            DurationPoint(
                service=service,
                operation=operation_name(_operation(attributes), limits.max_name_chars),
                stream=_hashed(of_metric, attributes),
                family=family,
                start_ns=time_ns(point.start_time_unix_nano),
                time_ns=time_ns(point.time_unix_nano),
                cumulative=cumulative,
                failed=failed,
                server_error=server_error,
                count=float(count),
                seconds=seconds if 0 < seconds <= _LONGEST_S * count else _estimated(histogram),
                histogram=tuple(histogram.tolist()),
            )
        )
    return found, n_invalid


def spread(edges: Sequence[float], counts: FloatArray | Sequence[float]) -> FloatArray:
    """Return counts by our buckets.

    Parameters
    ----------
    edges : sequence of float, length n + 1
        Base-2 logarithms of the bounds of n buckets in seconds, rising.
    counts : FloatArray, shape (n,)
        Requests in each.

    Returns
    -------
    FloatArray, shape (N_BUCKETS,)

    Examples
    --------
    >>> spread([np.log2(BUCKETS[2]), np.log2(BUCKETS[4])], np.array([6.0])).tolist()[:6]
    [0.0, 0.0, 0.0, 3.0, 3.0, 0.0]
    """
    below = np.concatenate([[0.0], np.cumsum(counts)])
    at_ours = np.interp(_OURS, edges, below)
    return np.diff(np.concatenate([[0.0], at_ours, [below[-1]]]))


def _histogram(point: HistogramPoint, which: str, unit_s: float) -> FloatArray | None:
    """Return the buckets of a point as ours, empty where it has none, None where they contradict themselves."""
    return _explicit(point, unit_s) if which == "histogram" else _exponential(point, unit_s)


def _explicit(point: HistogramPoint, unit_s: float) -> FloatArray | None:
    bounds = tuple(float(bound or 0.0) for bound in point.explicit_bounds or ())
    counts = _counts(point.bucket_counts)
    if not len(counts):  # allowed: only count and sum are known
        return np.zeros(0)
    if len(counts) != len(bounds) + 1 or len(bounds) > _MAX_BOUNDS or not _add_up(counts, point):
        return None
    if not bounds:  # one bucket for everything says as little
        return np.zeros(0)
    edges, n_short = _edges(bounds, unit_s)
    if not edges:
        return None
    inside = counts[n_short:]
    short = np.zeros(N_BUCKETS)
    short[0] = counts[:n_short].sum()
    return short + spread(edges, inside)


@lru_cache(maxsize=256)
def _edges(bounds: tuple[float, ...], unit_s: float) -> tuple[tuple[float, ...], int]:
    """Return the logarithms that `spread` takes, none where bounds are no rising durations, and how many buckets lie below zero."""
    if not all(isfinite(bound) for bound in bounds) or any(low >= high for low, high in pairwise(bounds)):
        return (), 0
    above = [bound * unit_s for bound in bounds if bound > 0]
    if 0.0 in above:  # shorter than a number in seconds can say
        return (), 0
    inner = [log2(bound) for bound in above]
    if not inner:  # everything above zero is one bucket: nothing is known of how long it took
        inner = [log2(BUCKETS[0])]
    n_short = max(len(bounds) + 1 - (len(inner) + 1), 0)
    return (inner[0] - _OCTAVES_BELOW, *inner, inner[-1] + 1.0), n_short


def _exponential(point: HistogramPoint, unit_s: float) -> FloatArray | None:
    scale, positive = point.scale or 0, point.positive
    counts = _counts(positive.bucket_counts if positive is not None else None)
    if len(counts) > _MAX_BOUNDS or not -10 <= scale <= 20:  # noqa: PLR2004 - the range of the data model
        return None
    zero = _counts([point.zero_count])
    if not _add_up(np.concatenate([zero, counts]), point):
        return None  # durations are never negative
    shortest = np.zeros(N_BUCKETS)
    shortest[0] = zero[0]
    if not len(counts):
        return shortest
    offset = (positive.offset or 0) if positive is not None else 0
    edges = (offset + np.arange(len(counts) + 1)) * 2.0**-scale + np.log2(unit_s)
    return shortest + spread(edges.tolist(), counts)


def _counts(values: Sequence[int | str | float | None] | None) -> FloatArray:
    return np.array([float(whole(value)) for value in values or ()])


def _add_up(counts: FloatArray, point: HistogramPoint) -> bool:
    """Return whether buckets hold what the point counts; JSON can say negative numbers, which add up too."""
    return bool(counts.min() >= 0) and float(counts.sum()) == float(whole(point.count))


def _estimated(histogram: FloatArray) -> float:
    """Return the sum of durations where the sender keeps none: each at the geometric middle of its bucket."""
    return float((histogram * _UPPER[: len(histogram)]).sum() / np.sqrt(2.0))


def _operation(attributes: dict[str, str]) -> str:
    """Return the name that the spans of these requests have (semantic conventions for HTTP and RPC spans)."""
    method = attributes.get("http.request.method") or attributes.get("http.method")
    if method:
        route = attributes.get("http.route")
        return f"{method} {route}" if route else method
    service, method = attributes.get("rpc.service", ""), attributes.get("rpc.method", "")
    return f"{service}/{method}" if service and "/" not in method else method or service


def _failure(attributes: dict[str, str], *, rpc: bool) -> tuple[bool, bool]:
    """Return whether the server failed these requests, and whether it answered 5xx.

    A status decides where there is one. Otherwise `error.type` does: it is set where a request ended with an error, to
    the status or to what failed (semantic conventions for HTTP and RPC metrics).
    """
    error = attributes.get("error.type", "")
    status = number(attributes.get("http.response.status_code") or attributes.get("http.status_code"))
    grpc = attributes.get("rpc.grpc.status_code") or attributes.get("rpc.response.status_code")
    code = rpc_code(grpc or (error if rpc else ""))
    if not status and code < 0:
        status = number(error)
        if not 100 <= status < 600:  # noqa: PLR2004 - RFC 9110
            return bool(error), False
    server_error = 500 <= status < 600  # noqa: PLR2004 - RFC 9110: server errors
    return server_error or code in _GRPC_FAULTS, server_error


def _hashed(of_metric: bytes, attributes: dict[str, str]) -> int:
    text = "\0".join(f"{key}\0{value}" for key, value in sorted(attributes.items()))
    return int.from_bytes(blake2b(of_metric + text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
