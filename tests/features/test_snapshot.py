"""The state of a partition as bytes, and back."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import NewerVersion, SnapshotMismatch
from features.extract import extract
from features.incident import IncidentRule
from features.memory import Memory, MemoryPlan
from features.pieces import split
from features.rings import Columns
from features.series import WHOLE, SeriesKey, partition_of
from features.snapshot import READS, VERSION, restore, snapshot
from tests.telemetry import T0, Minute, by_key, minutes, play, same_rows, traffic

N = 3


def add(memory: Memory, minute: Minute) -> None:
    for batch in minute.batches:
        for partition, piece in split(batch, minute.tenant, N).items():
            memory.add(minute.tenant, partition, piece)
    for record, category, novel in minute.errors:
        partition = partition_of(minute.tenant, record.service, N)
        memory.add_error(memory.row(minute.tenant, record.service, WHOLE, partition), record, category, novel)


def follow(memory: Memory, story: list[list[Minute]], first: int) -> None:
    memory.begin(first)
    for tick, received in enumerate(story, first):
        for minute in received:
            add(memory, minute)
        memory.advance(tick + 1)


def restored(states: dict[int, dict[str, bytes]], order: list[int]) -> Memory:
    memory = Memory()
    for partition in order:
        restore(memory, partition, states[partition])
    return memory


@settings(max_examples=30)
@given(data=st.data(), order=st.permutations(range(N)))
def test_restored_memory_is_the_one_it_came_from_and_goes_on_as_it(data: st.DataObject, order: list[int]) -> None:
    story = [data.draw(minutes(T0 + i, ("a", "b"))) for i in range(data.draw(st.integers(1, 4)))]
    memory = Memory()
    follow(memory, story, T0)
    states = {partition: snapshot(memory, partition) for partition in range(N)}
    again = restored(states, order)
    assert {partition: snapshot(again, partition) for partition in range(N)} == states
    assert same_rows(by_key(again), by_key(memory))
    if order == sorted(order) and [str(k) for k in again.directory.keys] == [str(k) for k in memory.directory.keys]:
        assert np.array_equal(extract(again), extract(memory))
    end = T0 + len(story)
    later = [data.draw(minutes(end + i, ("a", "b"))) for i in range(2)]
    follow(memory, later, end)
    follow(again, later, end)
    assert same_rows(by_key(again), by_key(memory))


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("behind", [1, 10, 70, 700])
def test_partition_that_stands_further_back_is_brought_to_the_tick_of_the_others(order: list[int], behind: int) -> None:
    ahead, old, reference = Memory(), Memory(), Memory()
    for memory, services in ((ahead, ["web"]), (old, ["cart"]), (reference, ["cart"])):
        play(memory, [[Minute("a", tuple(traffic(T0 + i, 10.0 + i, service=s) for s in services))] for i in range(90)])
    for memory in (ahead, reference):
        memory.windows.turn(T0 + 90 + behind)
        memory.facts.turn(T0 + 90 + behind)
    ahead.directory.partition[:] = 1
    states = {0: snapshot(old, 0), 1: snapshot(ahead, 1)}
    both = restored(states, order)
    assert both.tick == T0 + 90 + behind
    row, expected = both.services()["a", "cart"], reference.services()["a", "cart"]
    assert np.array_equal(both.windows.fine()[row], reference.windows.fine()[expected])
    assert np.array_equal(both.windows.coarse()[row], reference.windows.coarse()[expected])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_errors_of_a_partition_that_stands_further_back_are_as_old_as_they_are(order: list[int]) -> None:
    together, ahead, old = Memory(), Memory(), Memory()
    for memory, services, length in ((together, ("cart", "web"), 90), (ahead, ("web",), 90), (old, ("cart",), 20)):
        story = [[Minute("a", tuple(traffic(T0 + i, 9.0, 2.0, service=s) for s in services if i < 20))] for i in range(length)]
        play(memory, story)
    ahead.directory.partition[:] = 1
    both = restored({0: snapshot(old, 0), 1: snapshot(ahead, 1)}, order)
    for service in ("cart", "web"):
        row, expected = both.services()["a", service], together.services()["a", service]
        for read in (both.excitation.decayed, both.excitation.since):
            of_all = getattr(together.excitation, read.__name__)(T0 + 89)
            assert np.array_equal(read(T0 + 89)[row], of_all[expected])


def test_snapshot_of_a_release_that_kept_no_errors_is_restored_with_none() -> None:
    memory = Memory()
    play(memory, [[Minute("a", (traffic(T0 + i, 100.0, 40.0),))] for i in range(5)])
    state = snapshot(memory, 0)
    with np.load(io.BytesIO(state["memory/rows/00000"])) as arrays:
        older = {name: array for name, array in arrays.items() if not name.startswith("excitation.")}
    assert len(older) < len(arrays.files)
    packed = io.BytesIO()
    np.savez_compressed(packed, **older)
    again = restored({0: state | {"memory/rows/00000": packed.getvalue()}}, [0])
    assert np.array_equal(again.windows.fine(), memory.windows.fine())
    assert again.excitation.columns["events"].tolist() == [0, 0]
    assert np.isfinite(extract(again)).all()


def test_more_series_than_fit_one_value_come_back() -> None:
    memory = Memory()
    play(
        memory,
        [[Minute("a", tuple(traffic(T0, float(i), operation=f"GET /{i}", service=f"s{i % 3}") for i in range(180)))]],
    )
    state = snapshot(memory, 0)
    assert sorted(state) == ["memory/head", "memory/rows/00000", "memory/rows/00001", "memory/rows/00002"]
    again = restored({0: state}, [0])
    assert np.array_equal(extract(again), extract(memory))


def test_what_is_kept_beside_the_memory_comes_back_with_the_rows_it_is_of() -> None:
    def rows(of: Memory) -> list[int]:
        found = (of.directory.find("default", service, WHOLE) for service in ("web", "cart"))
        return [row for row in found if row is not None]

    memory, beside = Memory(), Columns(learned=("f8", (2,), np.nan))
    play(memory, [[Minute("default", (traffic(T0, 5.0, service="web"), traffic(T0, 5.0, service="cart")), ())]])
    beside.grow(len(memory.directory))
    beside["learned"][rows(memory)] = [[1.0, 2.0], [3.0, 4.0]]
    again, found = Memory(), Columns(learned=("f8", (2,), np.nan))
    restore(again, 0, snapshot(memory, 0, {"beside": beside}), {"beside": found})
    assert found["learned"][rows(again)].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_new_partition_starts_empty() -> None:
    memory = Memory()
    restore(memory, 0, {})
    assert memory.tick == -1
    assert len(memory.directory) == 0


@pytest.mark.parametrize(
    ("version", "refusal", "told"),
    [
        (VERSION + 1, NewerVersion, rf"has version {VERSION + 1}, this release reads \(2, 3\): a newer one wrote it"),
        (READS[0] - 1, SnapshotMismatch, rf"must be one of \(2, 3\), got {READS[0] - 1}"),
    ],
)
def test_snapshot_of_a_version_that_is_not_read_is_refused(version: int, refusal: type[SnapshotMismatch], told: str) -> None:
    state = snapshot(Memory(), 0)
    head = json.loads(state["memory/head"]) | {"version": version}
    with pytest.raises(refusal, match=told) as refused:
        restore(Memory(), 0, {"memory/head": json.dumps(head).encode()})
    assert type(refused.value) is refusal


@pytest.mark.parametrize("plan", [MemoryPlan(tick_s=30), MemoryPlan(rule=IncidentRule(k=1, m=4))])
def test_snapshot_of_another_tick_or_rule_is_refused(plan: MemoryPlan) -> None:
    with pytest.raises(SnapshotMismatch, match="in the data folder"):
        restore(Memory(plan), 0, snapshot(Memory(), 0))


def test_a_tenant_that_is_left_out_is_as_if_it_had_never_been() -> None:
    memory, alone = Memory(), Memory()
    for found, tenants in ((memory, ("a", "b")), (alone, ("a",))):
        for tenant in tenants:
            for number in range(70 if tenant == "b" else 3):
                row = found.row_of_snapshot(SeriesKey(tenant, f"{tenant}{number}", WHOLE), 0)
                found.graph.edges[tenant, f"{tenant}{number}", "db"] = (float(row), 1)
        found.windows.tick = found.facts.tick = T0
    left, whole = snapshot(memory, 0, without="b"), snapshot(alone, 0)
    assert left.keys() == whole.keys() == {"memory/head", "memory/rows/00000"}
    assert left["memory/rows/00000"] == whole["memory/rows/00000"]
    heads = [json.loads(state["memory/head"]) for state in (left, whole)]
    assert heads[0]["keys"] == heads[1]["keys"]
    assert [edge[:3] for edge in heads[0]["edges"]] == [edge[:3] for edge in heads[1]["edges"]]
    assert snapshot(memory, 0, without="nobody") == snapshot(memory, 0)
