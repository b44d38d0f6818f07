"""Requests that were sent twice, and failures that were reported up to three times."""

from __future__ import annotations

from typing import TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import repeats as repeats_module
from features.repeats import Repeats, RepeatsState
from tests.telemetry import a_record


class Ids(TypedDict, total=False):
    trace_id: str
    span_id: str


IDS: Ids = {"trace_id": "t1", "span_id": "s1"}


def test_request_sent_again_within_the_hour_is_a_repeat() -> None:
    repeats = Repeats()
    assert [repeats.batch("a", tick) for tick in (0, 0, 59, 60)] == [False, True, True, True]
    assert repeats.batch("a", 61) is False
    assert repeats.batch("b", 61) is False


@pytest.mark.parametrize(
    "types",
    [("", "IOError", "IOError"), ("IOError", "", "IOError"), ("IOError", "IOError", ""), ("", "", "IOError"), ("", "", "")],
)
def test_failure_reported_three_ways_counts_once(types: tuple[str, str, str]) -> None:
    repeats = Repeats()
    seen = [repeats.failure("a", a_record(exception_type=t, **IDS), tick) for tick, t in enumerate(types)]
    assert seen == [False, True, True]


def test_another_exception_of_the_same_span_is_another_failure() -> None:
    repeats = Repeats()
    seen = [
        repeats.failure("a", a_record(exception_type=t, **IDS), 0) for t in ("", "IOError", "KeyError", "KeyError", "IOError")
    ]
    assert seen == [False, True, False, True, True]


@pytest.mark.parametrize("ids", [{}, {"trace_id": "t1"}, {"span_id": "s1"}])
def test_without_ids_nothing_is_a_repeat(ids: Ids) -> None:
    repeats = Repeats()
    assert [repeats.failure("a", a_record(exception_type="IOError", **ids), 0) for _ in range(3)] == [False] * 3
    assert len(repeats) == 0


def test_tenants_with_the_same_ids_do_not_meet() -> None:
    repeats = Repeats()
    assert repeats.failure("a", a_record(**IDS), 0) is False
    assert repeats.failure("b", a_record(**IDS), 0) is False


def test_failure_is_forgotten_after_its_time_and_its_types_with_it() -> None:
    repeats = Repeats()
    repeats.failure("a", a_record(exception_type="IOError", **IDS), 0)
    assert repeats.failure("a", a_record(exception_type="KeyError", **IDS), 16) is False
    assert repeats.failure("a", a_record(exception_type="IOError", **IDS), 16) is False


def test_forgetting_drops_what_is_too_old() -> None:
    repeats = Repeats()
    repeats.batch("old", 0)
    repeats.batch("new", 50)
    repeats.failure("a", a_record(**IDS), 0)
    repeats.failure("a", a_record(trace_id="t2", span_id="s2"), 60)
    repeats.forget(61)
    assert len(repeats) == 2
    assert repeats.batch("new", 61) is True
    assert repeats.failure("a", a_record(trace_id="t2", span_id="s2"), 61) is True


def test_bound_drops_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats_module, "_MAX_KEPT", 2)
    repeats = Repeats()
    for tick, name in enumerate(("a", "b", "c")):
        repeats.batch(name, tick)
        repeats.failure("t", a_record(trace_id=name, span_id="s", exception_type="IOError"), tick)
    repeats.failure("t", a_record(trace_id="a", span_id="s", exception_type="KeyError"), 3)
    repeats.forget(3)
    assert len(repeats) == 4
    assert [repeats.batch(name, 3) for name in ("c", "b", "a")] == [True, True, False]
    kept = [repeats.failure("t", a_record(trace_id=name, span_id="s", exception_type="IOError"), 3) for name in ("c", "a", "b")]
    assert kept == [True, True, False]


def test_what_is_packed_while_a_tick_is_open_is_known_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats_module, "_MAX_NEW", 3)
    repeats = Repeats()
    names = [f"n{n}" for n in range(50)]
    records = [a_record(trace_id=name, span_id="s", exception_type="IOError") for name in names]
    for seen in (False, True):
        assert [repeats.batch(name, 1) for name in names] == [seen] * 50
        assert [repeats.failure("t", record, 1) for record in records] == [seen] * 50
    assert len(repeats) == 100
    typeless = [repeats.failure("t", a_record(trace_id=f"u{n}", span_id="s"), 1) for n in range(50)]
    named = [repeats.failure("t", a_record(trace_id=f"u{n}", span_id="s", exception_type="A"), 1) for n in range(50)]
    others = [repeats.failure("t", a_record(trace_id=f"u{n}", span_id="s", exception_type="B"), 1) for n in range(50)]
    assert (typeless, named, others) == ([False] * 50, [True] * 50, [False] * 50)


@given(
    reports=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "A", "B"]), st.integers(0, 20)), max_size=12),
    later=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "A", "B"]), st.integers(0, 20)), max_size=8),
)
def test_restored_memory_answers_as_the_one_it_came_from(
    reports: list[tuple[int, str, int]], later: list[tuple[int, str, int]]
) -> None:
    one, other = Repeats(), Repeats()
    tick = 0
    for name, kind, step in reports:
        tick += step
        one.batch(str(name), tick)
        one.failure("a", a_record(trace_id=str(name), span_id="s", exception_type=kind), tick)
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(one.snapshot()), type=RepeatsState))
    assert other.snapshot() == one.snapshot()
    for name, kind, step in later:
        tick += step
        record = a_record(trace_id=str(name), span_id="s", exception_type=kind)
        assert one.failure("a", record, tick) == other.failure("a", record, tick)
        assert one.batch(str(name), tick) == other.batch(str(name), tick)
    assert other.snapshot() == one.snapshot()


def test_a_report_without_a_type_stays_open_while_another_one_matches_exactly() -> None:
    repeats = Repeats()
    repeats.restore(RepeatsState(failures={"a/t1/s1": (0, ["", "IOError"])}))
    assert [repeats.failure("a", a_record(exception_type=t, **IDS), 0) for t in ("IOError", "KeyError")] == [True, True]
    assert repeats.failure("a", a_record(exception_type="OSError", **IDS), 0) is False


def test_the_state_of_earlier_releases_is_still_read() -> None:
    state = {"batches": {"b": 7}, "failures": {"a/t1/s1": [7, ["IOError"]]}}
    repeats = Repeats()
    repeats.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=RepeatsState))
    assert repeats.batch("b", 8) is True
    assert repeats.failure("a", a_record(exception_type="IOError", **IDS), 8) is True
    assert repeats.failure("a", a_record(exception_type="KeyError", **IDS), 8) is False
