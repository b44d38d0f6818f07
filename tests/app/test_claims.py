"""What is counted of hand-overs."""

from __future__ import annotations

from app.cache.member_records import ALIVE, DEAD, LEAVING, Member, NodeState
from app.claims import Claims
from app.telemetry import Telemetry
from tests.owners import Monotonic


def held_by(name: str, *held: int, state: str = ALIVE) -> NodeState:
    return NodeState(Member(name, held=held, leaving=state == LEAVING), 0.0, state)


def seconds(telemetry: Telemetry) -> float | None:
    return telemetry.registry.get_sample_value("foreshock_handover_seconds_sum")


def test_a_hand_over_is_counted_by_what_became_of_who_had_it() -> None:
    telemetry, clock = Telemetry(), Monotonic()
    claims = Claims("me", telemetry, clock)
    seen = [held_by("me", 9), held_by("a", 1), held_by("b", 2, state=LEAVING), held_by("c", 3, 5), held_by("d", 4, state=DEAD)]
    claims.show(seen)
    assert telemetry.values("members") == {"alive": 3.0, "leaving": 1.0, "dead": 1.0}
    later = [held_by("a"), held_by("c", 3, 5, state=DEAD)]  # b is gone
    claims.want([1, 2, 3, 4, 9], [1, 2, 3, 4, 9], later)
    clock.pass_by(2.0)
    claims.note(frozenset({1, 2, 3, 4, 9}), [1, 2, 3, 4, 9])
    assert telemetry.values("handovers") == {"move": 1.0, "leave": 1.0, "death": 1.0, "start": 2.0}
    assert (claims.handovers, telemetry.value("partitions_held"), seconds(telemetry)) == (5, 5.0, 10.0)
    claims.note(frozenset({1, 2, 3, 4, 9}), [1, 2, 3, 4, 9])
    assert claims.handovers == 5, "once"


def test_who_is_not_there_any_more_left_in_order() -> None:
    telemetry = Telemetry()
    claims = Claims("me", telemetry, Monotonic())
    claims.show([held_by("a", 1)])
    claims.want([1], [1], [])
    claims.note(frozenset({1}), [1])
    assert telemetry.values("handovers") == {"leave": 1.0}


def test_what_goes_unasked_is_counted_and_what_was_let_go_is_not() -> None:
    telemetry, clock = Telemetry(), Monotonic()
    claims = Claims("me", telemetry, clock)
    claims.want([1, 2], [1, 2], [])
    claims.note(frozenset({1, 2}), [1, 2])
    claims.want([], [2], [])
    claims.note(frozenset(), [2])
    assert telemetry.values("handovers") == {"start": 2.0, "fenced": 1.0}
    clock.pass_by(1.0)
    claims.note(frozenset({2}), [2])
    assert (telemetry.value("handovers", reason="start"), seconds(telemetry)) == (3.0, 1.0)


def test_what_is_wanted_no_more_is_no_hand_over() -> None:
    telemetry = Telemetry()
    claims = Claims("me", telemetry, Monotonic())
    claims.want([1], [1], [])
    claims.want([], [], [])
    claims.note(frozenset({1}), [])
    assert telemetry.values("handovers") == {}
