"""How a request is cut by partition."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, DurationPoint, Level, Presence
from features.pieces import split
from features.series import partition_of
from tests.telemetry import a_record

NAMES = st.sampled_from(["web", "cart", "payment", "orders", "mail"])


def a_point(service: str, stream: int) -> DurationPoint:
    return DurationPoint(service, "GET /", stream, 0, 0, 1, False, False, False, 1.0, 0.5, (1.0,) * N_BUCKETS)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    series = tuple(draw(st.lists(st.tuples(NAMES, st.sampled_from(["*", "GET /"])), max_size=5, unique=True)))
    groups = draw(st.lists(st.sampled_from(range(len(series))), max_size=8)) if series else []
    counts = np.arange(len(groups) * N_CHANNELS, dtype=float).reshape(-1, N_CHANNELS)
    services = tuple(draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)))
    ends = draw(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=8))
    return Batch(
        "traces",
        n_records=draw(st.integers(0, 99)),
        series=series,
        group_series=np.array(groups, np.int64),
        group_time_s=np.arange(len(groups)) * 60,
        counts=counts,
        histogram=counts[:, :1].repeat(N_BUCKETS, 1),
        errors=tuple(a_record(name) for name in draw(st.lists(NAMES, max_size=4))),
        levels=tuple(Level(name, "heap", 0, float(i)) for i, name in enumerate(draw(st.lists(NAMES, max_size=4)))),
        calls=tuple(Call(name, "bank", i, 0) for i, name in enumerate(draw(st.lists(NAMES, max_size=4)))),
        end_trace=np.array([trace for trace, _ in ends], np.uint64),
        end_span=np.array([span for _, span in ends], np.uint64),
        end_service=np.arange(len(ends)) % len(services),
        end_role=np.arange(len(ends)) % 2,
        services=services,
        presences=tuple(Presence(name, "i1", "v1") for name in draw(st.lists(NAMES, max_size=3))),
        durations=tuple(a_point(name, i) for i, name in enumerate(draw(st.lists(NAMES, max_size=3)))),
        counters={"cut": 3},
        rejected=2,
        reason="too many",
    )


def contents(batch: Batch) -> Counter[object]:
    groups = zip(
        batch.group_series.tolist(), batch.group_time_s.tolist(), batch.counts.tolist(), batch.histogram.tolist(), strict=True
    )
    ends = zip(
        batch.end_trace.tolist(), batch.end_span.tolist(), batch.end_service.tolist(), batch.end_role.tolist(), strict=True
    )
    found: Counter[object] = Counter()
    found.update(("group", batch.series[s], time, tuple(c), tuple(h)) for s, time, c, h in groups)
    found.update(("end", trace, span, batch.services[service], role) for trace, span, service, role in ends)
    found.update(("error", e.service, e.time_ns) for e in batch.errors)
    found.update([*batch.levels, *batch.calls, *batch.presences, *batch.durations])
    return found


@given(batch=batches(), tenant=st.sampled_from(["a", "b"]), n_partitions=st.integers(1, 40))
def test_split_loses_nothing_and_counts_nothing_twice(batch: Batch, tenant: str, n_partitions: int) -> None:
    pieces = split(batch, tenant, n_partitions)
    assert sum((contents(piece) for piece in pieces.values()), Counter()) == contents(batch)
    for piece in pieces.values():
        assert contents(piece)
        assert (piece.n_records, dict(piece.counters), piece.rejected, piece.reason) == (0, {}, 0, "")


@given(batch=batches(), n_partitions=st.integers(1, 40))
def test_everything_of_a_service_is_in_its_partition(batch: Batch, n_partitions: int) -> None:
    for partition, piece in split(batch, "a", n_partitions).items():
        services = [piece.series[i][0] for i in piece.group_series.tolist()]
        services += [part.service for part in (*piece.errors, *piece.levels, *piece.presences, *piece.durations)]
        services += [call.caller for call in piece.calls]
        assert {partition_of("a", service, n_partitions) for service in services} <= {partition}
        used = {piece.services[i] for i in piece.end_service.tolist()}
        assert used == set(piece.services) if n_partitions >= 16 else used <= set(piece.services)
        assert len(set(piece.services)) == len(piece.services)
        assert len(piece.end_trace) == 0 or n_partitions >= 16 or partition == 0  # of up to 15 partitions one joins


def test_empty_batch_splits_into_nothing() -> None:
    assert split(Batch("logs", counters={"cut": 1}), "a", 8) == {}


def test_both_ends_of_a_call_meet_in_one_partition() -> None:
    trace, span = np.array([12345], np.uint64), np.array([7], np.uint64)
    caller = Batch(
        "traces", end_trace=trace, end_span=span, end_service=np.array([0]), end_role=np.array([0]), services=("web",)
    )
    callee = replace(caller, end_role=np.array([1]), services=("cart",))
    for n_partitions, joining in ((1, 0), (8, 0), (16, 8), (64, 8)):
        assert split(caller, "a", n_partitions).keys() == split(callee, "a", n_partitions).keys() == {joining}


def test_a_name_that_a_piece_does_not_use_is_not_in_its_tables() -> None:
    names = [f"s{n}" for n in range(40)]
    rows = np.arange(40)
    zeros = np.zeros((40, N_CHANNELS))
    batch = Batch(
        "traces",
        series=tuple((name, "*") for name in names),
        group_series=rows[::-1].copy(),
        group_time_s=rows * 60,
        counts=zeros,
        histogram=np.zeros((40, N_BUCKETS)),
    )
    found = split(batch, "a", 8)
    assert sorted(row for piece in found.values() for row in piece.series) == sorted(batch.series)
    for home, piece in found.items():
        assert {partition_of("a", service, 8) for service, _ in piece.series} == {home}
        assert {piece.series[row] for row in piece.group_series.tolist()} == set(piece.series)


def test_homes_stay_right_when_more_names_come_than_are_remembered() -> None:
    names = [f"{n}" * (200 if n % 7 == 0 else 1) for n in range(3000)]
    for name in names[:1500] * 2 + names:
        (home,) = split(Batch("metrics", levels=(Level(name, "heap", 0, 1.0),)), "many", 8)
        assert home == partition_of("many", name, 8)
