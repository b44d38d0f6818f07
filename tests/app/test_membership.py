"""Who lives, as one node judges the others."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from app.cache.member_records import MEMBERS, Member, decode_member, encode_member
from app.membership import Membership
from app.store.contract import Documents
from features.errors import InvalidSetting
from tests.contracts.stores import Clock
from tests.owners import HEARTBEAT_S, TTL_S, Monotonic, Unsteady, a_member, documents_of

BEATS = round(TTL_S / HEARTBEAT_S)


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
def documents(tmp_path: Path, wall: Clock) -> Generator[Unsteady]:
    with documents_of(tmp_path / "data", wall) as opened:
        yield Unsteady(opened)


@pytest.fixture
def clock() -> Monotonic:
    return Monotonic()


def joined(documents: Documents, me: Member, clock: Monotonic) -> Membership:
    membership = Membership(documents, me, heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    assert membership.beat(me)
    return membership


def alive(membership: Membership) -> list[str]:
    return [member.id for member in membership.others()]


def beats(clock: Monotonic, n: int, *memberships: Membership) -> None:
    for _ in range(n):
        clock.pass_by(HEARTBEAT_S)
        for membership in memberships:
            assert membership.beat(membership.me)
        for membership in memberships:  # who owns looks all the time
            membership.others()


def test_members_see_each_other_and_what_they_say(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    assert (alive(a), alive(b)) == (["b"], ["a"])
    b.beat(replace(b.me, held=(1, 2), lag=5))
    assert a.others()[0].held == (1, 2)
    clock.pass_by(0.25)
    assert [(s.member.id, s.member.lag, s.age_s, s.state) for s in a.states()] == [
        ("a", 0, 0.25, "alive"),
        ("b", 5, 0.25, "alive"),
    ]


def test_a_member_that_stops_is_dead_after_its_time_to_live_and_no_sooner(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    beats(clock, 3, a, b)
    beats(clock, BEATS - 1, a)
    assert alive(a) == ["b"]
    beats(clock, 1, a)
    assert alive(a) == []
    assert [(s.member.id, s.state) for s in a.states()] == [("a", "alive"), ("b", "dead")]
    clock.pass_by(HEARTBEAT_S)
    assert not b.beat(b.me) or b.listening, "who did not run starts to listen"
    assert alive(a) == ["b"], "and is alive as soon as it beats"


def test_a_member_that_leaves_is_gone_at_once(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    b.beat(replace(b.me, leaving=True))
    assert [(s.member.id, s.state) for s in a.states()] == [("a", "alive"), ("b", "leaving")]
    b.leave()
    assert alive(a) == []
    assert [s.member.id for s in a.states()] == ["a"]


def test_who_cannot_beat_judges_nobody_and_watches_anew_once_it_can(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    beats(clock, BEATS, a, b)
    assert not a.listening
    documents.refuses = True
    for _ in range(3 * BEATS):
        clock.pass_by(HEARTBEAT_S)
        assert not a.beat(a.me)
        assert alive(a) == ["b"]
    documents.refuses = False
    beats(clock, 1, a)
    assert a.listening
    beats(clock, BEATS - 1, a)
    assert alive(a) == ["b"], "b has a whole time to live from the first beat that went through"
    beats(clock, 1, a)
    assert (alive(a), a.listening) == ([], False)


def test_a_short_failure_gives_everybody_a_whole_time_to_live_again(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    beats(clock, BEATS, a, b)
    documents.refuses = True
    for _ in range(BEATS - 1):  # less than a time to live: no pause of its own would be noticed
        clock.pass_by(HEARTBEAT_S)
        assert not a.beat(a.me)
    documents.refuses = False
    beats(clock, 2, a)
    assert alive(a) == ["b"]


def test_who_was_paused_judges_nobody_by_the_time_that_it_missed(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    c = joined(documents, a_member("c"), clock)
    beats(clock, BEATS, a, b, c)
    beats(clock, BEATS + 1, a, b)
    assert alive(a) == ["b"], "c is dead"
    clock.pass_by(60.0)
    assert a.beat(a.me)
    assert (alive(a), a.listening) == (["b"], True), "c stays dead, b is given time"
    beats(clock, BEATS, a)
    assert alive(a) == []


def test_a_slow_reader_counts_little_of_the_time_between_its_beats(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    beats(clock, BEATS, a, b)
    for _ in range(
        2
    ):  # each but little less than a time to live, as when the cluster elects a leader: b could not write either
        clock.pass_by(TTL_S - 0.1)
        assert a.beat(a.me)
    assert alive(a) == ["b"]


def test_a_watch_that_is_behind_makes_nobody_dead(documents: Unsteady, clock: Monotonic) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    beats(clock, BEATS, a, b)
    documents.frozen = True
    for _ in range(3 * BEATS):
        beats(clock, 1, b)
        beats(clock, 1, a)
        assert alive(a) == ["b"]
    b.beat(replace(b.me, held=(3,)))
    clock.pass_by(HEARTBEAT_S)
    beats(clock, 2 * BEATS, a)
    assert alive(a) == [], "the store itself says that nothing changed any more"


def test_clocks_on_the_wall_that_differ_kill_nobody(documents: Unsteady, clock: Monotonic, wall: Clock) -> None:
    a, b = joined(documents, a_member("a"), clock), joined(documents, a_member("b"), clock)
    wall.pass_by(3000.0)
    assert alive(a) == ["b"]
    beats(clock, 1, a, b)
    assert alive(a) == ["b"]


def test_a_lost_answer_is_no_conflict(documents: Unsteady, clock: Monotonic) -> None:
    me = a_member("a")
    documents.loses_answers = 1
    a = Membership(documents, me, heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    assert not a.beat(me)
    assert a.beat(me), "the first was stored"
    documents.loses_answers = 2
    assert not a.beat(replace(me, lag=1))
    assert not a.beat(replace(me, lag=2))
    assert a.beat(replace(me, lag=3))
    stored = documents.get(MEMBERS, "a")
    assert stored is not None
    assert decode_member(stored.value).lag == 3


def test_a_second_process_of_the_same_name_is_refused_and_the_first_goes_on(documents: Unsteady, clock: Monotonic) -> None:
    first = joined(documents, a_member("a", "1"), clock)
    second = Membership(documents, a_member("a", "2"), heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    for _ in range(2):
        assert first.beat(first.me)
        assert not second.beat(second.me)
        clock.pass_by(HEARTBEAT_S)
    assert first.beat(first.me)
    with pytest.raises(InvalidSetting, match="node id 'a' is used by another process that runs now"):
        second.beat(second.me)
    assert first.beat(first.me)


def test_a_restarted_process_takes_its_name_over_when_nobody_beats_under_it(documents: Unsteady, clock: Monotonic) -> None:
    joined(documents, a_member("a", "1"), clock)
    again = Membership(documents, a_member("a", "2"), heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    assert not again.beat(again.me)
    stored = documents.get(MEMBERS, "a")
    assert stored is not None
    documents.put(MEMBERS, "a", stored.value)  # it was on its way when the process died
    waited = [again.beat(again.me) for _ in range(BEATS + 1) if clock.pass_by(HEARTBEAT_S) is None]
    assert waited == [False] * BEATS + [True]
    beats(clock, 1, again)


def test_an_outage_is_no_sign_that_a_namesake_is_dead(documents: Unsteady, clock: Monotonic) -> None:
    first = joined(documents, a_member("a", "1"), clock)
    second = Membership(documents, a_member("a", "2"), heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    assert not second.beat(second.me)
    documents.refuses = True
    clock.pass_by(10.0)
    assert not second.beat(second.me)
    documents.refuses = False
    clock.pass_by(10.0)
    assert not second.beat(second.me)
    clock.pass_by(10.0)
    assert not second.beat(second.me), "so rare a look proves nothing"
    assert first.beat(first.me)


def test_a_name_that_was_left_is_taken_at_once(documents: Unsteady, clock: Monotonic) -> None:
    joined(documents, a_member("a", "1"), clock).leave()
    joined(documents, a_member("a", "2"), clock)


def test_who_lost_its_name_while_it_did_not_run_is_told_so(documents: Unsteady, clock: Monotonic) -> None:
    first = joined(documents, a_member("a", "1"), clock)
    second = Membership(documents, a_member("a", "2"), heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    while not second.beat(second.me):
        clock.pass_by(HEARTBEAT_S)
    with pytest.raises(InvalidSetting, match="node id 'a' is used by another process, which took it over"):
        first.beat(first.me)
    beats(clock, 1, second)


def test_a_document_that_expired_is_written_again(documents: Unsteady, clock: Monotonic, wall: Clock) -> None:
    a = joined(documents, a_member("a"), clock)
    wall.pass_by(100_000.0)
    clock.pass_by(100_000.0)
    assert a.beat(a.me)


def test_leaving_while_the_store_refuses_fails_nobody(documents: Unsteady, clock: Monotonic) -> None:
    a = joined(documents, a_member("a"), clock)
    documents.refuses = True
    a.leave()
    a.leave()
    a.close()
    a.close()


def test_what_cannot_be_read_is_no_member_and_the_rest_are(documents: Unsteady, clock: Monotonic) -> None:
    documents.put(MEMBERS, "x", b"?")
    documents.put(MEMBERS, "y", b'{"id":"y","weight":0}')
    documents.put(MEMBERS, "z", b'{"id":"z","roles":["worker"],"zone":"east","held":[4]}')
    a = joined(documents, a_member("a"), clock)
    assert alive(a) == ["z"]
    documents.put(MEMBERS, "x", encode_member(a_member("x")))
    assert alive(a) == ["x", "z"]


def test_a_document_of_its_name_that_cannot_be_read_is_another_process(documents: Unsteady, clock: Monotonic) -> None:
    documents.put(MEMBERS, "a", b"?")
    a = Membership(documents, a_member("a"), heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, monotonic=clock)
    assert not a.beat(a.me)


def test_what_cannot_work_is_refused(documents: Unsteady) -> None:
    with pytest.raises(InvalidSetting, match=r"more than three times heartbeat_s \(1.0\).*got 3.0"):
        Membership(documents, a_member("a"), heartbeat_s=1.0, ttl_s=3.0)
    with pytest.raises(InvalidSetting, match="incarnation of member 'a'"):
        Membership(documents, Member("a"))
