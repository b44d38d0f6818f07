"""The clients against a running node over a real socket: every list a frame, every document typed, what fails an error of the tree."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
import trustme

from app.client import (
    AsyncForeshock,
    Foreshock,
    InvalidValue,
    NotFound,
    NotReached,
    PredictionEvent,
    Refused,
    Retries,
    Unavailable,
)
from tests.app.client.fronts import Fate, Turn, front
from tests.dashboard_seed import SERVICES, prediction_of, put_service_of
from tests.nodes import RunningNode
from tests.proxies import Proxy

T = TypeVar("T")


def now_of(shop: RunningNode) -> datetime:
    return datetime.fromtimestamp(shop.now_ns / 1e9, UTC)


def awaited(url: str, question: Callable[[AsyncForeshock], Awaitable[T]], **connection: Any) -> T:
    async def answer() -> T:
        async with AsyncForeshock(url, **connection) as client:
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
    both = [foreshock.services(), awaited(shop.served.api, lambda client: client.services())]
    assert both[0].equals(both[1])
    assert awaited(shop.served.api, lambda client: client.trends("payment")).p95_s == foreshock.trends("payment").p95_s
    assert awaited(shop.served.api, lambda client: client.incident("i1")) == foreshock.incident("i1")


def test_a_limit_bounds_a_list(foreshock: Foreshock) -> None:
    assert len(foreshock.predictions()) == len(SERVICES)
    assert list(foreshock.predictions(limit=2)["service"]) == ["payment", "checkout"]


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

    assert awaited(shop.served.api, first) == "dropped"


def test_a_watch_ends_after_its_time_for_both(foreshock: Foreshock, shop: RunningNode) -> None:
    async def all_of_it(client: AsyncForeshock) -> list[str]:
        return [event.kind async for event in client.watch(for_s=0.0, after="unknown-0")]

    assert awaited(shop.served.api, all_of_it) == ["dropped"]
    assert [event.kind for event in foreshock.watch(for_s=0.0, after="unknown-0")] == ["dropped"]


def test_a_watch_of_nobody_is_given_up_by_both() -> None:
    async def first(client: AsyncForeshock) -> None:
        await anext(client.watch())

    clock = Clock()
    with pytest.raises(NotReached):
        awaited("http://127.0.0.1:9", first, retries=clock.retries(attempts=3))
    with Foreshock("http://127.0.0.1:9", retries=clock.retries(attempts=3)) as client, pytest.raises(NotReached):
        next(client.watch())
    assert len(clock.slept) == 4


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


@dataclass
class Clock:
    """A clock that goes on when somebody sleeps."""

    s: float = 0.0
    slept: list[float] = field(default_factory=list[float])

    def sleep(self, seconds: float) -> None:
        self.s += seconds
        self.slept.append(seconds)

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def retries(self, **bounds: Any) -> Retries:
        return Retries(sleep=self.sleep, async_sleep=self.async_sleep, monotonic=lambda: self.s, rng=Random(1), **bounds)


def test_a_service_that_is_away_for_a_while_is_waited_for(shop: RunningNode) -> None:
    clock = Clock()

    def fate(_: int) -> Fate:
        return Turn(503, {"Retry-After": "1"}) if clock.s < 3.0 else "pass"

    with front(shop.served.api, fate) as before, Foreshock(before.url, retries=clock.retries()) as client:
        assert len(client.services()) == len(SERVICES)
    assert 3.0 <= clock.s < 8.0
    assert all(slept >= 1.0 for slept in clock.slept)
    assert len(before.seen) == len(clock.slept) + 1


def test_a_service_that_stays_away_is_given_up(shop: RunningNode) -> None:
    clock = Clock()
    with front(shop.served.api, lambda _: Turn(503)) as before:
        with Foreshock(before.url, retries=clock.retries(attempts=4)) as client, pytest.raises(Unavailable) as given_up:
            client.nodes()
        with pytest.raises(Unavailable):
            awaited(before.url, lambda client: client.nodes(), retries=clock.retries(attempts=4))
    assert (given_up.value.status, given_up.value.type) == (503, "about:blank")
    assert len(before.seen) == 8


@pytest.mark.parametrize("fate", ["cut", "lose"])
def test_what_was_lost_on_the_way_is_done_once(shop: RunningNode, fate: Fate) -> None:
    clock, who = Clock(), f"who-{fate}"
    with front(shop.served.api, lambda number: fate if number == 0 else "pass") as before:
        with Foreshock(before.url, retries=clock.retries()) as client:
            given = client.feedback("confirmed", incident_id="i2", who=who)
            kept = client.verdicts(who=who)
        keys = [headers["idempotency-key"] for method, _, headers in before.seen if method == "POST"]
    assert list(kept["id"]) == [given.id]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_watch_that_is_cut_goes_on_where_it_was(shop: RunningNode) -> None:
    clock, proxy = Clock(), Proxy(int(shop.served.api.rpartition(":")[2]))
    client = Foreshock(f"http://127.0.0.1:{proxy.port}", retries=clock.retries())
    events = client.watch(event="prediction", service="catalog", after="unknown-0")
    with closing(proxy), client, closing(events):
        assert next(events).kind == "dropped"
        proxy.cut()
        for number in (1, 2):
            later = prediction_of("catalog", 0.1 * number, "errors", "ok", now_of(shop) + timedelta(seconds=number))
            put_service_of(shop.node.store.documents, later)
        event = next(events)
    assert isinstance(event, PredictionEvent)
    assert event.data.service == "catalog"
    assert clock.slept == [2.0]  # as the service asked


def test_token_tenant_and_key_are_sent(shop: RunningNode) -> None:
    with front(shop.served.api) as before, Foreshock(before.url, "secret", tenant="team-a") as client:
        client.classify(message="timed out")
        client.train()
        assert "secret" not in repr(vars(client))
    (_, _, classified), (_, _, trained) = before.seen
    assert (classified["authorization"], classified["x-scope-orgid"]) == ("Bearer secret", "team-a")
    assert classified["content-type"] == "application/json"
    assert "idempotency-key" not in classified
    assert len(trained["idempotency-key"]) == 32


def test_a_service_behind_a_path_is_asked_there(shop: RunningNode) -> None:
    with front(shop.served.api, prefix="/ops/foreshock") as before, Foreshock(f"{before.url}/") as client:
        assert client.prediction("shipping/eu").service == "shipping/eu"
        assert client.livez()
    assert [path for _, path, _ in before.seen] == [
        "/ops/foreshock/api/v1/predictions/shipping%2Feu",
        "/ops/foreshock/livez",
    ]


def test_tls_is_checked_by_the_authority_that_is_named(shop: RunningNode, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    known = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(known))
    with front(shop.served.api, tls=context) as before:
        with Foreshock(before.url, verify=known) as client:
            assert client.livez()
        assert awaited(before.url, lambda client: client.livez(), verify=str(known))
        with Foreshock(before.url, retries=1) as client, pytest.raises(NotReached, match="CERTIFICATE_VERIFY_FAILED"):
            client.livez()


def test_address_and_token_come_from_the_environment(shop: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    with front(shop.served.api) as before:
        monkeypatch.setenv("FORESHOCK_URL", before.url)
        monkeypatch.setenv("FORESHOCK_TOKEN", "of the environment".replace(" ", "-"))
        with Foreshock() as client:
            assert client.livez()
        with Foreshock(shop.served.api, "another") as client:
            assert client.url == shop.served.api
    assert before.seen[0][2]["authorization"] == "Bearer of-the-environment"
    monkeypatch.delenv("FORESHOCK_URL")
    with pytest.raises(InvalidValue, match="FORESHOCK_URL, since there is no url, must be http or https"):
        Foreshock()


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ({"token": "a b"}, "token must be of printable ASCII characters without a space; the value is not shown"),
        ({"token": "a\nb"}, "token must be of printable ASCII"),
        ({"tenant": "a\nb"}, r"tenant must be of printable ASCII characters, got 'a\\nb'"),
        ({"timeout_s": 0.0}, "timeout_s must be above 0, got 0"),
        ({"retries": 0}, "attempts must be at least 1, got 0"),
        ({"verify": "/nowhere.pem"}, "verify must name a file of certificates in PEM, got '/nowhere.pem'"),
        ({"tokn": "x"}, r"a connection has \['retries', 'tenant', 'timeout_s', 'verify'\], got \['tokn'\]"),
    ],
)
def test_a_connection_that_cannot_be_is_named(connection: dict[str, Any], message: str) -> None:
    for client in (Foreshock, AsyncForeshock):
        with pytest.raises(InvalidValue, match=message):
            client("http://127.0.0.1:8318", **connection)


def test_threads_share_a_client(foreshock: Foreshock) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: foreshock.prediction(name).service, list(SERVICES) * 4))
    assert found == list(SERVICES) * 4


def test_a_watch_that_is_refused_says_why(shop: RunningNode) -> None:
    async def watched(client: AsyncForeshock) -> None:
        async with aclosing(client.watch(event="weather")) as events:  # pyright: ignore[reportArgumentType] - what is refused
            async for _ in events:
                pass

    with pytest.raises(Refused, match=r"query\.event"):
        awaited(shop.served.api, watched)
    with Foreshock(shop.served.api) as client, pytest.raises(Refused, match=r"query\.event"):
        next(client.watch(event="weather"))  # pyright: ignore[reportArgumentType] - what is refused
