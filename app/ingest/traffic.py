"""Traffic groups of one request: counts and durations by service, operation and window.

The readers add while they walk; `counts` and `histogram` become arrays once, at the end, for the Batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from app.ingest.limits import Limits
from features.arrays import FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, channel
from features.series import OTHER, WHOLE

__all__ = ["REFUSED", "Traffic", "operation_name"]

REFUSED = -1
"""The group of a record beyond the limit of groups."""

_TOTAL, _SUM, _MAX = channel("total"), channel("duration_sum_s"), channel("duration_max_s")


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
        self._timed: list[int] = []
        self._durations_ns: list[int] = []
        self._weights: list[float] = []

    def operation(self, service: str, name: str, time_ns: int) -> int:
        """Return the group of an entry span, `REFUSED` beyond the limit."""
        names = self._names[service]
        return self._group(service, names.get(name) or self._new_name(names, name), time_ns)

    def whole(self, service: str, time_ns: int) -> int:
        """Return the group of what belongs to no entry span, `REFUSED` beyond the limit."""
        return self._group(service, WHOLE, time_ns)

    def _new_name(self, names: dict[str, str], name: str) -> str:
        if len(names) >= self._limits.max_operations:
            self._counters["operations_folded"] += 1
            return OTHER
        if len(name) > self._limits.max_name_chars:
            self._counters["names_cut"] += 1
        return names.setdefault(name, operation_name(name, self._limits.max_name_chars))

    def _group(self, service: str, operation: str, time_ns: int) -> int:
        key = (service, operation, time_ns // self._tick_ns)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= self._limits.max_rows:
                return REFUSED
            group = self._groups[key] = len(self._groups)
        return group

    def mark(self, group: int, channel: int, weight: float = 1.0) -> None:
        """Count in a channel."""
        self._marks.append(group * N_CHANNELS + channel)
        self._mark_weights.append(weight)

    def timed(self, group: int, duration_ns: int, weight: float = 1.0) -> None:
        """Count an entry span and its duration."""
        self._timed.append(group)
        self._durations_ns.append(duration_ns)
        self._weights.append(weight)

    def series(self) -> tuple[tuple[tuple[str, str], ...], IntArray, IntArray]:
        """Return the table of (service, operation), its row for each group, and each group's window start in seconds."""
        rows: dict[tuple[str, str], int] = {}
        group_series = [rows.setdefault((service, operation), len(rows)) for service, operation, _ in self._groups]
        tick_s = self._limits.tick_s
        starts = [tick * tick_s if tick >= 0 else -1 for _, _, tick in self._groups]
        return tuple(rows), np.array(group_series, np.int64), np.array(starts, np.int64)

    def counts(self) -> FloatArray:  # (g, N_CHANNELS)
        """Return the channels of each group."""
        n = len(self._groups)
        timed, weights = self._spans()
        seconds = np.array(self._durations_ns, np.float64) * 1e-9
        marks = np.array(self._marks, np.int64)
        counts = _sums(marks, self._mark_weights, n * N_CHANNELS).reshape(n, N_CHANNELS)
        counts[:, _TOTAL] = _sums(timed, weights, n)
        counts[:, _SUM] = _sums(timed, weights * seconds, n)
        np.maximum.at(counts[:, _MAX], timed, seconds)
        return counts

    def histogram(self) -> FloatArray:  # (g, N_BUCKETS)
        """Return the durations of each group by the buckets of `features.batch.bucket_of`."""
        n = len(self._groups)
        timed, weights = self._spans()
        # The exponent of frexp is the bit length of a whole number.
        _, exponent = np.frexp(np.array(self._durations_ns, np.int64) // 1000)
        buckets = np.clip(exponent.astype(np.int64) - 9, 0, N_BUCKETS - 1)
        return _sums(timed * N_BUCKETS + buckets, weights, n * N_BUCKETS).reshape(n, N_BUCKETS)

    def _spans(self) -> tuple[IntArray, FloatArray]:
        return np.array(self._timed, np.int64), np.array(self._weights, np.float64)


def _sums(places: IntArray, weights: FloatArray | list[float], n: int) -> FloatArray:
    """Return the sum of weights at each place, added in their order."""
    # Of nothing, bincount makes whole numbers.
    return np.bincount(places, weights, minlength=n).astype(np.float64, copy=False)
