"""The one state that live code, replay and training share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import Batch, Call, DurationPoint, Presence, channel
from features.extract import extract
from features.memory import Memory, MemoryPlan
from features.series import WHOLE
from tests.telemetry import T0, Minute, a_batch, a_record, by_key, minutes, play, play_minute, same_rows, traffic

LENGTH = 6


@st.composite
def stories(draw: st.DrawFn, tenants: Sequence[str] = ("default",)) -> list[list[Minute]]:
    return [draw(minutes(T0 + i, tenants)) for i in range(draw(st.integers(1, LENGTH)))]


def names(memory: Memory) -> list[str]:
    return [str(key) for key in memory.directory.keys]


@settings(max_examples=30)
@given(story=stories(tenants=("a", "b")))
def test_history_applied_again_gives_the_features_that_were_seen_live(story: list[list[Minute]]) -> None:
    live, again = Memory(), Memory()
    again.begin(T0)
    for i, received in enumerate(story):
        closed = play_minute(live, T0 + i, received)
        for key in live.directory.keys:
            again.row_of_history(key)
        standing = again.apply(closed.increment, closed.facts)
        assert names(live) == names(again)
        assert np.array_equal(extract(live), extract(again))
        assert np.array_equal(standing.open_since, closed.standing.open_since)


@settings(max_examples=30)
@given(past=stories(), future=st.lists(minutes(T0 + LENGTH), min_size=1, max_size=3))
def test_what_is_received_after_a_tick_changes_nothing_that_was_known_at_it(
    past: list[list[Minute]], future: list[list[Minute]]
) -> None:
    memory = Memory()
    play(memory, past)
    before = by_key(memory)
    for received in future:
        for minute in received:
            for batch in minute.batches:
                memory.add(minute.tenant, 0, batch)
            for record, category, novel in minute.errors:
                memory.add_error(memory.row(minute.tenant, record.service, WHOLE, 0), record, category, novel)
    after = by_key(memory)
    assert same_rows({name: after[name] for name in before}, before)


@settings(max_examples=30)
@given(story=stories(tenants=("a", "b")))
def test_data_of_one_tenant_changes_no_feature_of_another(story: list[list[Minute]]) -> None:
    together, alone = Memory(), Memory()
    play(together, story)
    play(alone, [[minute for minute in received if minute.tenant == "a"] for received in story])
    assert same_rows(by_key(together, "a"), by_key(alone, "a"))


def test_level_names_of_another_tenant_leave_a_falling_level_as_it_is() -> None:
    together, alone = Memory(), Memory()
    for tick in range(T0, T0 + 60):
        a = Minute("a", (a_batch(levels=[("web", "free", tick, 1e6 - 1e3 * (tick - T0) ** 1.5)]),))
        b = Minute("b", (a_batch(levels=[("web", f"gauge-{i}", tick, 1.0 * i) for i in range(4)]),))
        play_minute(together, tick, [a, b])
        play_minute(alone, tick, [a])
    assert same_rows(by_key(together, "a"), by_key(alone, "a"))


@given(
    story=st.lists(st.tuples(st.integers(T0 - 5, T0 + 2), st.integers(0, 99)), max_size=8),
    order=st.permutations(range(8)),
)
def test_windows_do_not_depend_on_the_order_of_batches(story: list[tuple[int, int]], order: list[int]) -> None:
    one, other = Memory(), Memory()
    for memory in (one, other):
        memory.row("a", "web", "GET /", 0)
    batches = [traffic(window, float(count)) for window, count in story]
    play_minute(one, T0, [Minute("a", tuple(batches))])
    play_minute(other, T0, [Minute("a", tuple(batches[i] for i in order if i < len(batches)))])
    assert np.array_equal(one.windows.fine(), other.windows.fine())


def test_operation_counts_for_itself_and_for_its_service() -> None:
    memory = Memory()
    batch = a_batch(("web", "GET /", T0, {"total": 3.0}), ("web", "*", T0, {"logs": 2.0}))
    memory.begin(T0)
    assert memory.add("a", 0, batch) == 0
    memory.advance(T0 + 1)
    assert names(memory) == ["a/web/*", "a/web/GET /"]
    assert memory.windows.fine()[:, -1, [channel("total"), channel("logs")]].tolist() == [[3.0, 2.0], [3.0, 0.0]]


def test_service_is_complete_though_there_is_no_row_for_its_operation() -> None:
    memory = Memory(MemoryPlan(max_series=1))
    play_minute(memory, T0, [Minute("a", (traffic(T0, 3.0), traffic(T0, 4.0, service="cart")))])
    assert names(memory) == ["a/web/*"]
    assert memory.windows.fine()[0, -1, 0] == 3.0
    memory.add_error(memory.row("a", "cart", WHOLE, 0), a_record("cart"), "data", "f")
    memory.add("a", 0, replace(a_batch(levels=[("cart", "heap", T0, 1.0)]), presences=(Presence("cart", "i", "v"),)))
    assert memory.advance(T0 + 2).facts == []


def test_late_groups_are_refused_and_counted() -> None:
    memory = Memory()
    memory.begin(T0)
    assert memory.add("a", 0, traffic(T0 - 6, 3.0)) == 1
    assert memory.late == 1
    memory.advance(T0 + 1)
    assert not memory.windows.fine().any()


def test_error_taken_back_leaves_the_count_of_the_failure() -> None:
    memory = Memory()
    memory.begin(T0)
    for _ in range(2):
        memory.add("a", 0, a_batch(("web", "*", T0, {"errors": 1.0})))
    memory.take_back_error("a", a_record("web", T0))
    memory.take_back_error("a", a_record("unknown", T0))
    memory.advance(T0 + 1)
    assert memory.windows.fine()[0, -1, channel("errors")] == 1.0


def test_error_whose_group_came_too_late_is_not_taken_back_from_nothing() -> None:
    memory = Memory()
    memory.begin(T0)
    memory.add("a", 0, a_batch(("web", "*", T0 - 9, {"errors": 1.0})))
    memory.take_back_error("a", a_record("web", T0 - 9))
    memory.advance(T0 + 1)
    assert not memory.windows.fine().any()


def test_edges_come_from_calls_and_from_span_ends() -> None:
    memory = Memory()
    keys = np.array([7, 7], np.uint64)
    calls = replace(traffic(T0, 1.0), calls=(Call("web", "cart:80", 4, 0), Call("ghost", "cart", 9, 0)))
    ends = replace(
        a_batch(("cart", "*", T0, {"inner": 1.0})),
        end_trace=keys, end_span=keys, end_service=np.array([0, 1]), end_role=np.array([0, 1]), services=("cart", "web"),
    )  # fmt: skip
    play_minute(memory, T0, [Minute("a", (calls, ends))])
    assert {edge: calls for edge, (calls, _) in memory.graph.edges.items()} == {
        ("a", "web", "cart"): 4.0,
        ("a", "cart", "web"): 1.0,
    }


def test_ends_of_two_tenants_with_the_same_ids_make_no_edge() -> None:
    memory = Memory()
    keys = np.array([7], np.uint64)
    for tenant, role in (("a", 0), ("b", 1)):
        ends = replace(traffic(T0, 1.0), end_trace=keys, end_span=keys, end_service=np.array([0]), end_role=np.array([role]))
        memory.add(tenant, 0, replace(ends, services=("web" if role == 0 else "cart",)))
    memory.advance(T0 + 1)
    assert memory.graph.edges == {}


def test_ticks_since_data_stop_at_an_hour() -> None:
    memory = Memory()
    play(memory, [[Minute("a", (traffic(T0, 1.0),))]])
    seen = [int(memory.last_data()[0])]
    for tick in range(T0 + 2, T0 + 65):
        memory.advance(tick)
        seen.append(int(memory.last_data()[0]))
    assert seen == [*range(60), *[60] * 4]


def test_failing_service_is_in_an_incident_until_it_recovers() -> None:
    memory = Memory()
    story = [traffic(T0 + i, 100.0, 40.0 if 60 <= i < 70 else 0.0) for i in range(80)]
    standings = [closed.standing for closed in play(memory, [[Minute("a", (batch,))] for batch in story])]
    began = [(i, int(s.open_since[0]) - T0) for i, s in enumerate(standings) if s.began[0]]
    ended = [i for i, s in enumerate(standings) if s.ended[0]]
    assert began == [(61, 60)]
    assert len(ended) == 1
    assert 72 <= ended[0] <= 74


def test_dead_service_is_an_incident_only_while_the_tenant_is_heard() -> None:
    def silent(*services: str) -> list[bool]:
        memory = Memory()
        received = [
            [Minute("a", tuple(traffic(T0 + i, 50.0, service=s) for s in ("web", "cart") if i < 90 or s not in services))]
            for i in range(110)
        ]
        play(memory, received)
        return [bool(memory.onsets.in_incident()[memory.services()["a", s]]) for s in ("web", "cart")]

    assert silent("web") == [True, False]
    assert silent("web", "cart") == [False, False]


def test_missed_ticks_are_no_incident_and_data_after_them_is_seen() -> None:
    memory = Memory()
    play(memory, [[Minute("a", (traffic(T0 + i, 50.0),))] for i in range(90)])
    gap = T0 + 90 + 64
    closed = [play_minute(memory, gap + i, [Minute("a", (traffic(gap + i, 50.0),))]) for i in range(10)]
    assert not any(c.standing.began.any() for c in closed)
    assert memory.windows.fine()[0, -10:, 0].tolist() == [50.0] * 10


@settings(max_examples=30)
@given(jumps=st.lists(st.sampled_from([1, 2, 5, 59, 64, 65, 400, 1440, 10_000]), max_size=6), data=st.data())
def test_jumps_of_the_tick_do_no_harm(jumps: list[int], data: st.DataObject) -> None:
    memory, tick = Memory(), T0
    for jump in jumps:
        tick += jump
        play_minute(memory, tick, data.draw(minutes(tick)))
        assert np.isfinite(extract(memory)).all()
        assert memory.tick == tick + 1


def test_a_service_that_measures_itself_is_counted_by_its_histograms_and_not_by_its_spans() -> None:
    memory = Memory()
    histogram = (0.0,) * 16

    def measured(minute: int, count: float) -> Batch:
        times = T0 * 60 * 10**9, (T0 + minute + 1) * 60 * 10**9 - 1
        return Batch(
            "metrics", durations=(DurationPoint("web", "GET /", 1, 0, *times, True, False, False, count, 1.0, histogram),)
        )

    for minute, count in enumerate((50.0, 60.0, 75.0, 95.0)):
        spans = a_batch(("web", "GET /", T0 + minute, {"total": 4.0, "served": 4.0, "errors": 1.0}))
        play_minute(memory, T0 + minute, [Minute("default", (measured(minute, count), spans))])
    recent = memory.windows.recent(4)
    for row in (memory.directory.find("default", "web"), memory.directory.find("default", "web", "GET /")):
        assert recent[row, :, channel("total")].tolist() == [4.0, 4.0, 15.0, 20.0]
        assert recent[row, :, channel("errors")].tolist() == [1.0] * 4


def test_what_was_left_out_of_what_services_measure_is_told_once() -> None:
    memory = Memory()
    memory.begin(T0)
    times = T0 * 60 * 10**9, (T0 * 60 + 30) * 10**9
    delta = DurationPoint("web", "GET /", 1, 1, *times, False, False, False, 5.0, 1.0, ())
    memory.add("default", 0, Batch("metrics", durations=(delta, delta)))
    assert [dict(memory.advance(tick).limited) for tick in (T0 + 1, T0 + 2)] == [{"durations_repeated": 1}, {}]
