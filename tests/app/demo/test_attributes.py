"""Spans and processes carry the attributes of the semantic conventions."""

from __future__ import annotations

from app.demo.attributes import peer, resource_attributes, span_attributes, span_kind, span_name, words
from app.demo.minute import Identity
from app.demo.shop import EDGES, OPERATIONS
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from app.demo.traces import CALL, DEPEND, ENTRY

CHARGE = next(i for i, op in enumerate(OPERATIONS) if op.name == "POST /charges")
TO_CHARGE = next(i for i, edge in enumerate(EDGES) if edge.callee == "payment POST /charges")


def test_every_span_has_a_name_a_kind_and_attributes() -> None:
    for role, n in ((ENTRY, len(OPERATIONS)), (CALL, len(EDGES)), (DEPEND, len(OPERATIONS))):
        for ref in range(n):
            assert span_name(role, ref)
            assert 1 <= span_kind(role, ref) <= 5
            assert span_attributes(role, ref, 200, 0)
            assert "error.type" not in span_attributes(role, ref, 200, 0)


def test_both_ends_of_a_call_name_the_same_place() -> None:
    client, server = span_attributes(CALL, TO_CHARGE, 200, 0), span_attributes(ENTRY, CHARGE, 200, 0)
    assert client["server.address"] == server["server.address"] == "payment"
    assert client["server.port"] == server["server.port"]
    assert peer(CALL, TO_CHARGE) == ("payment", 8086)


def test_a_call_that_nobody_answered_has_no_status() -> None:
    assert span_attributes(CALL, TO_CHARGE, 504, int(Symptom.CUT))["error.type"] == "timeout"
    assert "http.response.status_code" not in span_attributes(CALL, TO_CHARGE, 503, int(Symptom.REFUSED))


def test_a_throttled_call_answers_429() -> None:
    found = span_attributes(DEPEND, CHARGE, 503, int(Symptom.THROTTLED))
    assert found["http.response.status_code"] == 429
    assert found["peer.service"] == "bank-api"


def test_databases_and_messages_name_their_system() -> None:
    systems = {span_attributes(DEPEND, ref, 200, 0).get("db.system.name") for ref in range(len(OPERATIONS))}
    assert {"postgresql", "redis", "mysql", "mongodb", "microsoft.sql_server", "opensearch"} <= systems
    queued = next(i for i, edge in enumerate(EDGES) if edge.queued)
    assert span_attributes(CALL, queued, 200, 0)["messaging.operation.type"] == "send"


def test_a_process_says_version_and_instance() -> None:
    found = resource_attributes(5, int(TOPOLOGY.instances[0][5]) + 1, Identity("7.0.4", "abc"))
    assert (found["service.name"], found["service.version"], found["service.instance.id"]) == ("payment", "7.0.4", "abc")
    assert found["host.name"] == "payment-1"


def test_words_name_the_failing_call_or_the_dependency() -> None:
    checkout = TOPOLOGY.services.index("checkout")
    place = int(TOPOLOGY.ends[0][TO_CHARGE])
    assert words(checkout, ENTRY, place, TO_CHARGE, 503)["peer"] == "payment:8086"
    assert words(checkout, ENTRY, place, -1, 503)["peer"] == "checkout.redis.internal:6379"
