"""Reads metrics: gauges and sums become levels, histograms of request durations traffic, the rest is counted.

`app.ingest.otlp.decode` hands over a protobuf message or the struct of the same shape.

Of one metric of one resource, a level is the latest point of a tick, and the largest where attribute sets
share that time; of several resources of a service (its instances) in one request, the largest. So a level
answers "how bad is it at worst", for memory, queues and pools alike.
"""

from __future__ import annotations

from math import isfinite

from app.ingest.attributes import texts
from app.ingest.histograms import duration_points, is_request_duration
from app.ingest.ids import INVALID_TIME, time_ns, whole
from app.ingest.shapes import DataPoint, Metric, MetricsRequest, Points, Resource, Scope
from app.ingest.tally import Tally
from features.batch import Level

__all__ = ["read_metrics"]

# DataPointFlags of opentelemetry.proto.metrics.v1: the point says that there is no value.
_NO_RECORDED_VALUE = 1


def read_metrics(request: MetricsRequest, tally: Tally) -> None:
    """Count every data point of a request and keep the levels.

    Parameters
    ----------
    request : MetricsRequest
        A protobuf ExportMetricsServiceRequest, or the struct of its shape.
    tally : Tally
        Where it is counted.

    Raises
    ------
    ValueError
        When a text that should hold a number holds none.
    """
    for resource_metrics in request.resource_metrics or ():
        source = tally.source(resource_metrics.resource)
        for scope_metrics in resource_metrics.scope_metrics or ():
            for metric in scope_metrics.metrics or ():
                if is_request_duration(metric.name or ""):
                    _read_durations(metric, source.service, (resource_metrics.resource, scope_metrics.scope), tally)
                _read(metric, source.service, tally)


def _read_durations(metric: Metric, service: str, origin: tuple[Resource | None, Scope | None], tally: Tally) -> None:
    """Keep what the service measured of its requests; `_read` counts the points."""
    resource, scope = origin
    attributes = texts(
        resource.attributes if resource is not None else None,
        tally.limits.max_attribute_depth,
        tally.limits.max_attribute_chars,
    )
    identity = repr((sorted(attributes.items()), scope.name if scope is not None else "")).encode(errors="surrogatepass")
    points, n_invalid = duration_points(metric, service, identity, tally.limits)
    tally.counters["histograms_invalid"] += n_invalid
    for point in points:
        if point.time_ns == INVALID_TIME:
            tally.counters["times_invalid"] += 1
        tally.duration(point)


def _read(metric: Metric, service: str, tally: Tally) -> None:
    which = metric.WhichOneof("data")
    if which is None:
        return
    points: Points = getattr(metric, which)
    if which not in {"gauge", "sum"}:
        tally.accept(len(points.data_points or ()))
        return
    tick_ns = tally.limits.tick_s * 10**9
    name = tally.name(metric.name or "unnamed")
    latest: dict[int, Level] = {}
    count: dict[int, int] = {}
    for point in points.data_points or ():
        level = _level(point, service, name, tally)
        if level is None:
            tally.accept(1)
            continue
        tick = level.time_ns // tick_ns
        count[tick] = count.get(tick, 0) + 1
        known = latest.get(tick)
        if known is None or (level.time_ns, level.value) > (known.time_ns, known.value):
            latest[tick] = level
    for tick, level in latest.items():
        if tally.level(level):
            tally.accept(count[tick])
        else:
            tally.refuse(count[tick])


def _level(point: DataPoint, service: str, name: str, tally: Tally) -> Level | None:
    which = point.WhichOneof("value")
    if which is None or (point.flags or 0) & _NO_RECORDED_VALUE:
        return None
    found = getattr(point, which)
    value = float(found) if which == "as_double" else float(whole(found))
    if not isfinite(value):
        tally.counters["levels_not_finite"] += 1
        return None
    time = time_ns(point.time_unix_nano)
    if time == INVALID_TIME:
        tally.counters["times_invalid"] += 1
    return Level(service, name, time, value)
