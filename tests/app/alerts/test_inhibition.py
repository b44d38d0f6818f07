"""Which alert keeps which quiet."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.alerts.inhibition import Calls, GroupOf, calls_of, groups_by_service, inhibited
from app.cache.alert_records import AlertRecord
from tests.alert_builders import an_alert

WEB, PAYMENT, DB = (an_alert(name, name, fired_s=s) for name, s in (("web", 0.0), ("payment", 60.0), ("db", 120.0)))
CALLS = calls_of([("web", "payment"), ("payment", "db")])
NAMES = st.sampled_from("abcde")


def test_a_failing_callee_keeps_those_quiet_that_call_it_also_through_others() -> None:
    assert inhibited([WEB, PAYMENT, DB], {}, CALLS) == {"web": "payment", "payment": "db"}
    assert inhibited([WEB, DB], {}, CALLS) == {"web": "db"}


def test_the_first_cause_of_a_group_keeps_all_others_of_it_quiet_whoever_calls_whom() -> None:
    groups = groups_by_service([GroupOf("g1", ("web", "payment", "db"), "web")])
    assert inhibited([WEB, PAYMENT, DB], groups, CALLS) == {"payment": "web", "db": "web"}


def test_services_of_different_groups_leave_each_other_alone() -> None:
    groups = groups_by_service([GroupOf("g1", ("web",), "web"), GroupOf("g2", ("payment", "db"))])
    assert inhibited([WEB, PAYMENT, DB], groups, CALLS) == {"payment": "db"}


def test_an_alert_in_shadow_keeps_nobody_quiet_who_is_not() -> None:
    assert inhibited([WEB, replace(DB, shadow=True)], {}, CALLS) == {}
    assert inhibited([replace(WEB, shadow=True), replace(DB, shadow=True)], {}, CALLS) == {"web": "db"}


def test_an_alert_of_a_route_without_channels_keeps_nobody_quiet_who_is_told() -> None:
    untold = replace(DB, rule="nowhere")
    assert inhibited([WEB, untold], {}, CALLS, {"nowhere"}) == {}
    assert inhibited([replace(WEB, rule="nowhere"), untold], {}, CALLS, {"nowhere"}) == {"web": "db"}
    assert inhibited([replace(WEB, shadow=True), untold], {}, CALLS, {"nowhere"}) == {"web": "db"}
    assert inhibited([WEB, untold], {}, CALLS) == {"web": "db"}, "where it has channels"


def test_of_services_that_call_each_other_the_first_that_fired_is_heard() -> None:
    assert inhibited([WEB, DB], {}, calls_of([("web", "db"), ("db", "web")])) == {"db": "web"}


def plainly(alerts: list[AlertRecord], groups: dict[str, GroupOf], calls: Calls) -> dict[str, str]:
    """Return who keeps whom quiet, by the words of the documentation and one after the other."""

    def reaches(caller: str, callee: str, seen: frozenset[str] = frozenset()) -> bool:
        return any(
            one == callee or (one not in seen and reaches(one, callee, seen | {one})) for one in calls.get(caller, frozenset())
        )

    def keeps(other: AlertRecord, alert: AlertRecord) -> bool:
        mine, its = groups.get(alert.service), groups.get(other.service)
        if other.service == alert.service or mine != its:
            return False
        if mine is not None and mine.cause in (alert.service, other.service):
            return mine.cause == other.service
        if not reaches(alert.service, other.service):
            return False
        return not reaches(other.service, alert.service) or rank(other) < rank(alert)

    def rank(alert: AlertRecord) -> tuple[float, str]:
        assert alert.fired_at is not None
        return alert.fired_at.timestamp(), alert.id

    def is_cause(alert: AlertRecord) -> bool:
        group = groups.get(alert.service)
        return group is not None and group.cause == alert.service

    found: dict[str, str] = {}
    for alert in alerts:
        firsts = {one.service: one for one in sorted(alerts, key=rank, reverse=True)}.values()
        causes = [one for one in firsts if keeps(one, alert)]
        if causes:
            found[alert.id] = min(causes, key=lambda one: (not is_cause(one), *rank(one))).id
    return found


@given(
    st.lists(st.tuples(NAMES, st.integers(0, 3)), min_size=1, max_size=8),
    st.lists(st.tuples(NAMES, NAMES)),
    st.lists(st.tuples(st.lists(NAMES, min_size=1, unique=True), st.one_of(st.just(""), NAMES)), max_size=3),
)
def test_it_does_what_its_words_say(
    fired: list[tuple[str, int]], edges: list[tuple[str, str]], groups: list[tuple[list[str], str]]
) -> None:
    alerts = [an_alert(f"{number}-{name}", name, fired_s=float(s)) for number, (name, s) in enumerate(fired)]
    by_service = groups_by_service([GroupOf(f"g{i}", tuple(names), cause) for i, (names, cause) in enumerate(groups)])
    assert inhibited(alerts, by_service, calls_of(edges)) == plainly(alerts, by_service, calls_of(edges))


def test_of_thousands_that_all_reach_each_other_the_first_is_heard() -> None:
    names = [f"s{number:04}" for number in range(3000)]
    ring = calls_of([*pairwise(names), (names[-1], names[0])])
    quiet = inhibited([an_alert(name, name) for name in names], {}, ring)
    assert quiet == dict.fromkeys(names[1:], names[0])


@given(
    st.lists(NAMES, min_size=1, unique=True),
    st.lists(st.tuples(NAMES, NAMES)),
    st.lists(st.tuples(st.lists(NAMES, min_size=1, unique=True), st.one_of(st.just(""), NAMES)), max_size=2),
)
def test_of_what_is_kept_quiet_something_is_heard(
    services: list[str], edges: list[tuple[str, str]], groups: list[tuple[list[str], str]]
) -> None:
    alerts = [an_alert(name, name, fired_s=float(number)) for number, name in enumerate(services)]
    by_service = groups_by_service([GroupOf(f"g{i}", tuple(names), cause) for i, (names, cause) in enumerate(groups)])
    quiet = inhibited(alerts, by_service, calls_of(edges))
    for alert_id in quiet:
        seen = [alert_id]
        while seen[-1] in quiet:  # from cause to cause it comes to one that is heard
            assert quiet[seen[-1]] not in seen
            seen.append(quiet[seen[-1]])
