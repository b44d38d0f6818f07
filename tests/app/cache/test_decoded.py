"""Records of a watched bucket, decoded once for each change."""

from __future__ import annotations

from app.cache.decoded import Decoded
from app.cache.documents import encode_document
from app.cache.symptom_records import EdgesRecord
from app.store.contract import Documents


def put(documents: Documents, key: str, as_of_s: int) -> None:
    documents.put("edges", key, encode_document(EdgesRecord("a", key, as_of_s)))


def test_a_record_is_the_same_object_until_its_document_changes(documents: Documents) -> None:
    decoded = Decoded(documents.watch("edges"), EdgesRecord)
    put(documents, "a/x", 1)
    put(documents, "a/y", 1)
    before = decoded.all("a/")
    put(documents, "a/y", 2)
    after = decoded.all("a/")
    assert after["a/x"] is before["a/x"]
    assert after["a/y"].as_of_s == 2
    assert decoded.one("a/x") is before["a/x"]
    assert list(decoded.tenants()) == ["a"]


def test_a_revision_is_that_of_what_was_read(documents: Documents) -> None:
    decoded = Decoded(documents.watch("edges"), EdgesRecord)
    assert decoded.revision("a/x") == 0
    put(documents, "a/x", 1)
    decoded.all()
    read = decoded.revision("a/x")
    put(documents, "a/x", 2)
    assert decoded.revision("a/x") == read > 0
    documents.delete("edges", "a/x")
    assert decoded.all() == {}
    assert decoded.revision("a/x") == 0
    assert decoded.one("a/x") is None


def test_what_cannot_be_read_is_left_out(documents: Documents) -> None:
    decoded = Decoded(documents.watch("edges"), EdgesRecord)
    documents.put("edges", "a/x", b"{}")
    assert (decoded.all(), decoded.one("a/x")) == ({}, None)
