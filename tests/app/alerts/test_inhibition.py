"""Which alert keeps which quiet."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.alerts.inhibition import GroupOf, calls_of, groups_by_service, inhibited
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
