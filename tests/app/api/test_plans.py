"""A step of a plan is posted to the user's runbook when a person says so, and only then."""

from __future__ import annotations

import json

from app.api.group_schemas import PostedOut
from features.errors import CircuitOpen, NotDelivered, NoticeRefused
from tests.api_builders import Api
from tests.group_builders import Receiver, correlation_of, put_cascade

STEP = "/api/v1/incidents/cart/plan/1:post"


def with_runbook(api: Api, receiver: Receiver) -> Receiver:
    api.runbook = receiver
    put_cascade(api.documents)
    correlation_of(api.documents).look_at_all()
    return receiver


def test_a_step_is_posted_with_its_incident_and_who_asked(api: Api) -> None:
    receiver = with_runbook(api, Receiver())
    answer = api.post(STEP, {"who": "ann", "why": "the disk is full"})
    posted = PostedOut.model_validate_json(answer.content)
    ((message, body),) = receiver.got
    said = json.loads(body)
    assert (posted.id, posted.receiver) == (message, "https://automation")
    assert (said["incident_id"], said["group_id"], said["tenant"], said["who"]) == ("cart", "g-payment", "default", "ann")
    assert (said["step"]["step"], said["step"]["service"]) == (1, "payment")
    api.post(STEP, {"who": "bob"})
    assert receiver.got[1][0] == message, "the receiver can tell that it is the same step"


def test_a_key_posts_once(api: Api) -> None:
    receiver = with_runbook(api, Receiver())
    for _ in range(2):
        assert api.post(STEP, {}, {"Idempotency-Key": "k"}).status_code == 200
    assert len(receiver.got) == 1


def test_what_the_receiver_does_not_take_is_a_problem(api: Api) -> None:
    receiver = with_runbook(api, Receiver())
    for refusal, status, retryable in (
        (NotDelivered("no answer"), 502, True),
        (NoticeRefused("answered 403"), 502, False),
        (CircuitOpen("away"), 503, True),
    ):
        receiver.refusal = refusal
        answer = api.post(STEP, {})
        assert (answer.status_code, answer.json()["retryable"]) == (status, retryable)


def test_without_a_runbook_or_such_a_step_nothing_is_posted(api: Api) -> None:
    answer = api.post(STEP, {})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:foreshock:problem:not-configured")
    receiver = with_runbook(api, Receiver())
    assert api.post("/api/v1/incidents/cart/plan/99:post", {}).status_code == 404
    assert api.post("/api/v1/incidents/none/plan/1:post", {}).status_code == 404
    assert api.post("/api/v1/incidents/cart/plan/0:post", {}).status_code == 422
    assert receiver.got == []
