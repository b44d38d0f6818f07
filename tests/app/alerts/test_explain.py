"""Why a route said something of a series at an instant, or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.alerts.explain import Explained, Kept, Point, Question, explain
from app.alerts.routes import Route
from app.cache.alert_records import MatcherRecord, SilenceRecord, ThresholdRecord, ThresholdStep
from app.cache.records import IncidentRecord
from tests.alert_builders import a_route, an_alert, at
from tests.api_builders import an_incident

SILENCE = SilenceRecord("s1", "default", (MatcherRecord("service", "payment"),), at(0), at(600), "ann", "", at(0))
ROUTE = a_route(threshold=None, min_duration_s=120.0)


def points(*values: float, status: str = "ok") -> list[Point]:
    """Return what was said each minute, the last one at 300 s."""
    return [Point(at(300 - 60 * (len(values) - 1 - i)).timestamp(), value, status) for i, value in enumerate(values)]


def asked(said: list[Point], *, route: Route = ROUTE, at_s: float = 300.0, service: str = "payment", **kept: Any) -> Explained:
    return explain(route, Question("default", service, "*", at(at_s)), said, Kept(**kept))


def test_without_alert_the_past_is_walked() -> None:
    fitted = ThresholdRecord(
        "default", "pages", 2.0, 0.7, 0.5, "history", at(0), steps=(ThresholdStep(at(200), 0.7, "history"),)
    )
    verdicts = {
        "no_data": asked([]),
        "below_threshold": asked(points(0.9, 0.2)),
        "budget": asked(points(0.6), threshold=fitted),
        "pending": asked(points(0.1, 0.6, 0.6)),
        "fired": asked(points(0.6, 0.6, 0.6)),
        "silenced": asked(points(0.6, 0.6, 0.6), silences=[SILENCE]),
        "held": asked(points(0.9, status="in_incident")),
    }
    assert {verdict: one.verdict for verdict, one in verdicts.items()} == {verdict: verdict for verdict in verdicts}
    assert verdicts["budget"].text == "0.600 at 12:05:00 UTC was below 0.700, which a budget of 2 pages a day comes to"
    assert verdicts["below_threshold"].threshold_basis == "default"
    assert verdicts["pending"].text == "the threshold was met for 60 s, of 120 s that it must be"
    assert verdicts["silenced"].silence_id == "s1"
    assert asked(points(0.4), threshold=fitted).verdict == "below_threshold"


def test_what_was_said_too_long_ago_or_later_does_not_count() -> None:
    assert asked(points(0.9), at_s=300 + 901).verdict == "no_data"
    assert asked(points(0.9), at_s=299).verdict == "no_data"


def test_the_threshold_of_its_time_counts() -> None:
    steps = (ThresholdStep(at(0), 0.5, "default"), ThresholdStep(at(250), 0.7, "history"))
    fitted = ThresholdRecord("default", "pages", 2.0, 0.7, 0.5, "history", at(250), steps=steps)
    early = points(0.6)[:1]
    assert asked([replace(early[0], at_s=at(200).timestamp())], at_s=200, threshold=fitted).threshold == 0.5
    assert asked(points(0.6), threshold=fitted).threshold == 0.7
    fixed = asked(points(0.6), route=a_route(threshold=0.65), threshold=fitted)
    assert (fixed.verdict, fixed.threshold_basis) == ("below_threshold", "fixed")
    assert "own threshold" in fixed.text


@pytest.mark.parametrize(
    ("changed", "verdict", "text"),
    [
        ({}, "fired", "fired at 12:00:00"),
        ({"shadow": True}, "fired", "the route is in shadow"),
        (
            {"state": "acknowledged", "acknowledged_by": "ann", "acknowledged_at": at(100)},
            "acknowledged",
            "ann looked after it",
        ),
        ({"state": "acknowledged", "acknowledged_by": "ann", "acknowledged_at": at(400)}, "fired", "was told"),
        ({"state": "inhibited", "inhibited_by": "other-1"}, "inhibited", "the alert other-1 of its cause"),
        ({"state": "pending", "fired_at": None}, "pending", "met for 300 s"),
        ({"state": "resolved", "fired_at": at(301), "ended_at": at(500)}, "pending", "met for 300 s"),
    ],
)
def test_an_alert_that_was_open_tells(changed: dict[str, Any], verdict: str, text: str) -> None:
    found = asked([], alerts=[an_alert(**changed)])
    assert (found.verdict, found.alert_id, found.value) == (verdict, "a-1", 0.8)
    assert text.replace("12:00:00", "2026-03-02 12:00:00") in found.text


def test_an_alert_that_was_over_by_then_or_silenced_or_another_does_not() -> None:
    over = an_alert(state="resolved", ended_at=at(200))
    assert asked(points(0.1), alerts=[over, an_alert(service="cart"), an_alert(rule="other")]).verdict == "below_threshold"
    assert asked([], alerts=[an_alert()], silences=[SILENCE]).verdict == "silenced"


def test_a_silence_that_somebody_wrote_later_kept_nothing_quiet_before() -> None:
    later = replace(SILENCE, created_at=at(301))
    assert asked([], alerts=[an_alert()], silences=[later]).verdict == "fired"
    assert asked(points(0.6, 0.6, 0.6), silences=[later]).verdict == "fired"
    assert asked([], alerts=[an_alert()], silences=[later], at_s=302).verdict == "silenced"


@pytest.mark.parametrize(
    ("changed", "verdict", "text"),
    [
        ({"inhibited_by": "other-1"}, "inhibited", "the alert other-1 of its cause kept it quiet"),
        ({"inhibited_by": "other-1", "heard_at": at(100)}, "fired", "was told"),
        ({"heard_at": at(400)}, "inhibited", "it was kept quiet until 12:06:40 UTC"),
        ({"silence_id": "s9"}, "silenced", "the silence s9 kept it quiet"),
        ({"heard_at": at(0)}, "fired", "was told"),
    ],
)
def test_an_alert_that_is_over_tells_whether_anybody_heard_of_it(changed: dict[str, Any], verdict: str, text: str) -> None:
    over = an_alert(state="resolved", ended_at=at(500), **changed)
    found = asked([], alerts=[over], route=a_route())
    assert (found.verdict, text in found.text) == (verdict, True), found.text


def test_a_route_without_channels_tells_nobody() -> None:
    assert asked([], alerts=[an_alert()], route=a_route(channels=())).text.endswith(
        "was told to nobody: the route has no channels"
    )


def test_the_value_of_the_instant_is_shown_and_not_the_one_that_ended_the_alert() -> None:
    over = an_alert(state="resolved", ended_at=at(500), value=0.1)
    assert asked(points(0.7, 0.9), alerts=[over]).value == 0.9
    assert asked(points(0.7, status="in_incident"), alerts=[over]).value == 0.1
    assert asked(points(0.7), alerts=[replace(over, value=1.0)], route=a_route(on="incident")).value == 1.0


def test_for_how_long_it_was_met_is_said_of_what_was_known_and_silence_begins_anew() -> None:
    waiting = asked(points(0.6, 0.6), at_s=400.0)
    assert (waiting.verdict, waiting.pending_s) == ("pending", 60.0)
    apart = [Point(at(300 - 1000).timestamp(), 0.9, "ok"), *points(0.6)]
    assert asked(apart).verdict == "pending"


def test_routes_of_other_series_say_so() -> None:
    other = a_route(matchers=(MatcherRecord("service", "cart"),))
    assert asked([], route=other).verdict == "not_selected"


def test_a_route_on_incidents_says_whether_one_was_open_and_known_of() -> None:
    route = a_route(on="incident", min_duration_s=60.0)
    incident = replace(an_incident("i1"), start=at(0), detected_at=at(120), end=at(600))

    def told(at_s: float, *incidents: IncidentRecord, **kept: Any) -> Explained:
        return asked([], route=route, at_s=at_s, incidents=incidents, **kept)

    assert (told(300).verdict, told(300).value, told(300).threshold) == ("below_threshold", 0.0, 1.0)
    assert told(700, incident).text == "no incident of it was open then, as far as incidents are kept"
    early = told(60, incident)
    assert (early.verdict, early.text) == ("pending", "the incident i1 had begun, and was detected at 12:02:00 UTC")
    assert (told(150, incident).verdict, told(150, incident).pending_s) == ("pending", 30.0)
    assert told(200, incident).text == "the incident i1 was open; no alert of it is kept any more"
    assert told(200, replace(incident, end=None)).verdict == "fired"
    assert told(200, incident, silences=[SILENCE]).verdict == "silenced"
    assert asked([], route=route, at_s=200, incidents=[incident], alerts=[an_alert()]).alert_id == "a-1"


def test_a_route_on_anomalies_compares_the_newest_score_with_what_its_budget_comes_to() -> None:
    route = a_route(on="anomaly", threshold=None, budget_per_day=2.0)
    below, above = (asked(points(score), route=route, tail=0.999) for score in (0.99, 0.9995))
    assert (below.verdict, below.threshold, below.threshold_basis) == ("budget", 0.999, "budget")
    assert below.text == "0.990 at 12:05:00 UTC was below 0.999, which a budget of 2 pages a day comes to"
    assert above.verdict == "fired"
    assert asked(points(0.5), route=route, tail=0.999).verdict == "below_threshold"
    assert asked(points(0.5, status="warming_up"), route=route, tail=0.999).verdict == "held"
    unknown = asked([], route=route, tail=0.999)
    assert unknown.text == "nothing was said of its anomalies, of which the newest alone is kept, in the 900 s before"
    assert asked(points(0.97), route=replace(route, threshold=0.95)).threshold_basis == "fixed"
