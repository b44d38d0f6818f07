"""Changes of documents come in order, are remembered in a ring, and are found again by who was away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from app.api.feed import Feed, Feeds, StreamPlan
from app.cache.cache import Cache
from app.store.contract import Document, Documents
from app.telemetry import Telemetry
from features.errors import Overloaded
from models.prediction import AnomalyScore
from tests.api_builders import Clock, a_prediction, an_incident, put_incident, put_prediction
from tests.group_builders import correlation_of, put_cascade


class Seconds:
    """Seconds that only move when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cache(documents: Documents) -> Iterator[Cache]:
    cache = Cache(documents, Telemetry())
    yield cache
    cache.close()


def feed_of(cache: Cache, *, ring: int = 100, seconds: Seconds | None = None) -> Feed:
    return Feed(cache, "default", "e", StreamPlan(ring=ring), seconds or Seconds())


def kinds(feed: Feed, number: int = 0) -> list[tuple[int, str, str]]:
    feed.look(anyway=True)
    return [(change.number, change.kind, change.service) for change in feed.since(number, 100)[0]]


def test_only_what_changes_from_then_on_is_a_change_and_comes_in_its_order(cache: Cache, documents: Documents) -> None:
    put_prediction(documents, a_prediction("old"))
    feed = feed_of(cache)
    assert kinds(feed) == []
    put_incident(documents, an_incident("i1", "web"))
    put_prediction(documents, a_prediction("payment"))
    put_prediction(documents, a_prediction("cart"))
    documents.put("models", "default/version/v1", b"{}")
    found = kinds(feed)
    assert [(kind, service) for _, kind, service in found if kind != "anomaly"] == [
        ("prediction", "payment"),
        ("prediction", "cart"),
        ("incident", "web"),
        ("model", ""),
    ]
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert kinds(feed, feed.newest) == []


def test_prediction_whose_window_is_rare_and_out_of_its_bounds_is_an_anomaly_too(cache: Cache, documents: Documents) -> None:
    feed = feed_of(cache)
    calm = replace(a_prediction("calm"), anomaly=AnomalyScore(0.5, 2.0, 2.0, 0.0, 5.0))
    put_prediction(documents, calm)
    put_prediction(documents, replace(a_prediction("outside"), anomaly=AnomalyScore(0.9, 9.0, 2.0, 0.0, 5.0)))
    put_prediction(documents, replace(a_prediction("loud"), anomaly=AnomalyScore(0.999, 9.0, 2.0, 0.0, 5.0)))
    put_prediction(
        documents, replace(a_prediction("silent"), anomaly=AnomalyScore(0.999, 1.0, 9.0, 4.0, 15.0, None, "traffic"))
    )
    assert [service for _, kind, service in kinds(feed) if kind == "anomaly"] == ["loud", "silent"]


def test_a_group_changes_with_the_services_that_it_is_of(cache: Cache, documents: Documents) -> None:
    feed = feed_of(cache)
    put_cascade(documents)
    correlation_of(documents).look_at_all()
    feed.look(anyway=True)
    (change,) = (one for one in feed.since(0, 100)[0] if one.kind == "group")
    assert (change.bucket, change.service, change.services) == ("groups", "", ("payment", "cart", "web"))
    number = feed.newest
    correlation_of(documents).look_at_all()
    assert kinds(feed, number) == [], "nothing new is said of it"


def test_who_was_away_finds_each_document_once_with_its_last_change(cache: Cache, documents: Documents) -> None:
    feed = feed_of(cache)
    for _ in range(5):
        put_incident(documents, an_incident("i1"))
    assert len(kinds(feed)) == 1


def test_the_ring_keeps_the_newest_and_counts_what_is_lost(cache: Cache, documents: Documents) -> None:
    feed = feed_of(cache, ring=3)
    for number in range(5):
        put_incident(documents, an_incident(f"i{number}"))
    feed.look(anyway=True)
    changes, lost = feed.since(0, 100)
    assert ([change.number for change in changes], lost) == ([3, 4, 5], 2)
    assert feed.since(2, 100)[1] == 0
    assert [change.number for change in feed.since(3, 1)[0]] == [4]
    assert feed.since(5, 100) == ([], 0)


def test_readers_share_a_look(cache: Cache, documents: Documents) -> None:
    seconds = Seconds()
    feed = feed_of(cache, seconds=seconds)
    put_incident(documents, an_incident())
    feed.look()
    assert feed.newest == 0
    seconds.now = 1.0
    feed.look()
    assert feed.newest == 1


def test_other_tenants_are_not_seen_and_documents_of_another_version_are_passed_on(cache: Cache, documents: Documents) -> None:
    feed = feed_of(cache)
    put_incident(documents, an_incident(tenant="other"))
    documents.put("incidents", "default/strange", b"\xff")
    assert [(kind, service) for _, kind, service in kinds(feed)] == [("incident", "")]


def test_readers_are_bounded_over_all_tenants(cache: Cache) -> None:
    feeds = Feeds(cache, StreamPlan(clients=2), Seconds())
    feeds.enter("a", "e")
    feeds.enter("b", "e")
    with pytest.raises(Overloaded, match="at most 2 streams"):
        feeds.enter("a", "e")
    feeds.leave("b")
    feeds.enter("a", "e")
    assert feeds.clients == 2


def test_feed_is_kept_for_who_comes_back_unless_the_tenant_has_nothing(
    cache: Cache, documents: Documents, clock: Clock
) -> None:
    put_incident(documents, an_incident())
    feeds = Feeds(cache, StreamPlan(), Seconds())
    kept, nobody = feeds.enter("default", "e1"), feeds.enter("made-up", "e1")
    for tenant in ("default", "made-up"):
        feeds.leave(tenant)
    assert feeds.enter("default", "e2") is kept
    assert feeds.enter("made-up", "e2") is not nobody


def test_feeds_that_nobody_listens_to_are_bounded(cache: Cache, documents: Documents) -> None:
    feeds = Feeds(cache, StreamPlan(tenants=1), Seconds())
    first = {}
    for tenant in ("a", "b"):
        put_incident(documents, an_incident(tenant=tenant))
        first[tenant] = feeds.enter(tenant, "e")
        feeds.leave(tenant)
    assert feeds.enter("b", "e") is first["b"]
    assert feeds.enter("a", "e") is not first["a"]


class Slow(Cache):
    """A cache whose documents take until they are let go."""

    begun, let_go = threading.Event(), threading.Event()

    def documents(self, bucket: str, prefix: str) -> Iterator[Document]:
        if threading.current_thread().name == "looks":
            self.begun.set()
            assert self.let_go.wait(30.0)
        return super().documents(bucket, prefix)


def test_a_look_at_many_documents_holds_up_no_reader(documents: Documents) -> None:
    cache = Slow(documents, Telemetry())
    feed, read = feed_of(cache), list[object]()
    looks = threading.Thread(target=partial(feed.look, anyway=True), name="looks")
    reads = threading.Thread(target=lambda: read.append(feed.since(0, 10)))
    looks.start()
    assert cache.begun.wait(30.0)
    reads.start()
    reads.join(2.0)
    found = list(read)
    cache.let_go.set()
    looks.join()
    reads.join()
    cache.close()
    assert found == [([], 0)]
