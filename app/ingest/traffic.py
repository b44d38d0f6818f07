"""Traffic groups of one request: counts and durations by service, operation and window.

The readers add while they walk; `counts` and `histogram` become arrays once, at the end, for the Batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from app.ingest.limits import Limits
from features.arrays import FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, channel
from features.series import OTHER, WHOLE

__all__ = [
    "CALLEE",
    "ENTRY",
    "FAILED",
    "N_FLAGS",
    "REFUSED",
    "SERVED",
    "SERVER_ERROR",
    "SpanColumns",
    "Traffic",
    "operation_name",
]

REFUSED = -1
"""The group of a record beyond the limit of groups."""

_SUM, _MAX = channel("duration_sum_s"), channel("duration_max_s")

ENTRY, FAILED, SERVED, SERVER_ERROR, CALLEE = 1, 2, 4, 8, 16
"""What a span was, added up: it entered a service, failed, was served, answered 5xx, has its caller in its parent."""

N_FLAGS = 32


def operation_name(name: str, max_chars: int) -> str:
    """Return the operation of an entry span's name.

    An empty name and the name of the whole service would both be keys that mean something else.

    Examples
    --------
    >>> operation_name("GET /cart", 256), operation_name("", 256), operation_name("*", 256), operation_name("abc", 2)
    ('GET /cart', 'unnamed', '(*)', 'ab')
    """
    if name == WHOLE:
        return "(*)"
    return name[:max_chars] or "unnamed"


@dataclass(frozen=True, slots=True, eq=False)
class SpanColumns:
    """Spans as they count.

    Parameters
    ----------
    place : IntArray, shape (n,)
        Group times `N_FLAGS` plus the flags.
    weight : FloatArray, shape (n,)
        How many spans each stands for.
    entry : IntArray, shape (e,)
        Rows of the entry spans.
    duration_ns : IntArray, shape (e,)
        Nanoseconds of the entry spans.
    """

    place: IntArray
    weight: FloatArray
    entry: IntArray
    duration_ns: IntArray


class Traffic:
    """Groups and what was counted in them.

    Parameters
    ----------
    limits : Limits
        Tick and bounds.
    counters : Counter of str
        Takes ``operations_folded`` and ``names_cut``.
    """

    def __init__(self, limits: Limits, counters: Counter[str]) -> None:
        self._limits = limits
        self._counters = counters
        self._tick_ns = limits.tick_s * 10**9
        self._groups: dict[tuple[str, str, int], int] = {}
        self._names: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._marks: list[int] = []
        self._mark_weights: list[float] = []
        self._known: defaultdict[str, dict[tuple[str | None, int], int]] = defaultdict(dict)

    def known(self, service: str) -> dict[tuple[str | None, int], int]:
        """Return the groups of a service so far, by the name of the entry spans, None for the rest, and tick."""
        return self._known[service]

    def group(self, service: str, name: str | None, time_ns: int) -> int:
        """Return the group of an entry span by its name, or of what belongs to none; `REFUSED` beyond the limit."""
        operation = WHOLE if name is None else self._operation(service, name)
        tick = time_ns // self._tick_ns
        group = self._groups.get((service, operation, tick))
        if group is None:
            if len(self._groups) >= self._limits.max_rows:
                return REFUSED
            group = self._groups[service, operation, tick] = len(self._groups)
        # A name that was folded is counted each time, so it is never known.
        if name is None or name in self._names[service]:
            self._known[service][name, tick] = group
        return group

    def _operation(self, service: str, name: str) -> str:
        names = self._names[service]
        if name in names:
            return names[name]
        if len(names) >= self._limits.max_operations:
            self._counters["operations_folded"] += 1
            return OTHER
        if len(name) > self._limits.max_name_chars:
            self._counters["names_cut"] += 1
        return names.setdefault(name, operation_name(name, self._limits.max_name_chars))

    def mark(self, group: int, channel: int, weight: float = 1.0) -> None:
        """Count in a channel."""
        self._marks.append(group * N_CHANNELS + channel)
        self._mark_weights.append(weight)

    def series(self) -> tuple[tuple[tuple[str, str], ...], IntArray, IntArray]:
        """Return the table of (service, operation), its row for each group, and each group's window start in seconds."""
        rows: dict[tuple[str, str], int] = {}
        group_series = [rows.setdefault((service, operation), len(rows)) for service, operation, _ in self._groups]
        tick_s = self._limits.tick_s
        starts = [tick * tick_s if tick >= 0 else -1 for _, _, tick in self._groups]
        return tuple(rows), np.array(group_series, np.int64), np.array(starts, np.int64)

    def counts(self, spans: SpanColumns) -> FloatArray:  # (g, N_CHANNELS)
        """Return the channels of each group."""
        n = len(self._groups)
        marks = np.array(self._marks, np.int64)
        counts = _sums(marks, self._mark_weights, n * N_CHANNELS).reshape(n, N_CHANNELS)
        counts += _sums(spans.place, spans.weight, n * N_FLAGS).reshape(n, N_FLAGS) @ _CHANNELS_OF_FLAGS
        groups, weights, seconds = spans.place[spans.entry] // N_FLAGS, spans.weight[spans.entry], spans.duration_ns * 1e-9
        counts[:, _SUM] = _sums(groups, weights * seconds, n)
        np.maximum.at(counts[:, _MAX], groups, seconds)
        return counts

    def histogram(self, spans: SpanColumns) -> FloatArray:  # (g, N_BUCKETS)
        """Return the durations of each group by the buckets of `features.batch.bucket_of`."""
        n = len(self._groups)
        groups, weights = spans.place[spans.entry] // N_FLAGS, spans.weight[spans.entry]
        # The exponent of frexp is the bit length of a whole number.
        _, exponent = np.frexp(spans.duration_ns // 1000)
        buckets = np.clip(exponent.astype(np.int64) - 9, 0, N_BUCKETS - 1)
        return _sums(groups * N_BUCKETS + buckets, weights, n * N_BUCKETS).reshape(n, N_BUCKETS)


def _channels_of_flags() -> FloatArray:  # (N_FLAGS, N_CHANNELS)
    flags = np.arange(N_FLAGS)
    entry, failed = flags & ENTRY != 0, flags & FAILED != 0
    table = np.zeros((N_FLAGS, N_CHANNELS))
    table[:, channel("total")] = entry
    table[:, channel("inner")] = ~entry
    table[:, channel("served")] = entry & (flags & SERVED != 0)
    table[:, channel("failed")] = entry & failed
    table[:, channel("server_errors")] = entry & (flags & SERVER_ERROR != 0)
    table[:, channel("errors")] = failed
    return table


_CHANNELS_OF_FLAGS = _channels_of_flags()


def _sums(places: IntArray, weights: FloatArray | list[float], n: int) -> FloatArray:
    """Return the sum of weights at each place, added in their order."""
    # Of nothing, bincount makes whole numbers.
    return np.bincount(places, weights, minlength=n).astype(np.float64, copy=False)
