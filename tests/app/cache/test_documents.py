"""Keys and bytes of documents."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.documents import (
    decode_document,
    encode_document,
    incident_document,
    prediction_document,
    prediction_key,
    tenant_key,
)
from app.cache.records import IncidentRecord, PredictionRecord, RecentErrors
from features.errors import InvalidValue
from features.incident import Incident
from features.series import SeriesKey
from models.prediction import HORIZONS
from models.version import ModelRecord, ModelVersion
from tests.api_builders import NOON, a_prediction, an_error_event, an_error_group, an_explanation

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(text, text, text, text)
def test_different_names_never_share_a_key(one: str, two: str, three: str, four: str) -> None:
    assert (tenant_key(one, two) == tenant_key(three, four)) == ((one, two) == (three, four))


@given(text, text)
def test_a_key_holds_no_slash_but_between_its_parts(service: str, operation: str) -> None:
    assert tenant_key("default", service, operation).count("/") == 2


def test_prediction_key_leads_with_the_tenant() -> None:
    assert prediction_key(SeriesKey("a", "shop/cart", "*")) == "a/shop%2Fcart/%2A"


def test_prediction_comes_back_from_its_document() -> None:
    prediction = a_prediction()
    record = decode_document(prediction_document(prediction, an_explanation()), PredictionRecord)
    assert (record.tenant, record.service, record.operation) == ("default", "payment", "*")
    assert record.horizons == prediction.horizons
    assert record.reasons == prediction.reasons
    assert record.as_of == NOON
    assert record.explanation is not None
    assert record.explanation.advice == an_explanation().advice


def test_document_has_the_members_that_the_design_names() -> None:
    body = json.loads(prediction_document(a_prediction(), an_explanation()))
    assert list(body) == [
        *("id", "tenant", "service", "operation", "as_of", "status", "horizons", "categories", "reasons", "anomaly"),
        *("model_version", "expires_at", "explanation", "serving", "feedback"),
    ]
    assert body["as_of"] == "2026-03-02T12:00:00Z"
    assert body["explanation"]["groups"][0]["values"] == {"errors_log_5": 2.0, "slope": None}
    assert body["explanation"]["members"] == {"batch": 0.4, "online": None, "prior": 0.2}


def test_incident_comes_back_from_its_document() -> None:
    incident = Incident("i1", SeriesKey("a", "cart", "*"), NOON, NOON + timedelta(minutes=2), None, "rule", "network")
    record = decode_document(incident_document(incident, {"60min": 0.5}), IncidentRecord)
    assert record == IncidentRecord(
        "i1", "a", "cart", "*", NOON, NOON + timedelta(minutes=2), None, "rule", "network", {"60min": 0.5}
    )


def test_recent_errors_come_back_from_their_document() -> None:
    recent = RecentErrors((an_error_group(),), (an_error_event(trace_id="ab"),))
    assert decode_document(encode_document(recent), RecentErrors) == recent


def test_model_version_is_read_in_the_registrys_own_form_even_with_a_nan_score() -> None:
    record = ModelRecord(
        1, "a" * 64, NOON, NOON, "b" * 64, 0, dict.fromkeys(HORIZONS, "ensemble"), NOON, {"60min.ap": float("nan")}
    )
    version = ModelVersion("v1", "c" * 64, record, "candidate", "1", "2", "3")
    assert decode_document(version.to_json(), ModelVersion).record.scores["60min.ap"] != 0.0


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"groups":1}', b"\xff"])
def test_what_is_no_such_document_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidValue, match="not a RecentErrors"):
        decode_document(value, RecentErrors)


@pytest.mark.parametrize("value", [b"{}", b"[]", b"{", b'{"record": 1}'])
def test_what_is_no_model_version_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidValue, match="not a ModelVersion"):
        decode_document(value, ModelVersion)
