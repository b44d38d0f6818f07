"""What people said and reported is read as training takes it, and finds what it was about."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.cache.documents import encode_document, tenant_key
from app.cache.records import FeedbackRecord, IncidentRecord
from app.history.delta import DeltaHistory
from app.history.tables import rows_schema
from app.said import LOOKED_BACK, feedback_of, feedback_plan, reported_of, resolved, said_of
from app.settings import FeedbackSettings
from features.series import SeriesKey
from models.feedback import Feedback, Stretch
from tests.contracts.stores import FAMILIES, Clock, Store
from training.labels import FeedbackPlan, Said

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WEB = SeriesKey("default", "web", "*")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    opened = FAMILIES["sqlite"](tmp_path / "store", Clock())
    yield opened
    opened.close()


def put(store: Store, record: FeedbackRecord | IncidentRecord) -> None:
    bucket = "feedback" if isinstance(record, FeedbackRecord) else "incidents"
    store.documents.put(bucket, tenant_key(record.tenant, record.id), encode_document(record))


def test_verdicts_come_in_the_order_in_which_they_were_given_with_what_took_them_back(store: Store) -> None:
    first = FeedbackRecord("b", "default", NOON, "confirmed", incident_id="i")
    put(store, replace(first, id="undo-b", received_at=NOON + timedelta(seconds=1), undoes="b"))
    put(store, first)
    put(store, replace(first, id="a", tenant="other"))
    assert [(one.id, one.undoes) for one in feedback_of(store.documents, "default")] == [("b", None), ("undo-b", "b")]


def test_what_was_reported_comes_without_what_the_rule_found(store: Store) -> None:
    webhook = IncidentRecord("w", "default", "web", "*", NOON, NOON, None, "webhook", "unknown")
    for record in (webhook, replace(webhook, id="r", source="rule"), replace(webhook, id="o", tenant="other")):
        put(store, record)
    (incident,) = reported_of(store.documents, "default")
    assert (incident.id, incident.series, incident.source, incident.end) == ("w", WEB, "webhook", None)
    assert said_of(store.documents, "default", FeedbackPlan()) == Said((), (incident,))


def test_what_cannot_be_read_is_left_out_and_stops_no_training(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    good = FeedbackRecord("a", "default", NOON, "confirmed", incident_id="i")
    put(store, good)
    put(store, replace(good, id="b", incident_id=None))  # without a target
    webhook = IncidentRecord("w", "default", "web", "*", NOON, NOON, None, "webhook", "unknown")
    put(store, webhook)
    put(store, replace(webhook, id="x", end=NOON - timedelta(hours=1)))
    store.documents.put("feedback", tenant_key("default", "c"), encode_document(good).replace(b"confirmed", b"sensed"))
    store.documents.put("incidents", tenant_key("default", "y"), b"{")
    said = said_of(store.documents, "default", FeedbackPlan())
    assert ([one.id for one in said.feedback], [one.id for one in said.reported]) == (["a"], ["w"])
    assert [record.getMessage().split()[1] for record in caplog.records] == [f"default/{name}" for name in "bcxy"]


def test_the_settings_become_the_plan() -> None:
    settings = FeedbackSettings(time_zone="Europe/Berlin", false_alarm_weight=2.0, max_weight=4.0, half_life_days=1.0)
    assert feedback_plan(settings) == FeedbackPlan("Europe/Berlin", 2.0, 4.0, 86_400.0)
    assert feedback_plan(FeedbackSettings()) == FeedbackPlan()


def predictions(folder: Path, made: dict[str, datetime]) -> DeltaHistory:
    history = DeltaHistory(folder)
    columns: dict[str, object] = {
        "id": list(made),
        "as_of": [int(at.timestamp()) for at in made.values()],
        "tenant": ["default"] * len(made),
        "service": ["web"] * len(made),
        "operation": ["*"] * len(made),
    }
    schema = rows_schema("predictions")
    for field in schema:
        if field.name not in columns:
            empty = [""] * len(made) if pa.types.is_string(field.type) else np.ones(len(made)).tolist()
            columns[field.name] = pa.array(empty).cast(field.type)
    history.append({"predictions": pa.table({name: columns[name] for name in schema.names}, schema)}, {0: 1, 1: 1})
    return history


def test_verdict_on_a_prediction_that_was_replaced_finds_it_in_history(tmp_path: Path) -> None:
    old = NOON - LOOKED_BACK - timedelta(days=1)
    history = predictions(tmp_path, {"p1": NOON - timedelta(hours=7), "p2": NOON, "ancient": old})
    said = [Feedback(name, "false_alarm", "ann", NOON, prediction=name) for name in ("p1", "p2", "ancient", "gone")]
    undo = Feedback("u", "false_alarm", "ann", NOON, prediction="p1", undoes="x")
    known = Feedback("k", "false_alarm", "ann", NOON, prediction="p1", stretch=Stretch(WEB, NOON, NOON + timedelta(minutes=1)))
    found = resolved(Said((*said, undo, known)), history, "default").feedback
    hour = timedelta(hours=1)
    assert [one.stretch for one in found] == [
        Stretch(WEB, NOON - 7 * hour, NOON - 6 * hour),
        Stretch(WEB, NOON, NOON + hour),
        None,
        None,
        None,
        known.stretch,
    ]
    assert resolved(Said((known,)), history, "default") == Said((known,))
