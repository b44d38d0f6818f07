"""What the errors of a service are made of, window by window: operations, versions, instances, fingerprints, and the traces that failed.

`features.memory.Memory.add_error` tells it of every error; `features.symptoms` looks for groups of errors that grew, and
`features.hotspots` for parts whose share grew. Bounded for each service; what is least recent makes room.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import numpy as np

from features.arrays import FloatArray
from features.event import ErrorRecord

__all__ = ["DIMENSIONS", "LENGTH", "Dimension", "Share", "Shares"]

Dimension = Literal["operation", "version", "instance", "fingerprint"]

DIMENSIONS: tuple[Dimension, ...] = ("operation", "version", "instance", "fingerprint")
"""What an error may be told apart by."""

LENGTH = 60
"""Closed windows that are told apart; what is older adds up, and fades."""

_MOST_PARTS = 256  # guessed: names of all dimensions of a service; about 100 KB in the worst case
_MOST_TRACES = 32  # guessed: of a window those with the smallest ids, so that services keep the same ones of those they share
_TRACE_WINDOWS = 5
_FADE_WINDOWS = 24 * 60.0
_INSTANCE = ("service.instance.id", "k8s.pod.name", "host.name")


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """One part of a service's errors.

    Parameters
    ----------
    dimension, name : str
        One of `DIMENSIONS`, and which.
    first : int
        The window in which it was first seen.
    counts : FloatArray, shape (60,)
        Errors of the last closed windows, oldest first.
    before : float
        Errors before these, faded with a time constant of a day of one-minute windows.
    """

    dimension: str
    name: str
    first: int
    counts: FloatArray
    before: float


@dataclass(slots=True)
class _Part:
    first: int
    counts: dict[int, float] = field(default_factory=dict[int, float])
    before: float = 0.0
    settled: int = 0  # the window up to which counts moved into `before`

    def settle(self, oldest: int) -> None:
        """Move what is older than a window into the faded sum."""
        if oldest <= self.settled:
            return
        self.before = self.faded(oldest)
        for window in [window for window in self.counts if window < oldest]:
            del self.counts[window]
        self.settled = oldest

    def faded(self, oldest: int) -> float:
        """Return the faded sum of what is older than a window, and change nothing: who reads must not leave a trace in the state."""
        if oldest <= self.settled:
            return self.before
        before = self.before * (math.exp((self.settled - oldest) / _FADE_WINDOWS) if self.settled else 1.0)
        for window in sorted(window for window in self.counts if window < oldest):
            before += self.counts[window] * math.exp((window - oldest) / _FADE_WINDOWS)
        return before


class Shares:
    """Parts of the errors of all services, by row of the whole service.

    Examples
    --------
    >>> shares = Shares()
    >>> record = ErrorRecord("log", "cart", "*", 0, trace_id="a1", attributes={"service.version": "7"})
    >>> shares.add(3, 5, record, "f0")
    >>> [(share.dimension, share.name, share.counts[-1].item()) for share in shares.of(3, tick=6)]
    [('version', '7', 1.0), ('fingerprint', 'f0', 1.0)]
    >>> shares.traces(3, tick=6)
    {231405241438998: 5}
    """

    def __init__(self) -> None:
        self._parts: dict[int, dict[tuple[str, str], _Part]] = {}
        self._traces: dict[int, dict[int, list[int]]] = {}

    def add(self, row: int, window: int, record: ErrorRecord, fingerprint: str) -> None:
        """Count an error of a service."""
        parts = self._parts.setdefault(row, {})
        for key in _names(record, fingerprint):
            part = parts.pop(key, None) or _Part(window)
            part.settle(window - 2 * LENGTH)
            part.counts[window] = part.counts.get(window, 0.0) + record.weight
            part.first = min(part.first, window)
            parts[key] = part  # newest last
            if len(parts) > _MOST_PARTS:
                del parts[next(iter(parts))]
        if record.trace_id:
            self._add_trace(row, window, _hash(record.trace_id))

    def rows(self) -> list[int]:
        """Return the rows of services that had errors."""
        return list(self._parts)

    def of(self, row: int, tick: int) -> Iterator[Share]:
        """Yield the parts of a service's errors as of a tick: of what came in windows before it."""
        for (dimension, name), part in self._parts.get(row, {}).items():
            counts = np.zeros(LENGTH)
            for window, count in part.counts.items():
                if tick - LENGTH <= window < tick:
                    counts[window - tick] = count
            yield Share(dimension, name, part.first, counts, part.faded(tick - LENGTH))

    def traces(self, row: int, tick: int) -> dict[int, int]:
        """Return the ids of traces in which a service failed, and the window, over the last five windows before a tick."""
        recent = range(tick - _TRACE_WINDOWS, tick)
        windows = self._traces.get(row, {})
        return {trace: window for window in sorted(windows) if window in recent for trace in windows[window]}

    def snapshot(self, rows: Sequence[int]) -> list[Any]:
        """Return what some rows hold, by their place among these."""
        return [
            [
                place,
                [[*key, p.first, p.before, p.settled, sorted(p.counts.items())] for key, p in self._parts.get(row, {}).items()],
                sorted(self._traces.get(row, {}).items()),
            ]
            for place, row in enumerate(rows)
            if row in self._parts
        ]

    def restore(self, rows: Sequence[int], snapshot: Iterable[Sequence[Any]]) -> None:
        """Put a snapshot back."""
        for place, parts, traces in snapshot:
            self._parts[rows[place]] = {
                (dimension, name): _Part(first, {int(window): count for window, count in counts}, before, settled)
                for dimension, name, first, before, settled, counts in parts
            }
            self._traces[rows[place]] = {int(window): list(ids) for window, ids in traces}

    def _add_trace(self, row: int, window: int, trace: int) -> None:
        windows = self._traces.setdefault(row, {})
        if window not in windows:
            for old in [known for known in windows if known < window - 2 * _TRACE_WINDOWS]:
                del windows[old]
        ids = windows.setdefault(window, [])
        if (len(ids) < _MOST_TRACES or trace < ids[-1]) and trace not in ids:
            insort(ids, trace)
            del ids[_MOST_TRACES:]


def _names(record: ErrorRecord, fingerprint: str) -> Iterator[tuple[str, str]]:
    attributes: Mapping[str, str] = record.attributes
    if record.operation not in {"", "*"}:
        yield "operation", record.operation
    if version := attributes.get("service.version"):
        yield "version", version
    if instance := next((attributes[key] for key in _INSTANCE if attributes.get(key)), ""):
        yield "instance", instance
    yield "fingerprint", fingerprint


def _hash(trace_id: str) -> int:
    return int.from_bytes(blake2b(trace_id.encode(), digest_size=6).digest())  # 48 bits: whole in any JSON reader
