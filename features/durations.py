"""What services measured themselves of the requests they served: their duration histograms in, traffic by window out.

`app.ingest` reads DurationPoints from metrics; `features.memory.Memory` gathers them here until a tick ends
and counts what `Meters.settle` returns. From the window after its first points on, a service that measures
itself is counted by its histograms, which see every request, instead of by its SERVER spans, which may be a
sample: `Meters.unmeasured` takes those out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import BUCKETS, N_BUCKETS, N_CHANNELS, DurationPoint, channel

__all__ = ["Meters", "Served"]

_TOTAL, _FAILED, _SERVER_ERRORS = channel("total"), channel("failed"), channel("server_errors")
_SERVED, _SUM, _MAX = channel("served"), channel("duration_sum_s"), channel("duration_max_s")
_ADDING = np.array([_TOTAL, _FAILED, _SERVER_ERRORS, _SUM, *range(N_CHANNELS, N_CHANNELS + N_BUCKETS)])
_UPPER = np.array([*BUCKETS, 2 * BUCKETS[-1]])

_SPARSE_TICKS = 2
"""A longer interval between points leaves windows without any: such a service is counted by its spans."""

_LAPSE_TICKS = 3  # windows without a point after which spans count again; before the five that mean absence
_KEPT = tuple(f.name for f in fields(DurationPoint) if f.name not in {"service", "histogram"})
_MAX_STREAMS = 4_096  # of one service, guessed: 50 routes, 4 statuses, 20 instances
_MAX_STREAMS_IN_ALL = 50_000  # of one partition, guessed: about 20 MB


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Requests that a service measured in one window.

    Parameters
    ----------
    tenant, service, operation : str
        Whose.
    window : int
        Number of the window in which the points that brought them lie.
    values : FloatArray, shape (N_CHANNELS + N_BUCKETS,)
        Channels and histogram, as `features.windows` takes them.
    """

    tenant: str
    service: str
    operation: str
    window: int
    values: FloatArray


@dataclass(slots=True)
class _Meter:
    """What is known of the histograms of one service."""

    streams: dict[int, DurationPoint]
    since: int = -1  # first window that they count for; -1: its spans count
    heard: int = -1  # tick at whose end the last points were taken
    full: bool = False  # it has more streams than are kept, so its spans tell more


