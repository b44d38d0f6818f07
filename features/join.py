"""The join of span ends that finds edges: a caller's span id is the parent id of its callee.

`features.memory` gathers the ends that Batches bring and joins once a tick; `features.graph` keeps the edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.arrays import BoolArray, IntArray, UInt64Array
from features.batch import Batch

__all__ = ["EdgeJoin"]

_MAX_ENDS = 50_000  # guessed: a minute of sampled span ends of a partition; about 2 MB, and 10 ms a join
_PATIENCE = 10  # ticks that an end waits for its partner; twice the lateness that windows allow by default
_MAX_RAW = 8_192  # guessed: ends that wait as they came before they are thinned and joined into arrays
_MAX_LEVEL = 32
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd and irregular, so that high bits of the product depend on all bits (Knuth)
_COLUMNS = ("trace", "span", "tenant", "service", "role", "tick", "level")


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """Span ends in columns; tenants and services are places in the table of names."""

    trace: UInt64Array
    span: UInt64Array
    tenant: IntArray
    service: IntArray
    role: IntArray
    tick: IntArray
    level: IntArray

    def __len__(self) -> int:
        return len(self.trace)

    def take(self, chosen: IntArray | BoolArray) -> _Ends:
        return _Ends(*(getattr(self, name)[chosen] for name in _COLUMNS))


def _joined(parts: Sequence[_Ends]) -> _Ends:
    return _Ends(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))


def _kept(ends: _Ends, level: int) -> BoolArray:
    """Return which calls stay when `level` times half of them are left out."""
    return _key(ends) < np.uint64(2 ** (64 - level))


_ZERO: IntArray = np.zeros(0, np.int64)
_NONE = _Ends(np.zeros(0, np.uint64), np.zeros(0, np.uint64), _ZERO, _ZERO, _ZERO, _ZERO, _ZERO)


class EdgeJoin:
    """Joins the span ends of one partition.

    Both ends come to the partition of their trace, in any order and in different ticks. Where a tick brings more than
    50,000 ends, half of all calls are left out, then half of the rest, and so on, and what is found counts as many
    times more; which calls stay depends on their ids alone. What has found no partner within ten ticks is forgotten (most callees never
    find one: their caller is no service, or sends no spans), and where too much waits, the oldest tick's goes first.

    Examples
    --------
    >>> from features.batch import Batch
    >>> join, one = EdgeJoin(), np.array([7], np.uint64)
    >>> for role, service in ((1, "cart"), (0, "web")):
    ...     ends = Batch("traces", end_trace=one, end_span=one, end_service=np.array([0]), end_role=np.array([role]), services=(service,))
    ...     join.add("default", ends)
    >>> join.close(tick=5)
    {('default', 'web', 'cart'): 1.0}
    """

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._raw: list[tuple[str, tuple[str, ...], UInt64Array, UInt64Array, IntArray, IntArray]] = []
        self._n_raw = 0
        self._new: list[_Ends] = []  # of the open tick, thinned to `_level`
        self._level = 0
        self._waiting = _NONE

    def add(self, tenant: str, batch: Batch) -> None:
        """Gather the span ends of a Batch until the tick ends."""
        # The arrays alone: a Batch holds its errors too, which are of any size.
        self._raw.append((tenant, batch.services, batch.end_trace, batch.end_span, batch.end_service, batch.end_role))
        self._n_raw += len(batch.end_trace)
        if self._n_raw > _MAX_RAW:
            self._thin()

    def close(self, tick: int) -> dict[tuple[str, str, str], float]:
        """Join what was gathered with what waits.

        Parameters
        ----------
        tick : int
            The tick that ends; what waits longest is forgotten first, and what waits too long.

        Returns
        -------
        dict of (tenant, caller, callee) to float
            Calls that both ends of are known now and were not before; calls of a service to itself are left out.
        """
        if not self._n_raw and not self._new:
            return {}
        self._thin()
        new = self._new.pop()
        new.tick[:], new.level[:] = tick, self._level
        ends = _joined([self._waiting, new])
        self._level = 0
        names = list(self._names)
        caller, callee = _meet(ends, names)
        found: Counter[tuple[str, str, str]] = Counter()
        edge = (ends.tenant[caller] * len(names) + ends.service[caller]) * len(names) + ends.service[callee]
        edges, place = np.unique(edge, return_inverse=True)
        weight = 2.0 ** np.maximum(ends.level[caller], ends.level[callee])
        calls = np.bincount(place, weight, len(edges)).tolist()
        for code, count in zip(edges.tolist(), calls, strict=True):
            pair, b = divmod(code, len(names))
            tenant, a = divmod(pair, len(names))
            if a != b:
                found[names[tenant], names[a], names[b]] += count
        alone = ends.tick > tick - _PATIENCE
        alone[callee] = False
        self._wait(ends.take(alone), names)
        return dict(found)

    def snapshot(self, without: str | None = None) -> dict[str, list[int] | list[str]]:
        """Return what waits in columns, that of one tenant left out; only between two ticks, when nothing is gathered."""
        waiting, names = self._waiting, list(self._names)
        if without in self._names:
            waiting = waiting.take(waiting.tenant != self._names[without])
            used = np.union1d(waiting.tenant, waiting.service)
            names = [names[place] for place in used.tolist()]
            waiting = replace(
                waiting, tenant=np.searchsorted(used, waiting.tenant), service=np.searchsorted(used, waiting.service)
            )
        columns: dict[str, list[int] | list[str]] = {name: getattr(waiting, name).tolist() for name in _COLUMNS}
        return columns | {"names": names}

    def restore(self, snapshot: Mapping[str, Sequence[int] | Sequence[str]]) -> None:
        """Put a snapshot back."""
        self._names = {str(name): place for place, name in enumerate(snapshot["names"])}
        trace, span = (np.array(snapshot[name], np.uint64) for name in _COLUMNS[:2])
        tenant, service, role, tick, level = (np.array(snapshot[name], np.int64) for name in _COLUMNS[2:])
        self._waiting = _Ends(trace, span, tenant, service, role, tick, level)

    def _thin(self) -> None:
        """Turn what came into columns, and leave out calls until it fits."""
        if self._n_raw:
            self._new.append(self._columns())
            self._raw.clear()
            self._n_raw = 0
        while sum(len(part) for part in self._new) > _MAX_ENDS and self._level < _MAX_LEVEL:
            self._level += 1
            self._new = [part.take(_kept(part, self._level)) for part in self._new]
        ends = _joined(self._new)
        # What no halving thins is one caller with more callees than the bound.
        self._new = [ends if len(ends) <= _MAX_ENDS else ends.take(np.arange(_MAX_ENDS))]

    def _columns(self) -> _Ends:
        codes = self._names
        owners, tables, traces, spans, services, roles = zip(*self._raw, strict=True)
        lengths = [len(part) for part in traces]
        tenant = np.repeat([codes.setdefault(name, len(codes)) for name in owners], lengths)
        table = np.array([codes.setdefault(name, len(codes)) for names in tables for name in names], np.int64)
        first = np.cumsum([0, *(len(names) for names in tables[:-1])])
        service = table[np.concatenate(services) + np.repeat(first, lengths)]
        trace, span = np.concatenate(traces).astype(np.uint64), np.concatenate(spans).astype(np.uint64)
        role = np.concatenate(roles).astype(np.int64)
        none = np.zeros(len(trace), np.int64)
        ends = _Ends(trace, span, tenant, service, role, none, none.copy())
        return ends.take(_kept(ends, self._level)) if self._level else ends

    def _wait(self, ends: _Ends, names: Sequence[str]) -> None:
        """Keep what may still find a partner, in an order that does not depend on the order of arrival."""
        used = np.unique(np.concatenate([ends.tenant, ends.service]))
        kept: list[int] = sorted(used.tolist(), key=lambda code: names[code])
        code = np.zeros(len(names), np.int64)
        code[kept] = np.arange(len(kept))
        self._names = {names[old]: new for new, old in enumerate(kept)}
        ends = replace(ends, tenant=code[ends.tenant], service=code[ends.service])
        side = 2 * (ends.tenant * len(kept) + ends.service) + ends.role
        self._waiting = ends.take(np.lexsort((side, _key(ends), -ends.tick))[:_MAX_ENDS])


def _key(ends: _Ends) -> UInt64Array:
    """Return a hash of trace and span: the same for both ends of a call, and irregular in its high bits."""
    return (ends.trace * _MIX ^ ends.span) * _MIX


def _meet(ends: _Ends, names: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return places of callers and callees with the same ids, one caller a callee.

    Where two services claim the same span, the one that was heard in an earlier tick, then the first by name, counts.
    """
    key = _key(ends) ^ ends.tenant.astype(np.uint64)
    rank = np.zeros(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    callers, callees = np.flatnonzero(ends.role == 0), np.flatnonzero(ends.role != 0)
    callers = callers[np.lexsort((rank[ends.service[callers]], ends.tick[callers], key[callers]))]
    if not len(callers) or not len(callees):
        return callers[:0], callees[:0]
    place = np.searchsorted(key[callers], key[callees])
    found = callers[np.minimum(place, len(callers) - 1)]
    same = (ends.trace[found] == ends.trace[callees]) & (ends.span[found] == ends.span[callees])
    same &= ends.tenant[found] == ends.tenant[callees]
    return found[same], callees[same]
