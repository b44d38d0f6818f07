"""Verdicts over REST: kept with what they are about, once."""

from __future__ import annotations

import pytest

from app.api.schemas import FeedbackOut, Items
from app.cache.documents import decode_document
from app.cache.records import FeedbackRecord
from app.said import feedback_of
from models.feedback import Selector, in_force
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


SELECTED = {"selector": {"service": "cart", "operation": None}, "start": INTERVAL["start"], "end": INTERVAL["end"]}


def test_verdict_on_all_that_a_selector_names_is_kept_with_it(api: Api) -> None:
    kept = given(api, verdict="expected", **SELECTED, repeats="week")
    assert kept.selector is not None
    assert (kept.selector.service, kept.selector.operation, kept.service, kept.repeats) == ("cart", None, "cart", "week")
    everyone = given(api, verdict="prevented", **SELECTED | {"selector": {"service": "*"}})
    assert everyone.selector is not None
    assert (everyone.selector.service, everyone.service) == (None, None)
    document = api.documents.get("feedback", "default/feedback-1")
    assert document is not None
    stretch = decode_document(document.value, FeedbackRecord).feedback().stretch
    assert stretch is not None
    assert stretch.series == Selector("default", "cart", None)


BATCH = f"{FEEDBACK}:batch"


def test_batch_is_kept_whole_and_once(api: Api) -> None:
    put_incident(api.documents, an_incident())
    body = {"items": [{"verdict": "confirmed", "incident_id": "i1"}, {"verdict": "missed"} | INTERVAL]}
    first = api.post(BATCH, body, {"Idempotency-Key": "k"})
    assert first.status_code == 201, first.text
    assert [item.verdict for item in Items[FeedbackOut].model_validate_json(first.content).items] == ["confirmed", "missed"]
    assert api.post(BATCH, body, {"Idempotency-Key": "k"}).content == first.content
    assert len(api.documents.items("feedback")) == 2


