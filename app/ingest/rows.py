"""Spans of one request as rows, reduced by NumPy at the end: how they count, and the ends under which calls meet.

`app.ingest.spans` adds a row for each span; `app.ingest.tally` takes the columns for `app.ingest.traffic` and the
span ends for the Batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.ingest.ids import NO_SPAN, NO_TRACE, Ids, SentId
from app.ingest.traffic import CALLEE, FAILED, SpanColumns
from features.arrays import IntArray, UInt64Array

__all__ = ["MAX_DURATION_NS", "SpanEnds", "SpanRows"]

MAX_DURATION_NS = 86_400 * 10**9
"""A guess: longer than any request or job, short enough that a broken clock adds no more than a day to a window."""


@dataclass(frozen=True, slots=True, eq=False)
class SpanEnds:
    """The columns of a Batch that join caller and callee.

    Parameters
    ----------
    trace, span : UInt64Array, shape (e,)
        Hash of the trace id, that of `app.ingest.ids.trace_hash`; span id under which both ends meet.
    service, role : IntArray, shape (e,)
        Index into `services`; 0 for a caller, 1 for a callee.
    services : tuple of str
        In the order in which they first appear.
    """

    trace: UInt64Array
    span: UInt64Array
    service: IntArray
    role: IntArray
    services: tuple[str, ...]


class SpanRows:
    """The spans of one request, in columns.

    The columns are public for the one loop that fills them: a call for every span would cost as much as the rest
    of the row.

    Parameters
    ----------
    ids : Ids
        Reads the ids.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._services: list[str] = []
        self._n_of_service: list[int] = []
        self._n_belonging = 0  # a sum kept, not taken: a request may hold a scope for every two bytes
        self.weights: dict[int, float] = {}
        """Weight by row; 1 for rows that are not there."""
        self.places: list[int] = []
        """Group times `N_FLAGS` plus flags."""
        self.traces: list[SentId] = []
        """Trace ids as sent."""
        self.meetings: list[SentId] = []
        """Span ids as sent: the callee's parent, the caller's own."""
        self.entries: list[int] = []
        """Rows of the entry spans."""
        self.durations_ns: list[int] = []
        """Nanoseconds of the entry spans."""

    def belong(self, service: str) -> None:
        """Note that the rows since the last call are of a service."""
        n = len(self.places)
        if n > self._n_belonging:
            self._n_of_service.append(n - self._n_belonging)
            self._services.append(service)
            self._n_belonging = n

    def columns(self) -> SpanColumns:
        """Return how the spans count."""
        weight = np.ones(len(self.places))
        if self.weights:
            weight[list(self.weights)] = list(self.weights.values())
        place, entry = np.array(self.places, np.int64), np.array(self.entries, np.int64)
        return SpanColumns(place, weight, entry, np.array(self.durations_ns, np.int64))

    def ends(self, columns: SpanColumns, sample: int) -> SpanEnds:
        """Return the ends of the spans of one of `sample` traces, and of all traces that hold a failure."""
        words, meeting = self._ids.column(self.traces, NO_TRACE), self._ids.column(self.meetings, NO_SPAN)[:, 0]
        trace = words[:, 0] ^ words[:, 1]
        kept = trace % np.uint64(sample) == 0
        traced = words.any(axis=1)
        failed = trace[traced & (columns.place & FAILED != 0)]
        if len(failed):
            kept |= np.isin(trace, failed)
        kept &= traced & (meeting != 0)
        sources = np.repeat(np.arange(len(self._services)), self._n_of_service)[kept]
        services = dict.fromkeys(self._services[source] for source in np.unique(sources).tolist())
        rows = {service: row for row, service in enumerate(services)}
        row_of_source = np.array([rows.get(service, -1) for service in self._services], np.int64)
        role = (columns.place[kept] & CALLEE != 0).astype(np.int64)
        return SpanEnds(trace[kept], meeting[kept], row_of_source[sources], role, tuple(services))
