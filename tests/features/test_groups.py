"""Incidents that belong together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from features.groups import Group, Seen, group
from features.symptom import Edge

MINUTE = 60


def calls(*pairs: tuple[str, str], errors: float = 0.0) -> list[Edge]:
    return [Edge("default", caller, callee, 10.0, errors) for caller, callee in pairs]


def ids(groups: list[Group]) -> list[list[str]]:
    return [[one.id for one in found.incidents] for found in groups]


SHOP = [Seen("p", "payment", 0), Seen("c", "cart", 2 * MINUTE), Seen("w", "web", 4 * MINUTE), Seen("m", "mail", 4 * MINUTE)]


def test_a_cascade_along_calls_is_one_group_and_what_nobody_calls_is_another() -> None:
    assert ids(group(SHOP, calls(("web", "cart"), ("cart", "payment")))) == [["p", "c", "w"], ["m"]]


def test_without_calls_a_trace_that_failed_in_both_joins_services() -> None:
    seen = [
        Seen("p", "payment", 0, traces=frozenset({"t1"})),
        Seen("c", "cart", 0, traces=frozenset({"t1", "t2"})),
        Seen("m", "mail", 0),
    ]
    assert ids(group(seen)) == [["c", "p"], ["m"]]


def test_a_trace_id_that_everybody_shares_joins_nobody() -> None:
    seen = [Seen(f"i{n:02}", f"s{n}", 0, traces=frozenset({"0"})) for n in range(60)]
    assert len(group(seen)) == 60


def test_neighbours_that_began_far_apart_are_apart() -> None:
    seen = [Seen("p", "payment", 0), Seen("c", "cart", 11 * MINUTE)]
    assert ids(group(seen, calls(("cart", "payment")))) == [["p"], ["c"]]


def test_neighbours_of_a_service_that_shows_symptoms_are_neighbours() -> None:
    seen, edges = [Seen("p", "payment", 0), Seen("w", "web", 0)], calls(("web", "cart"), ("cart", "payment"))
    assert ids(group(seen, edges)) == [["p"], ["w"]]
    assert ids(group(seen, edges, ["cart"])) == [["p", "w"]]


def test_two_services_whose_calls_of_one_peer_outside_fail_belong_together() -> None:
    seen, both = [Seen("p", "payment", 0), Seen("w", "web", 0)], (("web", "bank:443"), ("payment", "bank:443"))
    assert ids(group(seen, calls(*both))) == [["p"], ["w"]]
    assert ids(group(seen, calls(*both, errors=3.0))) == [["p", "w"]]


def test_services_that_could_not_reach_the_same_peer_at_about_the_same_time_belong_together() -> None:
    seen = [
        Seen("p", "payment", 0, peers=frozenset({"db-1"})),
        Seen("c", "cart", 4 * MINUTE, peers=frozenset({"db-1", "bank"})),
        Seen("w", "web", 4 * MINUTE, peers=frozenset({"db-2"})),
        Seen("m", "mail", 15 * MINUTE, peers=frozenset({"db-1"})),
    ]
    assert ids(group(seen)) == [["p", "c"], ["w"], ["m"]], "mail began eleven minutes later"


def test_a_peer_that_everybody_names_joins_nobody() -> None:
    seen = [Seen(f"i{n:02}", f"s{n}", n, peers=frozenset({"10.0.0.1"})) for n in range(60)]
    assert len(group(seen)) == 60
    assert len(group(seen[:50])) == 1


@pytest.mark.parametrize(("n", "n_groups"), [(50, 1), (51, 51)])
def test_a_service_that_more_than_fifty_call_joins_nobody(n: int, n_groups: int) -> None:
    seen = [Seen(f"i{k}", f"s{k}", 0) for k in range(n)]
    edges = calls(*((f"s{k}", "dns") for k in range(n)))
    assert len(group(seen, edges, ["dns"])) == n_groups


def test_incidents_of_one_service_are_one_group_while_one_lasts_and_shortly_after() -> None:
    seen = [
        Seen("a", "web", 0, 60 * MINUTE),
        Seen("b", "web", 30 * MINUTE, 40 * MINUTE),
        Seen("c", "web", 69 * MINUTE, 80 * MINUTE),
    ]
    assert ids(group([*seen, Seen("d", "web", 91 * MINUTE)])) == [["a", "b", "c"], ["d"]]


def test_the_same_errors_again_within_half_an_hour_are_the_same_trouble() -> None:
    one, other = frozenset({"f1"}), frozenset({"f2"})
    seen = [Seen("a", "web", 0, 5 * MINUTE, fingerprints=one), Seen("b", "web", 30 * MINUTE, fingerprints=one)]
    assert len(group(seen)) == 1
    assert len(group([seen[0], Seen("b", "web", 30 * MINUTE, fingerprints=other)])) == 2


def test_what_was_together_stays_together_and_the_older_name_wins() -> None:
    before = {"c": "g-c", "m": "g-m"}
    found = group(SHOP, calls(("mail", "cart"), ("cart", "payment")), before=before)
    assert [(one.id, one.merged) for one in found] == [("g-c", ("g-m",)), ("g-w", ())]
    assert ids(found)[0] == ["p", "c", "m"]


def test_an_incident_does_not_end_before_it_starts() -> None:
    with pytest.raises(InvalidValue, match="got 4"):
        Seen("a", "web", 5, 4)


SERVICES = ("web", "cart", "payment", "mail", "db")


@st.composite
def incidents(draw: st.DrawFn) -> list[Seen]:
    count = draw(st.integers(0, 12))
    names = st.frozensets(st.sampled_from(["t1", "t2", "t3"]), max_size=2)
    found: list[Seen] = []
    for number in range(count):
        start_s, length = draw(st.integers(0, 120)) * MINUTE, draw(st.none() | st.integers(0, 60))
        end_s = None if length is None else start_s + length * MINUTE
        found.append(Seen(f"i{number}", draw(st.sampled_from(SERVICES)), start_s, end_s, draw(names), draw(names), draw(names)))
    return found


edges = st.lists(
    st.builds(
        Edge,
        st.just("default"),
        st.sampled_from(SERVICES),
        st.sampled_from(SERVICES),
        st.just(1.0),
        st.sampled_from([0.0, 2.0]),
    ),
    max_size=6,
)


@given(incidents(), edges, st.randoms(use_true_random=False))
def test_every_incident_is_in_one_group_whatever_the_order(seen: list[Seen], known: list[Edge], rng: st.randoms) -> None:  # type: ignore[valid-type]
    found = group(seen, known)
    assert sorted(one.id for each in found for one in each.incidents) == sorted(one.id for one in seen)
    shuffled, turned = list(seen), list(known)
    rng.shuffle(shuffled)
    rng.shuffle(turned)
    assert group(shuffled, turned) == found


@given(incidents(), edges, st.integers(0, 12))
def test_groups_only_grow_and_keep_their_names(seen: list[Seen], known: list[Edge], first: int) -> None:
    early = group(seen[:first], known)
    before = {one.id: each.id for each in early for one in each.incidents}
    later = group(seen, known, before=before)
    now = {one.id: each for each in later for one in each.incidents}
    for each in early:
        holders = {now[one.id].id for one in each.incidents}
        assert len(holders) == 1
        holder = now[each.incidents[0].id]
        assert each.id == holder.id or each.id in holder.merged
    assert sorted(name for each in later for name in each.merged) == sorted(
        {each.id for each in early} - {each.id for each in later}
    )
    assert group(seen, known, before={one.id: each.id for each in later for one in each.incidents}) == [
        Group(each.id, each.incidents) for each in later
    ]


@given(incidents(), edges, edges)
def test_more_calls_never_part_a_group(seen: list[Seen], known: list[Edge], more: list[Edge]) -> None:
    few, many = group(seen, known), group(seen, known + more)
    holder = {one.id: each.id for each in many for one in each.incidents}
    assert all(len({holder[one.id] for one in each.incidents}) == 1 for each in few)