def test_verdicts_of_a_batch_were_given_in_its_order(api: Api) -> None:
    put_incident(api.documents, an_incident())
    items = [{"verdict": "false_alarm", "incident_id": "i1"}] * 9 + [{"verdict": "confirmed", "incident_id": "i1"}]
    assert api.post(BATCH, {"items": items}).status_code == 201
    said = feedback_of(api.documents, "default")
    assert [one.id for one in said] == [f"feedback-{number}" for number in range(1, 11)]
    assert [one.verdict for one in in_force(said)] == ["confirmed"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (FEEDBACK, {"verdict": "confirmed", "incident_id": "i1"}),
        (BATCH, {"items": [{"verdict": "confirmed", "incident_id": "i1"}]}),
    ],
)
def test_verdict_that_is_sent_again_gets_its_answer_also_when_the_incident_is_gone(
    api: Api, path: str, body: dict[str, object]
) -> None:
    put_incident(api.documents, an_incident())
    first = api.post(path, body, {"Idempotency-Key": "k"})
    assert first.status_code == 201
    api.documents.delete("incidents", "default/i1")
    again = api.post(path, body, {"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (201, first.content)
    assert api.post(path, body).status_code == 422


def test_batch_with_items_that_cannot_be_kept_names_each_and_keeps_none(api: Api) -> None:
    good = {"verdict": "missed"} | INTERVAL
    gone = {"verdict": "confirmed", "incident_id": "gone"}
    refused = api.post(BATCH, {"items": [good, gone, good, gone]})
    assert refused.status_code == 422
    assert [(error["index"], "got 'gone'" in error["message"]) for error in refused.json()["errors"]] == [(1, True), (3, True)]
    malformed = api.post(BATCH, {"items": [good, {"verdict": "perhaps", "prediction_id": "p"}]})
    assert malformed.status_code == 422
    assert [error["index"] for error in malformed.json()["errors"]] == [1]
    assert api.post(BATCH, {"items": []}).status_code == 422
    assert api.documents.items("feedback") == []


def test_a_verdict_is_taken_back_by_a_record_and_both_stay(api: Api) -> None:
    given(api, verdict="missed", **INTERVAL, who="ada")
    api.clock.move(1.0)
    undone = api.post(f"{FEEDBACK}/feedback-1:undo", {"who": "ben", "why": "wrong service"})
    assert undone.status_code == 201, undone.text
    record = FeedbackOut.model_validate_json(undone.content)
    assert (record.undoes, record.verdict, record.who, record.why, record.service) == (
        "feedback-1",
        "missed",
        "ben",
        "wrong service",
        "cart",
    )
    assert api.get(undone.headers["location"]).json()["id"] == record.id
    listed = api.get(FEEDBACK).json()["items"]
    assert [(one["id"], one["who"], one["undoes"], one["undone_by"]) for one in listed] == [
        (record.id, "ben", "feedback-1", None),
        ("feedback-1", "ada", None, record.id),
    ]
    assert api.get(f"{FEEDBACK}/feedback-1").json()["undone_by"] == record.id


def test_a_verdict_is_taken_back_once_and_what_took_it_back_stays(api: Api) -> None:
    given(api, verdict="missed", **INTERVAL)
    assert api.post(f"{FEEDBACK}/feedback-1:undo", {}, {"Idempotency-Key": "k"}).status_code == 201
    assert api.post(f"{FEEDBACK}/feedback-1:undo", {}, {"Idempotency-Key": "k"}).status_code == 201
    again = api.post(f"{FEEDBACK}/feedback-1:undo", {})
    assert (again.status_code, "taken back already" in again.json()["detail"]) == (409, True)
    assert api.post(f"{FEEDBACK}/undo-feedback-1:undo", {}).status_code == 422
    assert api.ask("POST", f"{FEEDBACK}/nobody:undo").status_code == 404
    assert len(api.documents.items("feedback")) == 2


def test_history_is_filtered_by_who_target_state_and_time_and_comes_in_pages(api: Api) -> None:
    put_incident(api.documents, an_incident())
    given(api, verdict="missed", **INTERVAL, who="ada")
    api.clock.move(60.0)
    given(api, verdict="confirmed", incident_id="i1", who="ben")
    api.clock.move(60.0)
    api.post(f"{FEEDBACK}/feedback-1:undo", {"who": "cyd"})

    def ids(query: str) -> list[str]:
        response = api.get(f"{FEEDBACK}?{query}")
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["items"]]

    assert ids("who=ben") == ids("incident_id=i1") == ids("state=standing") == ["feedback-2"]
    assert ids("state=undone") == ["feedback-1"]
    assert ids("since=2026-03-02T12:01:00Z") == ["undo-feedback-1", "feedback-2"]
    assert ids("until=2026-03-02T12:01:00Z") == ["feedback-1"]
    assert ids("operation=*&service=cart") == ["undo-feedback-1", "feedback-1"]
    first = api.get(f"{FEEDBACK}?limit=2").json()
    assert ids(f"limit=2&cursor={first['next']}") == ["feedback-1"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"verdict": "expected", "repeats": "week", "incident_id": "i"}, "repeats needs an interval"),
        ({"verdict": "missed", "repeats": "week"} | INTERVAL, "repeats needs an interval that was expected"),
        ({"verdict": "expected", "repeats_until": INTERVAL["end"]} | INTERVAL, "repeats_until needs repeats"),
        (
            {"verdict": "expected", "repeats": "day"} | INTERVAL | {"end": "2026-03-03T10:00:00+01:00"},
            "must be shorter than that, got 1 day",
        ),
        ({"verdict": "missed", "selector": {"service": "cart"}}, "or selector, start and end"),
        ({"verdict": "missed"} | INTERVAL | SELECTED, "exactly one of"),
        ({"verdict": "perhaps", "prediction_id": "p"}, "confirmed"),
        ({"verdict": "confirmed"}, "exactly one of"),
        ({"verdict": "confirmed", "prediction_id": "p", "incident_id": "i"}, "exactly one of"),
        ({"verdict": "confirmed", "prediction_id": "p"} | INTERVAL, "exactly one of"),
        ({"verdict": "confirmed", "service": "cart"}, "needs service, start and end"),
        ({"verdict": "missed", "prediction_id": "p"}, "'missed' needs service"),
        ({"verdict": "confirmed"} | INTERVAL | {"end": INTERVAL["start"]}, "end must be after start"),
        ({"verdict": "confirmed"} | INTERVAL | {"end": "2026-03-02T10:05:00"}, "timezone"),
        ({"verdict": "expected"} | INTERVAL | {"start": "0001-01-01T00:00:00Z"}, "in the years 1900 to 2999, got 0001"),
        ({"verdict": "expected"} | INTERVAL | {"end": "9999-12-31T23:30:00Z"}, "in the years 1900 to 2999, got 9999"),
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
