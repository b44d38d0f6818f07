"""The same Idempotency-Key does the work once."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import Response

from app.api.idempotency import KEPT_S, RESERVED_S, once
from app.api.parts import Ask, answer
from app.api.problems import KeyReused, StillRunning
from app.store.contract import Documents
from features.errors import Overloaded
from tests.api_builders import Api, Clock

FEEDBACK = "/api/v1/feedback"
VERDICT = {"verdict": "confirmed", "prediction_id": "p1"}


def asked(api: Api) -> Ask:
    return Ask(api.app.state.parts, api.app.state.cache, api.app.state.entries, "default", api.clock())


def test_same_key_and_body_get_the_first_answer_and_nothing_is_done_twice(api: Api) -> None:
    first = api.post(FEEDBACK, VERDICT, {"Idempotency-Key": "k1"})
    api.clock.move(5.0)
    again = api.post(FEEDBACK, VERDICT, {"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(api.documents.items("feedback")) == 1


def test_order_of_members_makes_no_other_body(api: Api) -> None:
    api.post(FEEDBACK, VERDICT, {"Idempotency-Key": "k1"})
    again = api.post(FEEDBACK, dict(reversed(VERDICT.items())), {"Idempotency-Key": "k1"})
    assert again.status_code == 201


def test_same_key_with_another_body_is_refused(api: Api) -> None:
    api.post(FEEDBACK, VERDICT, {"Idempotency-Key": "k1"})
    response = api.post(FEEDBACK, VERDICT | {"why": "x"}, {"Idempotency-Key": "k1"})
    assert (response.status_code, response.json()["type"]) == (422, "urn:foreshock:problem:idempotency-key-reused")
    assert len(api.documents.items("feedback")) == 1


def test_keys_of_two_tenants_and_two_routes_never_meet(api: Api) -> None:
    api.post(FEEDBACK, VERDICT, {"Idempotency-Key": "k1"})
    other = api.post(FEEDBACK, VERDICT | {"why": "x"}, {"Idempotency-Key": "k1", "X-Scope-OrgID": "b"})
    run = api.post("/api/v1/training-runs", {}, {"Idempotency-Key": "k1"})
    assert (other.status_code, run.status_code) == (201, 202)


def test_key_is_free_again_after_a_day(api: Api) -> None:
    api.post(FEEDBACK, VERDICT, {"Idempotency-Key": "k1"})
    api.clock.move(KEPT_S + 1)
    assert api.post(FEEDBACK, VERDICT | {"why": "x"}, {"Idempotency-Key": "k1"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_key_out_of_bounds_is_refused(api: Api, key: str) -> None:
    assert api.post(FEEDBACK, VERDICT, {"Idempotency-Key": key}).status_code == 422


def test_request_while_the_first_is_running_is_refused_until_that_is_given_up(api: Api) -> None:
    async def nested() -> Response:
        with pytest.raises(StillRunning, match="still running"):
            await once(asked(api), "r", "k", b"body", unexpected)
        with pytest.raises(KeyReused):
            await once(asked(api), "r", "k", b"other", unexpected)
        api.clock.move(RESERVED_S + 1)
        return await once(asked(api), "r", "k", b"body", second)

    async def second() -> Response:
        return answer({"by": "second"})

    async def unexpected() -> Response:
        raise AssertionError("the work was done twice")

    assert asyncio.run(once(asked(api), "r", "k", b"body", nested)).body == b'{"by":"second"}'


def test_key_of_work_that_failed_is_free_again(api: Api) -> None:
    async def fails() -> Response:
        raise Overloaded("full")

    async def works() -> Response:
        return answer("done")

    with pytest.raises(Overloaded):
        asyncio.run(once(asked(api), "r", "k", b"body", fails))
    assert asyncio.run(once(asked(api), "r", "k", b"body", works)).body == b'"done"'


def test_requests_at_once_on_two_nodes_leave_one_verdict(documents: Documents, clock: Clock) -> None:
    nodes = [Api(documents, clock) for _ in range(2)]

    async def post(api: Api) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://foreshock") as client:
            return (await client.post(FEEDBACK, json=VERDICT, headers={"Idempotency-Key": "k"})).status_code

    async def at_once() -> list[int]:
        return await asyncio.gather(*(post(api) for api in nodes * 4))

    codes = asyncio.run(at_once())
    assert 201 in codes
    assert set(codes) <= {201, 409}
    assert len(documents.items("feedback")) == 1
