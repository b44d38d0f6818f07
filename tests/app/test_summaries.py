"""Summaries pass from node to node as documents, small enough for one message, and none where one node holds everything."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage
from app.settings import StoreSettings
from app.store.contract import Commit, Output
from app.store.sqlite import SqliteStore, open_store
from app.summaries import BUCKET, Summaries, pack, summary_output, unpack
from app.telemetry import Telemetry
from app.worker import WorkerPlan
from features.afar import HEARD_WINDOWS, OLDEST_TICKS, SIGNALS, SUMS, Summary
from features.batch import Call
from features.errors import InvalidValue
from features.series import partition_of
from tests.lines import open_line
from tests.recorded import recorded
from tests.telemetry import T0, traffic

N_PARTITIONS = 8
NUMBERS = st.floats(-1e9, 1e9, width=32)
NAMES = st.text(min_size=1, max_size=5)


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    services = draw(st.lists(st.tuples(NAMES, NAMES), max_size=5, unique=True))
    tenants = sorted({tenant for tenant, _ in services})

    def numbers(n: int, width: int) -> list[list[float]]:
        return draw(st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=n, max_size=n))

    return Summary(
        draw(st.integers(0, 999)),
        draw(st.integers(0, 10**9)),
        services,
        np.array(numbers(len(services), len(SIGNALS))).reshape(-1, len(SIGNALS)),
        tenants,
        np.array(numbers(len(tenants), HEARD_WINDOWS)).reshape(-1, HEARD_WINDOWS),
        np.array(numbers(len(tenants), SUMS)).reshape(-1, SUMS),
        draw(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=4)),
        draw(st.lists(st.tuples(NAMES, NAMES, NAMES, NUMBERS), max_size=4)),
    )


def a_summary(partition: int = 1, tick: int = T0, n: int = 1) -> Summary:
    rng = np.random.default_rng(partition)
    services = [("a", f"service-{rng.integers(10**9)}-{number}") for number in range(n)]
    signals = rng.random((n, len(SIGNALS)))
    return Summary(partition, tick, services, signals, ["a"], np.ones((1, HEARD_WINDOWS)), np.ones((1, SUMS)))


def same(one: Summary, other: Summary) -> bool:
    lists = all(list(getattr(one, name)) == list(getattr(other, name)) for name in ("services", "tenants", "edges", "calls"))
    arrays = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("signals", "got", "sums"))
    return lists and arrays and (one.partition, one.tick) == (other.partition, other.tick)


@given(summary=summaries())
def test_what_is_packed_comes_out_again(summary: Summary) -> None:
    assert same(unpack(pack(summary)), summary)


@settings(max_examples=300)
@given(
    data=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(zlib.compress), summaries().map(lambda s: pack(s)[:-9]))
)
def test_what_is_no_summary_is_refused_with_one_error(data: bytes) -> None:
    with pytest.raises(InvalidValue, match="summary"):
        unpack(data)


def test_columns_that_do_not_fit_each_other_are_refused() -> None:
    one = a_summary(n=2)
    with pytest.raises(InvalidValue, match="as long as each other"):
        unpack(pack(replace(one, signals=one.signals[:1])))


def test_a_summary_that_is_too_large_loses_edges_then_calm_services_then_tenants() -> None:
    one = a_summary(n=400)
    rng = np.random.default_rng(0)
    edges = [("a", name, f"callee-{rng.integers(10**12)}") for _, name in one.services for _ in range(20)]
    full = replace(one, edges=edges)
    whole = len(pack(one))
    kept = unpack(pack(full, whole + 4000))
    assert len(kept.services) == 400
    assert 0 < len(kept.edges) < len(edges)
    assert list(kept.edges) == edges[: len(kept.edges)]
    fewer = unpack(pack(full, whole // 2 + 500))
    worst = one.signals.max(1)
    chosen = {name for _, name in fewer.services}
    assert 0 < len(chosen) < 400
    assert len(fewer.edges) == 0
    assert min(worst[i] for i, (_, name) in enumerate(one.services) if name in chosen) >= max(
        worst[i] for i, (_, name) in enumerate(one.services) if name not in chosen
    )
    assert list(fewer.tenants) == ["a"]
    assert len(unpack(pack(full, 10)).tenants) == 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    settings_ = StoreSettings(commit_window_ms=0.0, partitions=N_PARTITIONS)
    with open_store(tmp_path, settings=settings_, max_in_flight_bytes=2**20, now=lambda: datetime.now(UTC)) as opened:
        yield opened


def publish(store: SqliteStore, *outputs: tuple[int, Output]) -> None:
    for partition, output in outputs:
        token = store.checkpoints.acquire(partition, "one").token
        store.checkpoints.commit_all([Commit(partition, token, 0, outputs=[output])])


def test_the_newest_summary_of_each_partition_that_is_not_held_is_found(store: SqliteStore) -> None:
    found = Summaries(store.documents.watch(BUCKET), N_PARTITIONS)
    assert found.of_others({1, 2}) == []
    publish(store, *(summary_output(a_summary(number, tick), 60) for number in range(4) for tick in (T0, T0 + 1)))
    told = found.of_others({1, 2})
    assert told is not None
    assert [(one.partition, one.tick) for one in told] == [(0, T0 + 1), (3, T0 + 1)]
    again = found.of_others({1, 2})
    assert again is not None
    assert all(one is other for one, other in zip(told, again, strict=True))  # not read anew


def test_who_holds_everything_hears_nothing(store: SqliteStore) -> None:
    publish(store, summary_output(a_summary(3), 60))
    assert Summaries(store.documents.watch(BUCKET), N_PARTITIONS).of_others(range(N_PARTITIONS)) is None


def test_a_summary_of_another_version_is_left_out(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    found = Summaries(store.documents.watch(BUCKET), N_PARTITIONS)
    store.documents.put(BUCKET, "000003", b"of tomorrow")
    store.documents.put(BUCKET, "000004", pack(a_summary(4)))
    for _ in range(2):
        assert [one.partition for one in found.of_others({0}) or ()] == [4]
    assert [record.message.split(" is ")[0] for record in caplog.records] == ["summary 000003"]  # said once


def test_a_node_that_holds_everything_publishes_no_summary(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        for text in recorded(5):
            line.send([text], line.worker.step)
        line.end_tick()
        assert line.worker.published
        assert line.store.documents.items(BUCKET) == []


def test_workers_that_share_the_partitions_hear_of_each_others_services(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.plan = WorkerPlan(checkpoint_s=1e9, shared=True)
        workers = [line.new_worker(), line.new_worker()]
        for text in recorded(5):
            line.send([text])
        line.pass_to(line.tick + 1)
        for first, worker in enumerate(workers):
            worker.want(range(first, N_PARTITIONS, 2))
        for _ in range(2):
            for worker in workers:
                worker.drain()
            line.pass_to(line.tick + 1)
        own = [set(worker.flow.memory.services()) for worker in workers]
        assert own[0]
        assert own[1]
        assert [set(worker.flow.memory.afar.services) for worker in workers] == own[::-1]
        workers[1].want(())
        workers[0].want(range(N_PARTITIONS))
        for worker in reversed(workers):
            worker.drain()
        line.pass_to(line.tick + 1)
        workers[0].drain()
        assert set(workers[0].flow.memory.services()) == own[0] | own[1]
        assert not workers[0].flow.memory.afar


SERVICES = ("web", "cart", "payment", "stock")


def a_flow(*services: str, minutes: int = 3) -> Flow:
    """Return a flow that took traffic of some services; each calls the next one."""
    flow = Flow(FlowPlan(), Telemetry())
    for tick in range(T0, T0 + minutes):
        feed(flow, tick, services)
        flow.hear([])
        outputs_of(flow, tick + 1)
    return flow


def feed(flow: Flow, tick: int, services: tuple[str, ...]) -> None:
    for place, name in enumerate(services):
        batch = replace(traffic(tick, 20.0, service=name), calls=(Call(name, SERVICES[SERVICES.index(name) - 1], 1.0, 0.0),))
        message = BatchMessage("a", f"{tick}-{place}", tick * 60 * 10**9, batch)
        flow.absorb(partition_of("a", name, N_PARTITIONS), message)


def outputs_of(flow: Flow, tick: int, *, published: bool = True) -> dict[int, list[Output]]:
    return flow.forecast(tick, dict.fromkeys(range(N_PARTITIONS), tick), publish=published)


def test_a_flow_that_hears_of_others_publishes_a_summary_a_partition() -> None:
    flow = a_flow("web", "cart")
    flow.hear([])
    outputs = outputs_of(flow, T0 + 4)
    found = {n: [unpack(o.value) for o in made if o.bucket == BUCKET and o.value] for n, made in outputs.items()}
    assert {n: [one.services for one in told] for n, told in found.items() if told} == {
        partition_of("a", name, N_PARTITIONS): [[("a", name)]] for name in ("web", "cart")
    }
    assert {one.tick for told in found.values() for one in told} == {T0 + 4}
    flow.hear(None)
    assert not [o for made in outputs_of(flow, T0 + 5).values() for o in made if o.bucket == BUCKET]


def test_no_summary_is_published_of_a_tick_that_is_caught_up_with() -> None:
    flow = a_flow("web")
    flow.hear([])
    assert not [o for made in outputs_of(flow, T0 + 4, published=False).values() for o in made if o.bucket == BUCKET]


def test_age_and_services_are_told_by_metrics() -> None:
    flow = a_flow("web")
    flow.hear([a_summary(1, T0 + 3, n=2), a_summary(2, T0 + 1)])
    assert (flow.telemetry.value("services_afar"), flow.telemetry.value("summaries_age_seconds")) == (3.0, 120.0)
    flow.hear([a_summary(1, T0 + 3 - OLDEST_TICKS - 1)])
    assert flow.telemetry.value("services_afar") == 0.0
    assert flow.telemetry.value("summaries_age_seconds") == 60.0 * (OLDEST_TICKS + 1)
    flow.hear(None)
    assert flow.telemetry.value("summaries_age_seconds") == 0.0
