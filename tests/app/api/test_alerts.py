"""Alerts over REST: listed, read, acknowledged and explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from app.alerts.explain import Point
from app.api.alert_schemas import AlertOut, ExplanationsOut
from app.api.parts import AlertView
from app.cache.alert_records import AlertRecord, MatcherRecord, SilenceRecord
from app.cache.documents import decode_document, encode_document, tenant_key
from app.store.contract import Documents
from models.prediction import AnomalyScore
from tests.alert_builders import a_route, an_alert, at
from tests.api_builders import NOON, Api, Clock, a_prediction, an_incident, put_incident, put_prediction
from tests.contracts.stores import Store

ALERTS = "/api/v1/alerts"


def put(documents: Documents, *alerts: AlertRecord) -> None:
    for alert in alerts:
        documents.put("alerts", tenant_key(alert.tenant, alert.id), encode_document(alert))


def test_alerts_are_listed_newest_first_page_by_page_and_filtered(api: Api) -> None:
    put(
        api.documents,
        an_alert("a-1", fired_s=0.0, started_at=at(0)),
        an_alert("b-1", "cart", state="resolved", started_at=at(60), ended_at=at(120)),
        an_alert("c-1", "cart", started_at=at(30), shadow=True),
        an_alert("d-1", tenant="red"),
    )
    first = api.get(f"{ALERTS}?limit=2").json()
    assert [item["id"] for item in first["items"]] == ["b-1", "c-1"]
    assert [item["id"] for item in api.get(f"{ALERTS}?limit=2&cursor={first['next']}").json()["items"]] == ["a-1"]

    def listed(query: str) -> list[str]:
        return sorted(item["id"] for item in api.get(f"{ALERTS}?{query}").json()["items"])

    assert listed("service=cart") == ["b-1", "c-1"]
    assert listed("state=firing&state=resolved") == ["a-1", "b-1", "c-1"]
    assert listed("state=resolved") == ["b-1"]
    assert listed("shadow=true") == ["c-1"]
    assert listed("since=2026-03-02T12:02:00Z&until=2026-03-02T12:00:30Z") == ["a-1"]
    assert api.get(f"{ALERTS}?state=asleep").status_code == 422


def test_one_alert_is_shown_as_it_is_kept(api: Api) -> None:
    put(api.documents, an_alert())
    answer = api.get(f"{ALERTS}/a-1")
    shown = AlertOut.model_validate_json(answer.content)
    assert (shown.state, shown.probability, shown.fired_at) == ("firing", 0.8, NOON)
    assert api.get(f"{ALERTS}/a-2").status_code == 404


def test_who_acknowledges_first_stays_who_looks_after_it(api: Api) -> None:
    put(api.documents, an_alert())
    api.clock.move(60)
    taken = api.post(f"{ALERTS}/a-1:acknowledge", {"who": "ann"})
    assert taken.status_code == 200
    shown = AlertOut.model_validate_json(taken.content)
    assert (shown.state, shown.acknowledged_by, shown.acknowledged_at) == ("acknowledged", "ann", at(60))
    assert api.post(f"{ALERTS}/a-1:acknowledge", {"who": "bob"}).json()["acknowledged_by"] == "ann"
    kept = api.documents.get("alerts", tenant_key("default", "a-1"))
    assert kept is not None
    assert decode_document(kept.value, AlertRecord).acknowledged_by == "ann"


def test_what_is_over_or_absent_is_not_acknowledged(api: Api) -> None:
    put(api.documents, an_alert(state="resolved"))
    assert api.ask("POST", f"{ALERTS}/a-1:acknowledge").status_code == 422
    assert api.ask("POST", f"{ALERTS}/a-2:acknowledge").status_code == 404
    assert api.post(f"{ALERTS}/a-1:acknowledge", {"who": ""}).status_code == 422


@pytest.fixture
def asking(store: Store, clock: Clock) -> Api:
    """Return an API with two routes, over a history of one series."""

    def points(tenant: str, service: str, operation: str, since: datetime, until: datetime) -> dict[str, list[Point]]:
        assert (tenant, operation, until - since) == ("default", "*", at(7200) - at(0))
        return {"15min": [Point(at(0).timestamp(), 0.4, "ok")]} if service == "payment" else {}

    routes = (a_route(), a_route(name="calm", threshold=0.3, min_duration_s=60.0))
    return Api(store.documents, clock, alerting=AlertView(routes, points))


def test_why_nothing_fired_is_told_for_every_route(asking: Api) -> None:
    asking.clock.move(30)
    answer = asking.get(f"{ALERTS}:explain?service=payment")
    told = ExplanationsOut.model_validate_json(answer.content)
    assert told.at == at(30)
    assert {one.route: (one.verdict, one.value, one.threshold) for one in told.routes} == {
        "pages": ("below_threshold", 0.4, 0.5),
        "calm": ("pending", 0.4, 0.3),
    }
    assert asking.get(f"{ALERTS}:explain?service=cart&at=2026-03-02T12:00:00Z").json()["routes"][0]["verdict"] == "no_data"
    assert asking.get(f"{ALERTS}:explain").status_code == 422


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_instant_that_no_calendar_knows_is_refused(asking: Api, when: str) -> None:
    answer = asking.get(f"{ALERTS}:explain?service=payment&at={when}")
    assert (answer.status_code, "years 1900 to 2999" in answer.json()["detail"]) == (422, True)


def test_the_newest_prediction_counts_before_history_has_it(asking: Api) -> None:
    put_prediction(asking.documents, replace(a_prediction(risk=0.9), as_of=at(60)))
    asking.clock.move(90)
    told = asking.get(f"{ALERTS}:explain?service=payment").json()["routes"]
    assert [(one["verdict"], one["value"]) for one in told] == [("below_threshold", 0.45), ("fired", 0.45)]


def test_an_alert_and_a_silence_of_its_time_are_told(asking: Api) -> None:
    put(asking.documents, an_alert())
    silence = SilenceRecord("s1", "default", (MatcherRecord("service", "*"),), at(0), at(60), "ann", "", at(0))
    asking.documents.put("silences", tenant_key("default", "s1"), encode_document(silence))
    for when, verdict in (("12:00:30", "silenced"), ("12:01:00", "fired")):
        told = asking.get(f"{ALERTS}:explain?service=payment&at=2026-03-02T{when}Z").json()["routes"][0]
        assert (told["verdict"], told["alert_id"]) == (verdict, "a-1")


def test_routes_on_incidents_and_anomalies_are_explained_by_what_is_kept_of_these(store: Store, clock: Clock) -> None:
    routes = (a_route(name="incidents", on="incident"), a_route(name="odd", on="anomaly", threshold=None, budget_per_day=1.0))
    api = Api(store.documents, clock, alerting=AlertView(routes))
    clock.move(90)
    incident = replace(an_incident("i1", "payment"), start=at(0), detected_at=at(30), end=None)
    put_incident(api.documents, incident)
    put_incident(api.documents, replace(incident, id="i2", service="cart"))
    odd = AnomalyScore(0.9999, 9.0, 2.0, 0.0, 5.0)
    put_prediction(api.documents, replace(a_prediction("payment"), as_of=at(60), status="in_incident", anomaly=odd))

    def told(when: str = "12:01:30") -> dict[str, tuple[str, float | None]]:
        answer = api.get(f"{ALERTS}:explain?service=payment&at=2026-03-02T{when}Z")
        return {one.route: (one.verdict, one.value) for one in ExplanationsOut.model_validate_json(answer.content).routes}

    assert told() == {"incidents": ("fired", 1.0), "odd": ("fired", 0.9999)}
    assert told("12:00:20") == {"incidents": ("pending", 0.0), "odd": ("no_data", None)}
    assert told("11:59:00")["incidents"] == ("below_threshold", 0.0)
    for n in range(30):  # one window a day of so many series is rarer than the score
        put_prediction(api.documents, replace(a_prediction(f"s{n}"), as_of=at(60)))
    assert told()["odd"] == ("budget", 0.9999)
