"""What people do goes through REST in the same process: its answers, and its refusals in its own words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fastapi import FastAPI

from app.auth import ADDRESS, PLACE, Principal, Scope
from app.dashboard.rest import Reading, Refused, Rest
from tests.app.dashboard.loops import finished
from tests.app.dashboard.sources import sources_of
from tests.nodes import RunningNode


def test_answers_and_refusals_are_those_of_rest(shop: RunningNode) -> None:
    rest = Rest(sources_of(shop).rest, "asking")
    body = {"verdict": "missed", "service": "a", "start": "2026-03-02T12:00:00Z", "end": "2026-03-02T12:10:00Z"}
    given = finished(rest.post("/feedback", body))
    assert (given["tenant"], given["verdict"]) == ("asking", "missed")
    assert finished(rest.get(f"/feedback/{given['id']}"))["id"] == given["id"]
    with pytest.raises(Refused, match="no incident 'x' of tenant 'asking'"):
        finished(rest.get("/incidents/x"))
    with pytest.raises(Refused, match="Method Not Allowed"):
        finished(rest.delete("/incidents"))


def test_what_fails_within_the_api_is_a_refusal_too() -> None:
    app = FastAPI()

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(Refused, match="the API answered 500"):
        finished(Rest(app, "default").get("/broken"))


def test_an_answer_is_read_again_and_a_refusal_is_kept_until_the_next_one() -> None:
    app, noon = FastAPI(), datetime(2026, 3, 2, 12, tzinfo=UTC)
    answers = [{"n": 1}]

    @app.get("/api/v1/thing")
    def thing() -> dict[str, int]:
        return answers.pop()

    reading = Reading(Rest(app, "default"), "/thing", lambda: noon)
    with pytest.raises(Refused, match="not asked"):
        _ = reading.answer
    finished(reading.read())
    assert (reading.answer, reading.at) == ({"n": 1}, noon)
    finished(reading.read())
    with pytest.raises(Refused, match="500"):
        _ = reading.answer


def test_what_is_done_on_a_page_is_done_by_who_opened_it(shop: RunningNode) -> None:
    opened = {PLACE: Principal("ann", frozenset({Scope.READ}), frozenset({"asking"})), "client": ("192.0.2.7", 5)}
    body = {"verdict": "missed", "service": "a", "start": "2026-03-02T12:00:00Z", "end": "2026-03-02T12:10:00Z"}
    reads = Rest(sources_of(shop).rest, "asking", opened)
    assert finished(reads.get("/incidents"))["items"] == []
    with pytest.raises(Refused, match=r"'feedback' is needed for this, and 'ann' has read"):
        finished(reads.post("/feedback", body))
    with pytest.raises(Refused, match="'ann' may not use tenant 'default'"):
        finished(Rest(sources_of(shop).rest, "default", opened).get("/incidents"))
    says = opened | {PLACE: Principal("bob", frozenset({Scope.FEEDBACK}), frozenset({"asking"}))}
    finished(Rest(sources_of(shop).rest, "asking", says).post("/feedback", body))
    deed = next(iter(shop.node.audit.deeds()))
    assert (deed.action, deed.principal, deed.tenant, deed.address) == ("feedback.give", "bob", "asking", "192.0.2.7")
    finished(Rest(sources_of(shop).rest, "asking", says | {ADDRESS: "2001:db8::4"}).post("/feedback", body | {"service": "b"}))
    assert next(iter(shop.node.audit.deeds())).address == "2001:db8::4"  # as a proxy in front named it
