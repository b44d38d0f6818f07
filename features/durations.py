"""What services measured themselves of the requests they served: their duration histograms in, traffic by window out.

`app.ingest` reads DurationPoints from metrics; `features.memory.Memory` gathers them here until a tick ends
and counts what `Meters.settle` returns. From the window after its first points on, a service that measures
itself is counted by its histograms, which see every request, instead of by its SERVER spans, which may be a
sample: `Meters.unmeasured` takes those out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
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
_MAX_STREAMS_IN_ALL = 50_000  # of one partition, guessed; measured: 50 MB
_MAX_ENDS = 16  # of deltas that are told from repeats, guessed: 16 minutes of the usual exports, almost three of fast ones

_TRACE = 1e-6  # of the requests: what spreading and adding leave in a bucket without any; measured: 1e-9 and below
_ROUNDING = 1e-14  # of what a counter stands at: some fifty times the rounding of one number


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
class _Stream:
    """What is known of one stream."""

    point: DurationPoint  # the last one; of deltas without its histogram, which nothing is compared with
    ends: tuple[int, ...]  # when the last points ended, rising: one of a cumulative stream, some of deltas
    heard: int  # tick at whose end the last point was taken


_Streams = dict[tuple[int, int], _Stream]  # by `_key`
_Source = tuple[int, int]  # a family and a start
_ANY = -2  # in the place of a start; no time is


@dataclass(slots=True)
class _Meter:
    """What is known of the histograms of one service."""

    streams: _Streams
    since: int = -1  # first window that they count for; -1: its spans count
    heard: int = -1  # tick at whose end the last points were taken
    full_until: int = -1  # it had more streams than are kept, so its spans tell more up to this tick


class Meters:
    """Duration histograms of the services of one partition.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.

    Examples
    --------
    >>> def point(second: int, count: float) -> DurationPoint:
    ...     return DurationPoint("cart", "GET /", 7, 3, 0, second * 10**9, True, False, False, count, count / 10, (count,) * 16)
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
        self.limited: Counter[str] = Counter()
        """Points left out, by reason: of services with more streams than are kept, whose spans count, and deltas told twice."""

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
            self._n_streams -= _forget_silent(meter.streams, tick)
            found += self._settled(key[0], meter, waiting[key], tick)
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
            [*key, meter.since, meter.heard, meter.full_until, [_row(stream) for _, stream in sorted(meter.streams.items())]]
            for key, meter in sorted(self._meters.items())
        ]

    def restore(self, state: Iterable[list[Any]]) -> None:
        """Put back what `snapshot` returned."""
        self._meters.clear()
        for tenant, service, since, heard, full_until, rows in state:
            streams = [_stream(service, row) for row in rows]
            by_key = {_key(stream.point): stream for stream in streams}
            self._meters[tenant, service] = _Meter(by_key, since, heard, full_until)
        self._n_streams = sum(len(meter.streams) for meter in self._meters.values())

    def _since(self, tenant: str, service: str) -> int:
        meter = self._meters.get((tenant, service))
        return -1 if meter is None else meter.since

    def _settled(self, tenant: str, meter: _Meter, points: Iterable[DurationPoint], tick: int) -> list[Served]:
        """Return what the points of a service add, and see from when on they count."""
        first = _first_heard(meter.streams)
        found: list[Served] = []
        for point in sorted(points, key=lambda p: (p.time_ns, p.stream, p.start_ns, p.count)):
            added = self._taken(meter, point, first, tick)
            window = (point.time_ns - 1) // self._tick_ns  # a point at the end of a window is of that window
            if added is not None and added.count > 0 and 0 <= meter.since <= window:
                found.append(_served(tenant, added, window))
        if tick <= meter.full_until:
            meter.since = -1
        elif meter.since < 0 and self._often_enough(meter, points, tick):
            meter.since = tick
        meter.heard = tick
        return found

    def _taken(self, meter: _Meter, point: DurationPoint, first: dict[_Source, int], tick: int) -> DurationPoint | None:
        """Remember a point and return what it adds to those before."""
        stream = meter.streams.get(_key(point))
        if stream is None:
            if not self._room(meter):
                self.limited["durations_dropped"] += 1
                # Those that found no room are new when they find some, and must not count as if they had just begun.
                meter.full_until = tick + _LAPSE_TICKS
                return None
            meter.streams[_key(point)] = _begun(point, tick)
            whole = not point.cumulative or self._from_nothing(point, first)
            _note_first(first, point)
            return point if whole else None
        if _told(point, stream):
            if not point.cumulative:  # of those, a newer one tells it all
                self.limited["durations_repeated"] += 1
            return None
        before = stream.point
        meter.streams[_key(point)] = _begun(point, tick, stream.ends)
        return _added(point, before) if point.cumulative else point

    def _from_nothing(self, point: DurationPoint, first: Mapping[_Source, int]) -> bool:
        """Return whether all that the first point of a cumulative stream counts is new."""
        if not 0 < point.start_ns < point.time_ns:
            return False  # the start is unknown: left out, or no earlier than the end, as the data model has it for a reset
        if first.get((point.family, point.start_ns), point.time_ns) < point.time_ns:
            return True  # its process exported before, without it: the first failures of a process that runs for long
        if first.get((point.family, _ANY), point.time_ns) <= point.start_ns:
            return True  # what was heard before was the process before
        return point.time_ns - point.start_ns <= _SPARSE_TICKS * self._tick_ns

    def _room(self, meter: _Meter) -> bool:
        if len(meter.streams) >= _MAX_STREAMS or self._n_streams >= _MAX_STREAMS_IN_ALL:
            return False
        self._n_streams += 1
        return True

    def _often_enough(self, meter: _Meter, points: Iterable[DurationPoint], tick: int) -> bool:
        longest_ns = _SPARSE_TICKS * self._tick_ns
        deltas = any(not point.cumulative and 0 <= point.time_ns - point.start_ns <= longest_ns for point in points)
        # The interval of cumulative points shows from the second export on.
        return deltas or (meter.heard >= 0 and tick - meter.heard <= _SPARSE_TICKS)

    def _lapse(self, tick: int) -> None:
        """Let spans count again, and forget, where no points came for some time."""
        for key, meter in list(self._meters.items()):
            if tick - meter.heard > _LAPSE_TICKS:
                self._n_streams -= len(meter.streams)
                del self._meters[key]


