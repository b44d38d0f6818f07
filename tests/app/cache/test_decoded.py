"""Records of a watched bucket, decoded once."""

from __future__ import annotations

from app.cache.decoded import Decoded
from app.cache.documents import encode_document
from app.cache.records import ServiceSummary
from app.store.contract import Document, Documents
from app.store.watched import Change, WatchedBucket
from tests.api_builders import a_service_summary


def test_a_record_is_the_same_object_until_it_is_written_again(documents: Documents) -> None:
    decoded = Decoded(documents.watch("services"), ServiceSummary)
    documents.put("services", "default/payment", encode_document(a_service_summary()))
    first = decoded.all()["default/payment"]
    assert decoded.one("default/payment") is first
    assert list(decoded.tenants()) == ["default"]
    documents.put("services", "default/payment", encode_document(a_service_summary()))
    assert decoded.one("default/payment") is not first
    decoded.watch.close()


def test_what_was_read_one_by_one_and_is_gone_takes_no_memory() -> None:
    watch = WatchedBucket(lambda: 0.0, lambda _: None)
    decoded, kept = Decoded(watch, ServiceSummary), encode_document(a_service_summary())
    for number in range(3000):
        key = f"default/{number}"
        watch.apply([Change("services", key, Document(key, kept, number), None)])
        assert decoded.one(key) is not None
        watch.apply([Change("services", key, None, None)])
    assert decoded.size <= 1024


def test_what_is_absent_or_unreadable_is_left_out_and_what_is_gone_forgotten(documents: Documents) -> None:
    decoded = Decoded(documents.watch("services"), ServiceSummary)
    documents.put("services", "default/odd", b"[]")
    documents.put("services", "default/payment", encode_document(a_service_summary()))
    assert list(decoded.all("default/")) == ["default/payment"]
    assert (decoded.one("default/odd"), decoded.one("default/none")) == (None, None)
    assert decoded.revision("default/payment") > 0
    assert list(decoded.all("default/", "/payment")) == ["default/payment"]
    documents.delete("services", "default/payment")
    assert decoded.all() == {}
    assert decoded.revision("default/payment") == 0
    decoded.watch.close()
