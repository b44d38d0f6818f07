"""The cache reads documents from memory, follows their changes, and forgets what is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.cache.cache import Cache
from app.cache.documents import prediction_document, prediction_key, tenant_key
from app.cache.records import PredictionRecord, ServiceSummary
from app.store.contract import Documents
from app.telemetry import Telemetry
from tests.api_builders import Clock, a_prediction, a_service_summary, put_prediction, put_service


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def cache(documents: Documents, telemetry: Telemetry) -> Cache:
    return Cache(documents, telemetry)


def services(cache: Cache, tenant: str = "default") -> list[str]:
    order = cache.predictions(tenant)
    return [head.service for _, head in order.rows]


def reads(telemetry: Telemetry, bucket: str, outcome: str) -> float:
    labels = {"bucket": bucket, "outcome": outcome}
    return telemetry.registry.get_sample_value("foreshock_cache_reads_total", labels) or 0.0


def test_predictions_come_riskiest_first_then_by_key(documents: Documents, cache: Cache) -> None:
    for service, risk in (("b", 0.2), ("a", 0.2), ("c", 0.9)):
        put_prediction(documents, a_prediction(service, risk=risk))
    assert services(cache) == ["c", "a", "b"]


def test_order_is_made_anew_only_after_a_change(documents: Documents, cache: Cache) -> None:
    put_prediction(documents, a_prediction("a", risk=0.1))
    put_prediction(documents, a_prediction("b", risk=0.2))
    first = cache.predictions("default")
    assert cache.predictions("default") is first
    put_prediction(documents, a_prediction("a", risk=0.3))
    assert services(cache) == ["a", "b"]


def test_every_horizon_has_its_order_and_each_is_made_once(documents: Documents, cache: Cache) -> None:
    late, soon = a_prediction("late", risk=0.5), a_prediction("soon", risk=0.3)
    put_prediction(documents, late)
    put_prediction(documents, replace(soon, horizons=dict.fromkeys(soon.horizons, soon.horizons["60min"])))
    assert services(cache) == ["late", "soon"]
    within = cache.predictions("default", "5min")
    assert [head.service for _, head in within.rows] == ["soon", "late"]
    assert cache.predictions("default", "5min") is within
    assert within.key_of is cache.predictions("default").key_of, "ids are kept once"
    assert cache.prediction("default", soon.id) is not None
    put_prediction(documents, a_prediction("late", risk=1.0))
    assert [head.horizons["5min"].probability for _, head in cache.predictions("default", "5min").rows] == [0.3, 0.25]


def test_prediction_is_found_by_id_until_a_newer_one_replaces_it(documents: Documents, cache: Cache) -> None:
    put_prediction(documents, a_prediction(prediction_id="p1"))
    found = cache.prediction("default", "p1")
    assert found is not None
    assert found.service == "payment"
    put_prediction(documents, a_prediction(prediction_id="p2"))
    assert cache.prediction("default", "p1") is None
    assert cache.prediction("default", "p2") is not None


def test_one_tenant_never_sees_anothers_documents(documents: Documents, cache: Cache) -> None:
    put_prediction(documents, a_prediction(tenant="a", prediction_id="p1"))
    put_service(documents, a_service_summary(tenant="a"))
    assert services(cache, "b") == []
    assert cache.prediction("b", "p1") is None
    assert cache.all("services", "b/", ServiceSummary) == {}
    assert services(cache, "a") == ["payment"]


def test_deleted_and_expired_documents_leave(documents: Documents, cache: Cache, clock: Clock) -> None:
    lasting, passing = a_prediction("a"), a_prediction("b")
    put_prediction(documents, lasting)
    documents.put("predictions", prediction_key(passing.series), prediction_document(passing), ttl_s=60.0)
    assert services(cache) == ["a", "b"]
    clock.move(61.0)
    assert services(cache) == ["a"]
    documents.delete("predictions", prediction_key(lasting.series))
    assert services(cache) == []
    assert services(cache) == []


def test_unreadable_document_is_counted_and_left_out(documents: Documents, cache: Cache, telemetry: Telemetry) -> None:
    put_service(documents, a_service_summary("good"))
    documents.put("services", tenant_key("default", "bad"), b'{"of": "another version"}')
    assert list(cache.all("services", "default/", ServiceSummary)) == ["default/good"]
    assert list(cache.all("services", "default/", ServiceSummary)) == ["default/good"]
    assert reads(telemetry, "services", "unreadable") == 1
    assert cache.one("services", "default/bad", ServiceSummary) is None
    assert [summary.service for summary in cache.under("services", "default/", ServiceSummary)] == ["good"]


def test_reads_are_counted_by_outcome(documents: Documents, cache: Cache, telemetry: Telemetry) -> None:
    put_prediction(documents, a_prediction())
    assert cache.one("predictions", "default/payment/%2A", PredictionRecord) is not None
    assert cache.one("predictions", "default/cart/%2A", PredictionRecord) is None
    assert cache.predictions("nobody").rows == ()
    assert (reads(telemetry, "predictions", "hit"), reads(telemetry, "predictions", "miss")) == (1, 2)


def test_how_much_is_in_memory_is_told(documents: Documents, cache: Cache, telemetry: Telemetry) -> None:
    put_prediction(documents, a_prediction("a"))
    put_prediction(documents, a_prediction("b", tenant="other"))
    stored = sum(len(document.value) for document in cache.documents("predictions", ""))
    assert (telemetry.value("cache_documents", bucket="predictions"), telemetry.value("cache_documents", bucket="models")) == (
        2,
        0,
    )
    assert telemetry.value("cache_bytes", bucket="predictions") == stored > 0


def test_stored_reads_past_the_watch(documents: Documents, cache: Cache) -> None:
    put_service(documents, a_service_summary())
    assert cache.stored("services", "default/payment", ServiceSummary) == a_service_summary()
    assert cache.stored("services", "default/cart", ServiceSummary) is None


def test_documents_and_revisions_are_told_without_reading_them(
    documents: Documents, cache: Cache, telemetry: Telemetry
) -> None:
    put_service(documents, a_service_summary("a"))
    put_service(documents, a_service_summary("b", tenant="other"))
    (document,) = cache.documents("services", "default/")
    assert document.key == tenant_key("default", "a")
    assert cache.revision("services", document.key) == document.revision > 0
    put_service(documents, a_service_summary("a"))
    assert cache.revision("services", document.key) > document.revision
    assert cache.revision("services", "default/gone") == 0
    assert reads(telemetry, "services", "hit") == reads(telemetry, "services", "miss") == 0


def test_closed_twice_is_closed(documents: Documents, cache: Cache) -> None:
    put_prediction(documents, a_prediction("a"))
    cache.close()
    cache.close()
    put_prediction(documents, a_prediction("b"))
    assert services(cache) == ["a"]