def _key(point: DurationPoint) -> tuple[int, int]:
    """Return what tells streams apart: instances that share an identity count from starts of their own."""
    return point.stream, point.start_ns if point.cumulative else 0


def _source(point: DurationPoint) -> _Source:
    """Return what falls silent as one: a process tells all its cumulative streams or none, of deltas those that changed."""
    return (point.family, point.start_ns) if point.cumulative else (point.stream, _ANY)


def _forget_silent(streams: _Streams, tick: int) -> int:
    """Forget streams without a point for some time, so that dead instances make room, and return how many."""
    heard: dict[_Source, int] = {}
    for stream in streams.values():
        source = _source(stream.point)
        heard[source] = max(stream.heard, heard.get(source, -1))
    silent = [key for key, stream in streams.items() if tick - heard[_source(stream.point)] > _LAPSE_TICKS]
    for key in silent:
        del streams[key]
    return len(silent)


def _first_heard(streams: _Streams) -> dict[_Source, int]:
    """Return since when, of what is known, families were heard: each process of theirs, and any."""
    first: dict[_Source, int] = {}
    for stream in streams.values():
        _note_first(first, stream.point)
    return first


def _note_first(first: dict[_Source, int], point: DurationPoint) -> None:
    for source in (point.family, point.start_ns), (point.family, _ANY):
        first[source] = min(point.time_ns, first.get(source, point.time_ns))


def _told(point: DurationPoint, stream: _Stream) -> bool:
    """Return whether a point was sent again, is covered by a newer one, or may be either and is too old to know."""
    full = len(stream.ends) >= (1 if point.cumulative else _MAX_ENDS)
    return point.time_ns in stream.ends or (full and point.time_ns < stream.ends[0])


def _begun(point: DurationPoint, tick: int, ends: tuple[int, ...] = ()) -> _Stream:
    if point.cumulative:
        return _Stream(point, (point.time_ns,), tick)
    return _Stream(replace(point, histogram=()), tuple(sorted((*ends, point.time_ns)))[-_MAX_ENDS:], tick)


def _added(point: DurationPoint, before: DurationPoint) -> DurationPoint | None:
    """Return what a cumulative point adds to the one before, None where nothing came."""
    if point.count == before.count:  # most streams of most exports
        return None
    if point.count < before.count:
        return point  # the process began anew (OpenTelemetry metrics data model, "Resets and Gaps")
    return replace(
        point,
        count=point.count - before.count,
        seconds=max(point.seconds - before.seconds, 0.0),
        histogram=_more(point, before),
    )


def _more(point: DurationPoint, before: DurationPoint) -> tuple[float, ...]:
    """Return by bucket the requests that a cumulative point adds, none where that cannot be told.

    Where the sender changed its bounds in between (an exponential histogram does so by itself when an outlier comes),
    the same old requests are spread differently: what then seems more is scaled to as many as were added.
    """
    if len(point.histogram) != len(before.histogram):
        return ()
    more = np.subtract(point.histogram, before.histogram)
    more[more < _ROUNDING * point.count] = 0.0
    mass = float(more.sum())
    return tuple((more * ((point.count - before.count) / mass)).tolist()) if mass > 0 else ()


def _served(tenant: str, added: DurationPoint, window: int) -> Served:
    values = np.zeros(N_CHANNELS + N_BUCKETS)
    values[[_TOTAL, _SERVED]] = added.count
    values[_FAILED] = added.count if added.failed else 0.0
    values[_SERVER_ERRORS] = added.count if added.server_error else 0.0
    values[_SUM] = added.seconds
    if added.histogram:
        values[N_CHANNELS:] = added.histogram
    else:  # a mean is all there is
        values[N_CHANNELS + bisect_right(BUCKETS, added.seconds / added.count)] = added.count
    filled = np.flatnonzero(values[N_CHANNELS:] > _TRACE * added.count)
    values[_MAX] = _UPPER[filled[-1]] if len(filled) else 0.0
    return Served(tenant, added.service, added.operation, window, values)


def _row(stream: _Stream) -> list[Any]:
    point = stream.point
    return [*(getattr(point, name) for name in _KEPT), list(point.histogram), list(stream.ends), stream.heard]


def _stream(service: str, row: list[Any]) -> _Stream:
    *told, histogram, ends, heard = row
    return _Stream(DurationPoint(service, *told, histogram=tuple(histogram)), tuple(ends), heard)
