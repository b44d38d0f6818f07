"""What is published of symptoms and calls comes back as what causes are ranked by."""

from __future__ import annotations

from app.cache.documents import decode_document, encode_document
from app.cache.symptom_records import CalleeRecord, EdgesRecord, SymptomsRecord
from features.symptom import Edge, Symptom, Symptoms


def test_symptoms_survive_their_document() -> None:
    shown = (Symptom("latency", 60, 12.0, 0.5, 0.1, "GET /", "x"),)
    record = SymptomsRecord("a", "web", 120, shown, (7, 9), errors=(1.0, 2.0))
    again = decode_document(encode_document(record), SymptomsRecord)
    assert again == record
    assert again.shown() == Symptoms("a", "web", 120, shown, (7, 9))


def test_errors_are_counted_by_the_start_of_their_window() -> None:
    record = SymptomsRecord("a", "web", 300, (), errors=(1.0, 2.0, 4.0))
    assert record.errors_between(120, 240) == 3.0
    assert record.errors_between(121, 10_000) == 6.0
    assert record.errors_between(300, 600) == 0.0


def test_edges_survive_their_document() -> None:
    record = EdgesRecord("a", "web", 60, (CalleeRecord("cart", 9.0, 2.0, 60.0),))
    assert decode_document(encode_document(record), EdgesRecord).edges() == [Edge("a", "web", "cart", 9.0, 2.0, 60.0)]
