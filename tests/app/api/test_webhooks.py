"""Alerts of Alertmanager come in as incidents: once each, in whatever order, and durable before the answer."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest

from app.alerts.routes import Route
from app.api.alertmanager import WebhookOut
from app.api.group_schemas import GroupedIncidentOut
from app.api.schemas import Items
from app.said import reported_of
from features.series import SeriesKey
from tests.api_builders import NOON, Api, a_prediction, put_prediction
from training.labels import overlay

HOOK = "/api/v1/webhooks/alertmanager"
ZERO = "0001-01-01T00:00:00Z"


def an_alert(status: str = "firing", **changed: Any) -> dict[str, Any]:
    """Return an alert as Alertmanager sends it, with nanoseconds and a zone."""
    ended = ZERO if status == "firing" else "2026-03-02T13:10:00.5+01:00"
    return {
        "status": status,
        "labels": {"alertname": "HighErrorRate", "service": "payment", "severity": "page"},
        "annotations": {"summary": "too many errors"},
        "startsAt": "2026-03-02T13:00:30.123456789+01:00",
        "endsAt": ended,
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": "5ef77f1f8a3ecf8d",
    } | changed


def a_group(*alerts: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "foreshock",
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
    } | changed


def sent(api: Api, *alerts: dict[str, Any]) -> WebhookOut:
    response = api.post(HOOK, a_group(*alerts))
    assert response.status_code == 200, response.text
    return WebhookOut.model_validate_json(response.content)


def incidents(api: Api) -> list[GroupedIncidentOut]:
    return Items[GroupedIncidentOut].model_validate_json(api.get("/api/v1/incidents").content).items


def test_firing_opens_an_incident_and_resolved_ends_it(api: Api) -> None:
    api.clock.move(60.0)
    opened = sent(api, an_alert())
    (incident,) = incidents(api)
    assert [incident.id] == opened.incidents
    assert (incident.service, incident.operation, incident.source, incident.category) == ("payment", "*", "webhook", "unknown")
    assert (incident.start - NOON, incident.end) == (timedelta(seconds=30, microseconds=123456), None)
    assert incident.detected_at == NOON + timedelta(seconds=60)
    api.clock.move(900.0)
    assert sent(api, an_alert("resolved")).incidents == opened.incidents
    (ended,) = incidents(api)
    assert ended.end == NOON + timedelta(minutes=10, seconds=0.5)
    assert (ended.start, ended.detected_at) == (incident.start, incident.detected_at)
    assert api.get(f"/api/v1/incidents/{ended.id}").status_code == 200


def test_the_same_alerts_in_any_order_and_number_are_one_incident(api: Api) -> None:
    firing, resolved = an_alert(), an_alert("resolved")
    for number, order in enumerate(permutations((firing, firing, resolved))):
        named = [alert | {"fingerprint": f"f{number}"} for alert in order]
        assert len({name for alert in named for name in sent(api, alert).incidents}) == 1
        assert len(sent(api, *named).incidents) == 1
    assert len(incidents(api)) == 6
    assert {incident.end for incident in incidents(api)} == {NOON + timedelta(minutes=10, seconds=0.5)}


def test_a_start_that_moves_back_is_of_the_same_incident_whoever_sends_it(api: Api) -> None:
    first, earlier = "2026-03-02T12:01:00Z", "2026-03-02T12:00:30Z"  # as two replicas of Prometheus fired
    opened = sent(api, an_alert(startsAt=first)).incidents
    for alert in (
        an_alert(startsAt=earlier),
        an_alert("resolved", startsAt=earlier),
        an_alert(startsAt=first),
        an_alert("resolved", startsAt="2026-03-02T12:02:00Z"),
    ):
        assert sent(api, alert).incidents == opened
    (incident,) = incidents(api)
    assert (incident.start, incident.end) == (NOON + timedelta(seconds=30), NOON + timedelta(minutes=10, seconds=0.5))
    later = sent(api, an_alert(startsAt="2026-03-02T12:10:00.5Z"), an_alert(startsAt=first, fingerprint="another")).incidents
    assert len({*later, *opened}) == 3


def test_what_fires_anew_after_an_end_that_was_never_sent_is_another_incident(api: Api) -> None:
    found = sent(api, an_alert(), an_alert(startsAt="2026-03-02T14:00:00Z"))
    assert len(found.incidents) == 2


def test_another_start_is_another_incident_and_senders_without_fingerprints_are_told_apart_by_labels(api: Api) -> None:
    later = {"startsAt": "2026-03-02T14:00:00Z"}
    found = sent(
        api, an_alert(), an_alert(**later), an_alert(fingerprint=""), an_alert(fingerprint="", labels={"service": "cart"})
    )
    assert len(found.incidents) == 4


def test_operation_and_what_was_predicted_go_with_it(api: Api) -> None:
    put_prediction(api.documents, a_prediction("payment", "POST /charge", risk=0.4))
    sent(api, an_alert(labels={"service": "payment", "operation": "POST /charge"}))
    (incident,) = incidents(api)
    assert incident.operation == "POST /charge"
    assert incident.predicted == {"5min": 0.1, "15min": 0.2, "60min": 0.4}


def test_prediction_that_was_made_afterwards_or_long_before_does_not(api: Api) -> None:
    put_prediction(api.documents, a_prediction("payment"))
    sent(api, an_alert(startsAt="2026-03-02T11:59:59Z"), an_alert(startsAt="2026-03-02T12:30:00Z"))
    assert [incident.predicted for incident in incidents(api)] == [None, None]


def test_an_alert_that_was_made_here_does_not_confirm_itself(api: Api) -> None:
    own = Route("pages").labels_of("default", "payment", "*")
    (ignored,) = sent(api, an_alert(labels=own)).ignored
    assert (ignored.reason, incidents(api)) == ("it was made here, so it confirms nothing", [])


def test_alert_without_a_service_is_ignored_with_the_reason_and_counted(api: Api) -> None:
    found = sent(api, an_alert(labels={"alertname": "Watchdog"}), an_alert())
    assert len(found.incidents) == 1
    assert [(one.fingerprint, one.reason) for one in found.ignored] == [
        ("5ef77f1f8a3ecf8d", "it must have the label 'service', got ['alertname']")
    ]
    assert api.telemetry.values("webhook_alerts") == {"ignored": 1, "firing": 1}


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        (an_alert(startsAt=ZERO), "startsAt must be in the years 1900 to 2999, got 0001"),
        (an_alert("resolved", endsAt="9999-12-31T00:00:00Z"), "endsAt must be in the years"),
        (an_alert(labels={"service": "s" * 1025}), "at most 1024 characters, got 1025"),
        (an_alert(labels={"service": "web", "operation": "o" * 4097}), "at most 4096 characters, got 4097"),
    ],
)
def test_one_alert_that_is_no_incident_does_not_keep_the_others_of_its_group_out(
    api: Api, alert: dict[str, Any], reason: str
) -> None:
    other = an_alert(labels={"service": "payment", "query": "q" * 10_000} | {f"l{n}": "" for n in range(300)})
    found = sent(api, alert, other)
    assert (len(found.incidents), len(incidents(api))) == (1, 1)
    assert [reason in one.reason for one in found.ignored] == [True]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (a_group(version="3"), "body.version: Input should be '4', got '3'"),
        ({"alerts": []}, "body.version: Field required"),
        (a_group(an_alert(status="pending")), "body.alerts.0.status: Input should be 'firing' or 'resolved', got 'pending'"),
        (a_group(an_alert(startsAt="yesterday")), "got 'yesterday'"),
        (a_group(an_alert(), an_alert("resolved", endsAt=ZERO)), "endsAt of a resolved alert must not be before startsAt 2026"),
        (a_group(an_alert(labels={"service": 7})), "body.alerts.0.labels.service: Input should be a valid string, got 7"),
        (a_group(an_alert(labels=None)), "body.alerts.0.labels"),
    ],
)
def test_body_that_is_no_such_group_is_refused_with_the_value_and_nothing_is_kept(
    api: Api, body: dict[str, Any], detail: str
) -> None:
    response: httpx.Response = api.post(HOOK, body)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert detail in response.json()["detail"]
    assert api.documents.items("incidents") == []


def test_a_body_that_is_sent_again_changes_nothing_however_late(api: Api) -> None:
    """By somebody who listened: while the incident is kept it is the same one, and afterwards it is too old to be one."""
    bodies = [a_group(an_alert()), a_group(an_alert("resolved"))]
    for body in bodies:
        assert api.post(HOOK, body).status_code == 200
    (before,) = api.documents.items("incidents")
    for days in (0.001, 1.0, 20.0):
        api.clock.move(days * 86_400)
        for body in (*bodies, *reversed(bodies)):
            (kept,) = WebhookOut.model_validate_json(api.post(HOOK, body).content).incidents
            assert before.key.endswith(kept)
        (after,) = api.documents.items("incidents")
        assert (after.value, after.revision) == (before.value, before.revision)
    api.clock.move(365 * 86_400.0)
    assert api.documents.items("incidents") == []
    for body in bodies:
        (ignored,) = WebhookOut.model_validate_json(api.post(HOOK, body).content).ignored
        assert "startsAt must be within the last 60 days, for which incidents are kept, got 2026-03-02T" in ignored.reason
    assert (incidents(api), reported_of(api.documents, "default")) == ([], ())


def test_one_tenant_never_sees_anothers(api: Api) -> None:
    api.post(HOOK, a_group(an_alert()), {"X-Scope-OrgID": "a"})
    assert incidents(api) == []
    assert len(api.get("/api/v1/incidents", {"X-Scope-OrgID": "a"}).json()["items"]) == 1


def test_what_came_in_is_a_label_of_training(api: Api) -> None:
    (name,) = sent(api, an_alert("resolved")).incidents
    (incident,) = reported_of(api.documents, "default")
    assert overlay([incident]).incidents == (incident,)
    assert (incident.id, incident.series) == (name, SeriesKey("default", "payment", "*"))
    assert api.post("/api/v1/feedback", {"verdict": "false_alarm", "incident_id": name}).status_code == 201