class Meters:
    """Duration histograms of the services of one partition.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.

    Examples
    --------
    >>> def point(second: int, count: float) -> DurationPoint:
    ...     return DurationPoint("cart", "GET /", 7, 0, second * 10**9, True, False, False, count, count / 10, (count,) * 16)
    >>> meters = Meters(60)
    >>> meters.gather("default", [point(60, 5.0)])
    >>> meters.settle(1), bool(meters)  # a first point only says where the counter stands
    ([], False)
    >>> meters.gather("default", [point(120, 9.0)])
    >>> meters.settle(2), bool(meters)  # the second one says how often they come
    ([], True)
    >>> meters.gather("default", [point(180, 15.0)])
    >>> [(served.window, float(served.values[0])) for served in meters.settle(3)]
    [(2, 6.0)]
    """

    def __init__(self, tick_s: int = 60) -> None:
        self._tick_ns = tick_s * 10**9
        self._meters: dict[tuple[str, str], _Meter] = {}
        self._waiting: dict[tuple[str, str], list[DurationPoint]] = {}
        self._n_streams = 0
        self.dropped = 0
        """Points of services with more streams than are kept; their spans count."""

    def __bool__(self) -> bool:
        """Return whether any service is counted by its histograms."""
        return any(meter.since >= 0 for meter in self._meters.values())

    def gather(self, tenant: str, points: Iterable[DurationPoint]) -> None:
        """Keep points until the tick ends, so that their order of arrival does not matter."""
        for point in points:
            self._waiting.setdefault((tenant, point.service), []).append(point)

    def settle(self, tick: int) -> list[Served]:
        """Return what the points gathered since the last call add, when windows before `tick` close.

        Parameters
        ----------
        tick : int
            Number of the window that opens.

        Returns
        -------
        list of Served
            In a fixed order.
        """
        waiting, self._waiting = self._waiting, {}
        found: list[Served] = []
        for key in sorted(waiting):
            meter = self._meters.setdefault(key, _Meter({}))
            for point in sorted(waiting[key], key=lambda p: (p.time_ns, p.stream, p.count)):
                served = self._taken(key[0], meter, point)
                if served is not None and 0 <= meter.since <= served.window:
                    found.append(served)
            if meter.full:
                meter.since = -1
            elif meter.since < 0 and self._often_enough(meter, waiting[key], tick):
                meter.since = tick
            meter.heard = tick
        self._lapse(tick)
        return found

    def unmeasured(self, tenant: str, services: list[str], windows: IntArray, values: FloatArray) -> FloatArray:
        """Return groups without the SERVER spans of services that measure themselves.

        Parameters
        ----------
        tenant : str
            Whose.
        services : list of str, length g
            Service of each group.
        windows : IntArray, shape (g,)
            Window of each group.
        values : FloatArray, shape (g, WIDTH)
            Channels and histogram.

        Returns
        -------
        FloatArray
            A copy where anything is taken out. Of a group that holds entry spans of other kinds too, the
            share of the SERVER spans is taken out of every sum.
        """
        since = np.array([self._since(tenant, service) for service in services], np.int64)
        measured = (since >= 0) & (windows >= since) & (values[:, _SERVED] > 0)
        if not measured.any():
            return values
        values = values.copy()
        rows = np.flatnonzero(measured)
        left = 1.0 - values[rows, _SERVED] / np.maximum(values[rows, _TOTAL], values[rows, _SERVED])
        values[np.ix_(rows, _ADDING)] *= left[:, None]
        values[rows, _MAX] *= left > 0
        values[rows, _SERVED] = 0.0
        return values

    def snapshot(self) -> list[list[Any]]:
        """Return the state between two ticks as plain lists."""
        return [
            [*key, meter.since, meter.heard, meter.full, [_row(point) for _, point in sorted(meter.streams.items())]]
            for key, meter in sorted(self._meters.items())
        ]

    def restore(self, state: Iterable[list[Any]]) -> None:
        """Put back what `snapshot` returned."""
        self._meters.clear()
        for tenant, service, since, heard, full, rows in state:
            points = [_point(service, row) for row in rows]
            self._meters[tenant, service] = _Meter({point.stream: point for point in points}, since, heard, full)
        self._n_streams = sum(len(meter.streams) for meter in self._meters.values())

    def _since(self, tenant: str, service: str) -> int:
        meter = self._meters.get((tenant, service))
        return -1 if meter is None else meter.since

    def _taken(self, tenant: str, meter: _Meter, point: DurationPoint) -> Served | None:
        """Remember a point and return what it adds to the one before."""
        before = meter.streams.get(point.stream)
        if before is None and not self._room(meter):
            self.dropped += 1
            meter.full = True
            return None
        if before is not None and point.time_ns <= before.time_ns:
            return None  # a point that was sent again, or one that a newer one covers
        meter.streams[point.stream] = point
        window = (point.time_ns - 1) // self._tick_ns  # a point at the end of a window is of that window
        return _served(tenant, point, _added(point, before, self._tick_ns), window)

    def _room(self, meter: _Meter) -> bool:
        if len(meter.streams) >= _MAX_STREAMS or self._n_streams >= _MAX_STREAMS_IN_ALL:
            return False
        self._n_streams += 1
        return True

    def _often_enough(self, meter: _Meter, points: Iterable[DurationPoint], tick: int) -> bool:
        longest_ns = _SPARSE_TICKS * self._tick_ns
        deltas = any(not point.cumulative and point.time_ns - point.start_ns <= longest_ns for point in points)
        # The interval of cumulative points shows from the second export on.
        return deltas or (meter.heard >= 0 and tick - meter.heard <= _SPARSE_TICKS)

    def _lapse(self, tick: int) -> None:
        """Let spans count again, and forget, where no points came for some time."""
        for key, meter in list(self._meters.items()):
            if tick - meter.heard > _LAPSE_TICKS:
                self._n_streams -= len(meter.streams)
                del self._meters[key]


def _added(point: DurationPoint, before: DurationPoint | None, tick_ns: int) -> DurationPoint | None:
    """Return what a point adds: all of a delta, of a cumulative one what came since the one before."""
    if not point.cumulative:
        return point
    fresh = point.time_ns - point.start_ns <= _SPARSE_TICKS * tick_ns
    if before is None:
        # A process that just began counts from nothing; of an older one only the next point says how much is new.
        return point if fresh and point.start_ns > 0 else None
    if point.start_ns != before.start_ns or point.count < before.count:
        return point  # the process began anew (OpenTelemetry metrics data model, "Resets and Gaps")
    less = zip(point.histogram, before.histogram, strict=True)
    return replace(
        point,
        count=point.count - before.count,
        seconds=max(point.seconds - before.seconds, 0.0),
        histogram=tuple(max(now - then, 0.0) for now, then in less),
    )


def _served(tenant: str, point: DurationPoint, added: DurationPoint | None, window: int) -> Served | None:
    if added is None or added.count <= 0:
        return None
    values = np.zeros(N_CHANNELS + N_BUCKETS)
    values[[_TOTAL, _SERVED]] = added.count
    values[_FAILED] = added.count if added.failed else 0.0
    values[_SERVER_ERRORS] = added.count if added.server_error else 0.0
    values[_SUM] = added.seconds
    values[N_CHANNELS:] = added.histogram
    filled = np.flatnonzero(values[N_CHANNELS:])
    values[_MAX] = _UPPER[filled[-1]] if len(filled) else 0.0
    return Served(tenant, point.service, point.operation, window, values)


def _row(point: DurationPoint) -> list[Any]:
    return [*(getattr(point, name) for name in _KEPT), list(point.histogram)]


def _point(service: str, row: list[Any]) -> DurationPoint:
    return DurationPoint(service, *row[:-1], histogram=tuple(row[-1]))
