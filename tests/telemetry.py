"""Builders of received telemetry for tests of the memory and of what reads it, and Hypothesis strategies of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from features.arrays import Float32Array
from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, Level, Presence, channel
from features.directory import Directory
from features.event import ErrorRecord
from features.extract import SCHEMA, extract
from features.memory import Closed, Memory
from features.series import WHOLE
from features.windows import WIDTH
from training.replay import Recording

__all__ = [
    "T0",
    "Minute",
    "a_batch",
    "a_record",
    "by_key",
    "features_of",
    "minutes",
    "play",
    "play_minute",
    "recorded",
    "same_rows",
    "traffic",
]

T0 = 28_000_000
"""Number of a window of one minute; minute 40 of an hour of the year 2023."""

_SERVICES = ("web", "cart", "payment")
_OPERATIONS = ("*", "GET /", "PUT /")
_LEVELS = ("heap", "queue", "pool")
_COUNTED: tuple[str, ...] = ("total", "failed", "errors", "warnings", "handled", "inner", "logs")


def a_batch(
    *groups: tuple[str, str, int, Mapping[str, float]], levels: Sequence[tuple[str, str, int, float]] = (), tick_s: int = 60
) -> Batch:
    """Make a Batch from (service, operation, window, counts by channel) and (service, name, window, value)."""
    series = tuple(dict.fromkeys((service, operation) for service, operation, _, _ in groups))
    counts = np.zeros((len(groups), N_CHANNELS))
    histogram = np.zeros((len(groups), N_BUCKETS))
    for row, (_, _, _, values) in enumerate(groups):
        for name, value in values.items():
            counts[row, channel(name)] = value
        histogram[row, 5] = values.get("total", 0.0)
    return Batch(
        "traces",
        n_records=len(groups) + len(levels),
        series=series,
        group_series=np.array([series.index((s, o)) for s, o, _, _ in groups], np.int64),
        group_time_s=np.array([window * tick_s for _, _, window, _ in groups], np.int64),
        counts=counts,
        histogram=histogram,
        levels=tuple(Level(s, name, window * tick_s * 10**9, value) for s, name, window, value in levels),
    )


def a_record(
    service: str = "web", window: int = T0, *, trace_id: str = "", span_id: str = "", exception_type: str = ""
) -> ErrorRecord:
    """Make an ErrorRecord in a window of one minute."""
    time_ns = window * 60 * 10**9
    return ErrorRecord("span", service, "GET /", time_ns, trace_id=trace_id, span_id=span_id, exception_type=exception_type)


@dataclass(frozen=True, slots=True)
class Minute:
    """What one tenant sends within a tick: Batches, and errors as (record, category, fingerprint or None)."""

    tenant: str
    batches: tuple[Batch, ...] = ()
    errors: tuple[tuple[ErrorRecord, str, str | None], ...] = ()


def traffic(window: int, total: float, errors: float = 0.0, service: str = "web", operation: str = "GET /") -> Batch:
    """Make a Batch of entry spans of one operation."""
    return a_batch((service, operation, window, {"total": total, "failed": errors, "errors": errors}))


def play_minute(memory: Memory, tick: int, received: Sequence[Minute]) -> Closed:
    """Add what was received during a tick, then close it; each tenant's services have partitions of their own."""
    memory.begin(tick)
    for minute in received:
        for batch in minute.batches:
            memory.add(minute.tenant, 0, batch)
        for record, category, novel in minute.errors:
            memory.add_error(memory.row(minute.tenant, record.service, WHOLE, 0), record, category, novel)
    return memory.advance(tick + 1)


def play(memory: Memory, received: Sequence[Sequence[Minute]], first: int = T0) -> list[Closed]:
    """Play what was received, one item a tick."""
    return [play_minute(memory, first + i, minutes_) for i, minutes_ in enumerate(received)]


