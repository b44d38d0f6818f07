"""The clients against a running node over a real socket: every list a frame, every document typed, what fails an error of the tree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from app.client import AsyncForeshock, Foreshock, InvalidValue, NotFound, NotReached, PredictionEvent, Refused, Retries
from tests.dashboard_seed import SERVICES, prediction_of, put_service_of
from tests.nodes import RunningNode

T = TypeVar("T")


def now_of(shop: RunningNode) -> datetime:
    return datetime.fromtimestamp(shop.now_ns / 1e9, UTC)


def awaited(shop: RunningNode, question: Callable[[AsyncForeshock], Awaitable[T]], **connection: Any) -> T:
    async def answer() -> T:
        async with AsyncForeshock(shop.served.api, **connection) as client:
            return await question(client)

    return asyncio.run(answer())


def test_lists_come_as_frames_and_documents_as_objects(foreshock: Foreshock) -> None:
    services = foreshock.services()
    assert sorted(services["service"]) == sorted(SERVICES)
    assert str(services["last_seen"].dtype) == "datetime64[us, UTC]"
    risks = foreshock.predictions(operations="whole")
    assert list(risks["service"])[:2] == ["payment", "checkout"]
    assert risks["probability_60min"].is_monotonic_decreasing
    known = foreshock.prediction("payment")
    assert known.horizons["60min"].probability == risks["probability_60min"][0] == 0.61
    assert foreshock.explanation(known.id).groups[0].group == "errors"
    assert foreshock.prediction("shipping/eu").service == "shipping/eu"


def test_both_clients_say_the_same(foreshock: Foreshock, shop: RunningNode) -> None:
    both = [foreshock.services(), awaited(shop, lambda client: client.services())]
    assert both[0].equals(both[1])
    assert awaited(shop, lambda client: client.trends("payment")).p95_s == foreshock.trends("payment").p95_s
    assert awaited(shop, lambda client: client.incident("i1")) == foreshock.incident("i1")


def test_a_limit_bounds_a_list(foreshock: Foreshock) -> None:
    assert len(foreshock.predictions()) == len(SERVICES)
    assert list(foreshock.predictions(limit=3)["service"]) == ["payment", "checkout", "cart"]


def test_a_prediction_is_sent_again_only_when_there_is_a_newer_one(foreshock: Foreshock, shop: RunningNode) -> None:
    known = foreshock.prediction("mail")
    assert foreshock.newer_prediction(known) is None
    later = prediction_of("mail", 0.2, "errors", "ok", now_of(shop) + timedelta(seconds=60))
    put_service_of(shop.node.store.documents, later)
    newer = foreshock.newer_prediction(known)
    assert newer is not None
    assert newer.horizons["60min"].probability == 0.2


def test_a_tenant_sees_its_own(shop: RunningNode) -> None:
    with Foreshock(shop.served.api, tenant="other") as client:
        assert client.services().empty
        assert list(client.services().columns) != []
        with pytest.raises(NotFound) as refused:
            client.prediction("payment")
    assert (refused.value.status, refused.value.type) == (404, "urn:foreshock:problem:not-found")
    assert "of tenant 'other'" in refused.value.detail


def test_what_the_service_refuses_names_the_value_and_the_bound(foreshock: Foreshock) -> None:
    with pytest.raises(Refused, match=r"query\.min_probability.*got '2'") as refused:
        foreshock.predictions(min_probability=2)
    assert refused.value.status == 422
    assert refused.value.errors[0]["location"] == "query.min_probability"


def test_feedback_is_given_listed_and_taken_back(foreshock: Foreshock, shop: RunningNode) -> None:
    given = foreshock.feedback("confirmed", incident_id="i0", who="ana")
    assert (given.service, given.undone_by) == ("payment", None)
    end = now_of(shop)
    batch = foreshock.feedback_batch(
        [{"verdict": "missed", "service": "cart", "start": end - timedelta(hours=1), "end": end, "who": "ben"}]
    )
    assert list(batch["verdict"]) == ["missed"]
    assert foreshock.undo(given.id, why="a slip").undoes == given.id
    assert foreshock.verdict(given.id).undone_by == f"undo-{given.id}"
    standing = foreshock.verdicts(state="standing")
    assert "ben" in set(standing["who"])
    assert given.id not in set(standing["id"])
    assert foreshock.impact().run is None


def test_a_watch_tells_what_changes_and_can_be_closed(foreshock: Foreshock, shop: RunningNode) -> None:
    with closing(foreshock.watch(event="prediction", service="cart", after="unknown-0")) as events:
        assert next(events).kind == "dropped"  # what was before is not known by that place
        later = prediction_of("cart", 0.5, "errors", "ok", now_of(shop) + timedelta(seconds=120))
        put_service_of(shop.node.store.documents, later)
        event = next(events)
    assert isinstance(event, PredictionEvent)
    assert (event.data.service, event.data.horizons["60min"].probability) == ("cart", 0.5)


def test_a_watch_is_awaited_too(shop: RunningNode) -> None:
    async def first(client: AsyncForeshock) -> str:
        async with aclosing(client.watch(event=["model", "prediction"], after="unknown-0")) as events:
            async for event in events:
                return event.kind
        return ""

    assert awaited(shop, first) == "dropped"


def test_nobody_there_is_an_error_after_as_many_attempts_as_allowed() -> None:
    waits: list[float] = []
    client = Foreshock("http://127.0.0.1:9", retries=Retries(attempts=3, sleep=waits.append))
    with client, pytest.raises(NotReached, match="GET /livez was not answered: ConnectError"):
        client.livez()
    assert len(waits) == 2


@pytest.mark.parametrize("url", ["127.0.0.1:8318", "ftp://host", "http://", "http://host/?a=1", ""])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(InvalidValue, match="url must be http or https with a host"):
        Foreshock(url)
