"""What becomes of alerts: everything that is known together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.alerts.evaluation import Observation, OpenIncident, evaluate
from app.alerts.inhibition import GroupOf, calls_of
from app.alerts.routes import Route
from app.cache.alert_records import AlertRecord, MatcherRecord, SilenceRecord, ThresholdRecord
from features.series import WHOLE
from tests.alert_builders import a_route, an_alert, an_observation, at, known


def after(
    kept: list[AlertRecord], *seen: Observation, now_s: float, route: Route | None = None, **more: Any
) -> list[AlertRecord]:
    """Return all alerts after one more evaluation."""
    situation = known(seen, now_s=now_s, alerts=kept, **more)
    found = {alert.id: alert for alert in kept} | {alert.id: alert for alert in evaluate([route or a_route()], situation)}
    return list(found.values())


def test_a_likely_incident_fires_is_carried_on_and_ends_and_begins_anew() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    assert [(one.state, one.probability, one.horizon, one.threshold) for one in kept] == [("firing", 0.8, "15min", 0.5)]
    assert kept[0].labels["service"] == "payment"
    assert kept[0].reasons == ("errors rise",)
    kept = after(kept, an_observation(p=0.9, at_s=60), now_s=61)
    assert [(one.state, one.probability, one.updated_at) for one in kept] == [("firing", 0.9, at(61))]
    kept = after(kept, an_observation(p=0.1, at_s=120), now_s=121)
    assert [(one.state, one.fired_at, one.ended_at) for one in kept] == [("resolved", at(0), at(120))]
    kept = after(kept, an_observation(p=0.7, at_s=180), now_s=181)
    assert [one.state for one in kept] == ["resolved", "firing"]
    assert len({one.id for one in kept}) == 2


def test_nothing_is_written_that_says_the_same() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    assert evaluate([a_route()], known([an_observation(p=0.82, at_s=60)], now_s=61, alerts=kept)) == []


def test_an_alert_that_lasts_is_written_once_a_day_so_that_it_does_not_expire_and_fire_anew() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    seen = an_observation(p=0.8, at_s=86_400)
    (again,) = evaluate([a_route()], known([seen], now_s=86_401, alerts=kept))
    assert (again.id, again.state, again.updated_at, again.as_of) == (kept[0].id, "firing", at(86_401), at(86_400))
    over = an_alert(state="resolved", ended_at=at(60))
    assert evaluate([a_route()], known([], now_s=9 * 86_400, alerts=[over])) == []


def test_two_nodes_name_a_new_alert_alike() -> None:
    first, second = (after([], an_observation(at_s=s), now_s=s)[0].id for s in (0, 60))
    assert first == second


def test_an_alert_keeps_the_threshold_that_it_began_with() -> None:
    route = a_route(threshold=None)
    low = ThresholdRecord("default", "pages", 2.0, 0.4, 0.24, "history", at(0))
    kept = after([], an_observation(p=0.45), now_s=1, route=route, thresholds={"pages": low})
    assert kept[0].threshold == 0.4
    high = replace(low, threshold=0.9, resolve_below=0.54)
    kept = after(kept, an_observation(p=0.45, at_s=60), now_s=61, route=route, thresholds={"pages": high})
    assert kept[0].state == "firing"
    assert after([], an_observation(p=0.45), now_s=1, route=route, thresholds={"pages": high}) == []
    assert after([], an_observation(p=0.45), now_s=1, route=route) == []  # the default, one half


def test_in_an_incident_an_alert_that_announced_it_goes_on() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    kept = after(kept, an_observation(p=0.0, at_s=60, status="in_incident"), now_s=61)
    assert kept[0].state == "firing"
    assert after([], an_observation(p=0.9, status="warming_up"), now_s=1) == []


def test_a_series_of_which_nothing_is_heard_any_more_ends_its_alert_and_says_why() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    assert after(kept, an_observation(p=0.8), now_s=900) == kept
    silent = after(kept, an_observation(p=0.8), now_s=901)
    assert (silent[0].state, silent[0].ended_at, silent[0].reasons) == (
        "resolved",
        at(900),
        ("nothing was heard of it for 900 s",),
    )
    gone = after(kept, now_s=30)
    assert (gone[0].state, gone[0].reasons) == ("resolved", ("nothing is known of the series any more",))


def test_an_alert_that_ends_for_want_of_data_ends_when_that_began_and_invents_no_number() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    (silent,) = after(kept, an_observation(p=0.8), now_s=7200)  # as after hours in which no node ran
    assert (silent.state, silent.ended_at, silent.probability, silent.value) == ("resolved", at(900), 0.8, 0.8)
    (gone,) = after(kept, now_s=60)
    assert (gone.state, gone.ended_at, gone.probability) == ("resolved", at(60), 0.8)
    caught_up = after([silent], an_observation(p=0.9, at_s=6600), now_s=7201)
    assert [one.state for one in caught_up] == ["resolved", "firing"]


def test_a_route_that_was_edited_while_it_fires_says_what_it_is_about_now() -> None:
    kept = after([], an_observation(p=0.8), now_s=1)
    later = an_observation(p=0.8, at_s=60)
    for route in (a_route(horizon="60min"), a_route(on="anomaly", threshold=0.9), a_route(on="incident")):
        (ended,) = after(kept, an_observation(p=0.8), now_s=2, route=route)
        assert (ended.state, ended.reasons) == ("resolved", ("its route looks at something else now",))
    ended, anew = after(after(kept, now_s=2, route=a_route(horizon="60min")), later, now_s=61, route=a_route(horizon="60min"))
    assert (ended.state, anew.state, anew.horizon, anew.id != ended.id) == ("resolved", "firing", "60min", True)
    (left,) = after(kept, later, now_s=61, route=a_route(matchers=(MatcherRecord("service", "cart"),)))
    assert (left.state, left.reasons) == ("resolved", ("its route takes the series no longer",))


def test_an_alert_whose_route_is_gone_ends_no_earlier_than_it_began_whatever_the_clock_says() -> None:
    (ended,) = after([an_alert(rule="before", fired_s=600)], now_s=0)
    assert (ended.state, ended.ended_at) == ("resolved", at(600))


def test_odd_names_make_no_two_series_one() -> None:
    route = a_route(operations=True, min_duration_s=0.0)
    seen = [replace(an_observation("a\nb"), operation="c"), replace(an_observation("a"), operation="b\nc")]
    assert len({one.id for one in after([], *seen, now_s=1, route=route)}) == 2


def test_an_alert_whose_route_is_gone_is_over() -> None:
    kept = after([an_alert(rule="before")], now_s=60)
    assert [(one.state, one.reasons) for one in kept] == [("resolved", ("its route is gone from the settings",))]


def test_incidents_fire_while_they_last_also_of_series_that_nothing_is_predicted_of() -> None:
    route = a_route(on="incident")
    lasting = [OpenIncident("i1", name, WHOLE, at(0), "network") for name in ("payment", "from-outside")]
    kept = after([], an_observation(at_s=60, status="in_incident"), now_s=61, route=route, incidents=lasting)
    assert [(one.service, one.state, one.probability, one.value) for one in kept] == [
        ("payment", "firing", None, 1.0),
        ("from-outside", "firing", None, 1.0),
    ]
    assert kept[0].reasons == ("incident i1 of the category network since 2026-03-02 12:00 UTC",)
    kept = after(kept, an_observation(at_s=120), now_s=121, route=route)
    assert [(one.state, one.reasons[0][:12]) for one in kept] == [("resolved", "incident i1 "), ("resolved", "its incident")]


def test_anomalies_fire_as_often_as_the_budget_allows() -> None:
    route = a_route(on="anomaly", threshold=None, budget_per_day=2.0)  # of two series: 2 of 2,880 windows
    seen = [an_observation("payment", score=0.9994), an_observation("cart", score=0.9990)]
    kept = after([], *seen, now_s=1, route=route)
    assert [one.service for one in kept] == ["payment"]
    assert kept[0].reasons == ("errors 7, where 2 was due (0 to 5)",)
    assert kept[0].probability is None
    assert after([], an_observation(score=0.8), now_s=1, route=a_route(on="anomaly", threshold=0.7))[0].state == "firing"


def test_a_cause_of_which_nobody_is_told_keeps_no_symptom_quiet_that_somebody_is_told_of() -> None:
    told = a_route(name="web", matchers=(MatcherRecord("service", "web"),))
    untold = a_route(name="db", matchers=(MatcherRecord("service", "db"),), channels=())
    seen = [an_observation("web"), an_observation("db")]

    def states(*routes: Route) -> dict[str, str]:
        situation = known(seen, now_s=1, calls=calls_of([("web", "db")]))
        return {one.service: one.state for one in evaluate(routes, situation)}

    assert states(told, untold) == {"web": "firing", "db": "firing"}
    assert states(told, replace(untold, channels=("post",))) == {"web": "inhibited", "db": "firing"}


def test_since_when_an_alert_is_told_is_noted() -> None:
    seen, calls = [an_observation("web"), an_observation("db")], calls_of([("web", "db")])
    kept = after([], *seen, now_s=5, calls=calls)
    assert {one.service: one.heard_at for one in kept} == {"web": None, "db": at(0)}
    kept = after(kept, an_observation("web", at_s=60), an_observation("db", p=0.1, at_s=60), now_s=65, calls=calls)
    assert {one.service: (one.state, one.heard_at) for one in kept} == {
        "web": ("firing", at(65)),
        "db": ("resolved", at(0)),
    }


def test_a_silence_a_cause_and_a_group_are_told_of() -> None:
    seen = [an_observation("web"), an_observation("db")]
    kept = after([], *seen, now_s=1, calls=calls_of([("web", "db")]), groups=[GroupOf("g1", ("web", "db"))])
    db = next(one for one in kept if one.service == "db")
    assert {one.service: (one.state, one.inhibited_by, one.group_id) for one in kept} == {
        "web": ("inhibited", db.id, "g1"),
        "db": ("firing", None, "g1"),
    }
    silence = SilenceRecord("s1", "default", (MatcherRecord("service", "db"),), at(0), at(300), "ann", "", at(0))
    kept = after(kept, *seen, now_s=2, silences=[silence])
    assert {one.service: (one.state, one.silence_id) for one in kept} == {"web": ("firing", None), "db": ("silenced", "s1")}
    kept = after(kept, *seen, now_s=301, silences=[silence])
    assert {one.state for one in kept} == {"firing"}


def test_alerts_within_the_time_of_a_page_are_part_of_it() -> None:
    kept = after([], an_observation("web"), an_observation("db"), now_s=1)
    first = min(kept, key=lambda one: one.id)
    assert {one.page for one in kept} == {first.id}
    kept = after(
        kept, an_observation("web", at_s=3500), an_observation("db", at_s=3500), an_observation("cart", at_s=3500), now_s=3500
    )
    assert {one.page for one in kept} == {first.id}
    late = [an_observation(name, at_s=3600) for name in ("web", "db", "cart", "auth")]
    auth = next(one for one in after(kept, *late, now_s=3600) if one.service == "auth")
    assert auth.page == auth.id
    apart = after([], an_observation("web"), an_observation("db"), now_s=1, route=a_route(by_service=True))
    assert {one.page for one in apart} == {one.id for one in apart}


def test_a_pending_alert_that_passes_never_fired() -> None:
    route = a_route(min_duration_s=120.0)
    kept = after([], an_observation(p=0.8), now_s=1, route=route)
    assert (kept[0].state, kept[0].page) == ("pending", None)
    kept = after(kept, an_observation(p=0.2, at_s=60), now_s=61, route=route)
    assert (kept[0].state, kept[0].fired_at, kept[0].ended_at) == ("resolved", None, at(60))
