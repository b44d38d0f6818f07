"""What is gathered of a tenant out of documents."""

from __future__ import annotations

from dataclasses import replace

from app.alerts.known import Known
from app.cache.alert_records import MatcherRecord, SilenceRecord, ThresholdRecord
from app.cache.documents import encode_document, tenant_key
from app.store.contract import Documents
from tests.alert_builders import an_alert, at
from tests.api_builders import a_prediction, an_incident, put_incident, put_prediction


def test_a_situation_holds_what_documents_say_of_the_tenant_alone(documents: Documents) -> None:
    known = Known(documents, 900.0, 60.0)
    put_prediction(documents, a_prediction(risk=0.4))
    put_prediction(documents, a_prediction("cart", tenant="red"))
    put_incident(documents, an_incident("i1", lasts=True))
    put_incident(documents, an_incident("i2"))
    silence = SilenceRecord("s1", "default", (MatcherRecord("service", "*"),), at(0), at(60), "ann", "", at(0))
    threshold = ThresholdRecord("default", "pages", 2.0, 0.4, 0.2, "history", at(0))
    group = {
        "id": "g1",
        "tenant": "default",
        "start": "2026-03-02T12:00:00Z",
        "end": None,
        "services": [{"service": "payment", "since": "2026-03-02T12:00:00Z", "errors": 3, "order": 1}, {"service": "web"}],
        "causes": [{"service": "payment", "score": 0.8, "reasons": []}],
    }
    for bucket, key, record in (
        ("alerts", "a-1", an_alert()),
        ("silences", "s1", silence),
        ("thresholds", "pages", threshold),
        ("groups", "g1", group),
        ("groups", "g2", group | {"id": "g2", "end": "2026-03-02T13:00:00Z"}),
        (
            "edges",
            "web",
            {"tenant": "default", "caller": "web", "as_of_s": 60, "callees": [{"callee": "payment", "calls": 3.0}]},
        ),
    ):
        documents.put(bucket, tenant_key("default", key), encode_document(record))
    assert known.tenants() == ["default", "red"]
    found = known.situation("default", at(1))
    (seen,) = found.observations
    assert (seen.service, seen.probabilities["60min"], seen.reasons) == ("payment", 0.4, ("errors rise",))
    assert [incident.id for incident in found.incidents] == ["i1"]
    assert (found.alerts, found.silences, dict(found.thresholds)) == ([an_alert()], [silence], {"pages": threshold})
    assert [(group.id, group.services, group.cause) for group in found.groups] == [("g1", ("payment", "web"), "payment")]
    assert found.calls == {"web": frozenset({"payment"})}
    known.close()


def test_single_operations_are_not_decoded_where_no_route_looks_at_them(documents: Documents) -> None:
    put_prediction(documents, a_prediction())
    put_prediction(documents, a_prediction(operation="POST /charge"))
    for operations, n in ((True, 2), (False, 1)):
        known = Known(documents, 900.0, 60.0, operations=operations)
        assert len(known.situation("default", at(0)).observations) == n
        known.close()


def test_news_is_told_by_the_number_of_changes(documents: Documents) -> None:
    known = Known(documents, 900.0, 60.0)
    before = known.changes
    assert known.changes == before
    put_prediction(documents, a_prediction())
    assert known.changes != before
    known.close()


def test_what_is_written_again_is_seen_anew_with_its_revision(documents: Documents) -> None:
    known, key = Known(documents, 900.0, 60.0), tenant_key("default", "a-1")
    documents.put("alerts", key, encode_document(an_alert()))
    known.situation("default", at(0))
    first = known.alerts.revision(key)
    documents.put("alerts", key, encode_document(replace(an_alert(), state="silenced")))
    assert known.situation("default", at(0)).alerts[0].state == "silenced"
    assert known.alerts.revision(key) > first
    known.close()
