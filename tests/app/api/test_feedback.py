"""Verdicts over REST: kept with what they are about, once."""

from __future__ import annotations

import pytest

from app.api.schemas import FeedbackOut, Items
from app.cache.documents import decode_document
from app.cache.records import FeedbackRecord
from tests.api_builders import Api, a_prediction, an_incident, put_incident, put_prediction

FEEDBACK = "/api/v1/feedback"
INTERVAL = {"service": "cart", "start": "2026-03-02T10:00:00+01:00", "end": "2026-03-02T10:05:00+01:00"}


def given(api: Api, **body: object) -> FeedbackOut:
    response = api.post(FEEDBACK, body)
    assert response.status_code == 201, response.text
    return FeedbackOut.model_validate_json(response.content)


def test_verdict_on_a_prediction_is_kept_with_its_series_and_interval(api: Api) -> None:
    put_prediction(api.documents, a_prediction(prediction_id="p1"))
    kept = given(api, verdict="false_alarm", prediction_id="p1", who="ada", why="planned restart")
    assert (kept.service, kept.operation, kept.who) == ("payment", "*", "ada")
    assert kept.start is not None
    assert kept.end is not None
    assert (kept.end - kept.start).total_seconds() == 3600
    document = api.documents.get("feedback", "default/feedback-1")
    assert document is not None
    assert decode_document(document.value, FeedbackRecord).feedback().prediction == "p1"


def test_verdict_on_a_prediction_that_was_replaced_is_kept_by_its_id(api: Api) -> None:
    kept = given(api, verdict="confirmed", prediction_id="gone")
    assert (kept.prediction_id, kept.service) == ("gone", None)


def test_verdict_on_an_incident_is_kept_with_its_series(api: Api) -> None:
    put_incident(api.documents, an_incident())
    kept = given(api, verdict="prevented", incident_id="i1")
    assert (kept.incident_id, kept.service, kept.operation) == ("i1", "payment", "*")


def test_verdict_on_an_interval_is_kept_in_utc_with_a_location(api: Api) -> None:
    response = api.post(FEEDBACK, {"verdict": "missed"} | INTERVAL)
    assert response.json()["start"] == "2026-03-02T09:00:00Z"
    assert response.headers["location"] == f"{FEEDBACK}/feedback-1"
    assert api.get(response.headers["location"]).json() == response.json()


def test_verdicts_are_listed_newest_first_and_filtered(api: Api) -> None:
    given(api, verdict="missed", **INTERVAL)
    api.clock.move(1.0)
    given(api, verdict="expected", **INTERVAL | {"service": "payment"})

    def ids(query: str) -> list[str]:
        return [item.id for item in Items[FeedbackOut].model_validate_json(api.get(f"{FEEDBACK}?{query}").content).items]

    assert ids("") == ["feedback-2", "feedback-1"]
    assert ids("service=cart") == ["feedback-1"]
    assert ids("verdict=expected") == ["feedback-2"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"verdict": "perhaps", "prediction_id": "p"}, "confirmed"),
        ({"verdict": "confirmed"}, "exactly one of"),
        ({"verdict": "confirmed", "prediction_id": "p", "incident_id": "i"}, "exactly one of"),
        ({"verdict": "confirmed", "prediction_id": "p"} | INTERVAL, "exactly one of"),
        ({"verdict": "confirmed", "service": "cart"}, "needs service, start and end"),
        ({"verdict": "missed", "prediction_id": "p"}, "'missed' needs service"),
        ({"verdict": "confirmed"} | INTERVAL | {"end": INTERVAL["start"]}, "end must be after start"),
        ({"verdict": "confirmed"} | INTERVAL | {"end": "2026-03-02T10:05:00"}, "timezone"),
        ({"verdict": "confirmed", "prediction_id": "p", "why": "x" * 4097}, "4096"),
        ({"verdict": "confirmed", "incident_id": "nobody"}, "got 'nobody'"),
    ],
)
def test_verdict_without_one_clear_target_is_refused(api: Api, body: dict[str, object], message: str) -> None:
    response = api.post(FEEDBACK, body)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert message in response.json()["detail"]
    assert api.documents.items("feedback") == []


def test_one_tenant_never_sees_or_names_anothers(api: Api) -> None:
    mine, other = {"X-Scope-OrgID": "a"}, {"X-Scope-OrgID": "b"}
    put_incident(api.documents, an_incident(tenant="a"))
    put_prediction(api.documents, a_prediction(tenant="a", prediction_id="p1"))
    location = api.post(FEEDBACK, {"verdict": "confirmed", "incident_id": "i1"}, mine).headers["location"]
    assert (api.get(location, mine).status_code, api.get(location, other).status_code) == (200, 404)
    assert api.get(FEEDBACK, other).json()["items"] == []
    assert api.post(FEEDBACK, {"verdict": "confirmed", "incident_id": "i1"}, other).status_code == 422
    assert api.post(FEEDBACK, {"verdict": "confirmed", "prediction_id": "p1"}, other).json()["service"] is None