def by_key(memory: Memory, tenant: str | None = None) -> dict[str, list[float]]:
    """Return feature rows by the name of their series."""
    matrix: Float32Array = extract(memory)
    directory: Directory = memory.directory
    return {str(k): row.tolist() for k, row in zip(directory.keys, matrix, strict=True) if tenant in (None, k.tenant)}


def features_of(memory: Memory, name: str) -> dict[str, float]:
    """Return the features of one series, written ``tenant/service/operation``, by the names of their columns."""
    return dict(zip(SCHEMA.names, by_key(memory)[name], strict=True))


def recorded(memory: Memory, closed: Sequence[Closed]) -> Recording:
    """Make the Recording that history would hold of what the ends of ticks made known."""
    ticks = [end.increment.tick for end in closed]
    facts = [(end.increment.tick, fact) for end in closed for fact in end.facts]
    return Recording(
        tuple(memory.directory.keys),
        np.array(ticks, np.int64),
        np.repeat(np.array(ticks, np.int64), np.array([len(end.increment.rows) for end in closed], np.int64)),
        np.concatenate([np.zeros(0, np.int64), *(end.increment.rows for end in closed)]),
        np.concatenate([np.zeros(0, np.int64), *(end.increment.windows for end in closed)]),
        np.concatenate([np.zeros((0, WIDTH)), *(end.increment.values for end in closed)]),
        np.array([tick for tick, _ in facts], np.int64),
        np.array([fact.row for _, fact in facts], np.int64),
        np.array([fact.window for _, fact in facts], np.int64),
        tuple(fact.kind for _, fact in facts),
        tuple(fact.name for _, fact in facts),
        np.array([fact.value for _, fact in facts], float),
    )


def same_rows(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> bool:
    """Return whether features are the same, but for the last bits, which depend on how many rows a matrix product has."""
    return one.keys() == other.keys() and all(np.allclose(one[k], other[k], rtol=1e-6, atol=1e-9) for k in one)


@st.composite
def minutes(draw: st.DrawFn, window: int, tenants: Sequence[str] = ("default",)) -> list[Minute]:
    """Draw what is received in the tick of a window: late, early and absurd values among it."""
    return [draw(_minute(window, tenant)) for tenant in draw(st.lists(st.sampled_from(tenants), max_size=3))]


@st.composite
def _minute(draw: st.DrawFn, window: int, tenant: str) -> Minute:
    service, at = st.sampled_from(_SERVICES), st.integers(window - 8, window + 2)
    counts = st.dictionaries(st.sampled_from(_COUNTED), st.integers(0, 50).map(float), max_size=4)
    group = st.tuples(service, st.sampled_from(_OPERATIONS), at, counts)
    value = st.one_of(st.floats(), st.integers(0, 100).map(float))
    level = st.tuples(service, st.sampled_from(_LEVELS), at, value)
    batch = a_batch(*draw(st.lists(group, max_size=4)), levels=draw(st.lists(level, max_size=3)))
    calls = st.builds(Call, service, service, st.integers(0, 9), st.just(0))
    presences = st.builds(Presence, service, st.sampled_from(["", "i1", "i2"]), st.sampled_from(["", "v1", "v2"]))
    ends = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)), max_size=4))
    batch = Batch(
        batch.signal, batch.n_records, batch.series, batch.group_series, batch.group_time_s, batch.counts, batch.histogram,
        levels=batch.levels, calls=tuple(draw(st.lists(calls, max_size=2))), presences=tuple(draw(st.lists(presences, max_size=2))),
        end_trace=np.array([key for key, _, _ in ends], np.uint64), end_span=np.array([key for key, _, _ in ends], np.uint64),
        end_service=np.array([s for _, s, _ in ends], np.int64), end_role=np.array([r for _, _, r in ends], np.int64),
        services=_SERVICES if ends else (),
    )  # fmt: skip
    error = st.tuples(
        st.builds(a_record, service, at), st.sampled_from(["network", "data", "unknown"]), st.sampled_from([None, "f1", "f2"])
    )
    return Minute(tenant, (batch,), tuple(draw(st.lists(error, max_size=2))))
