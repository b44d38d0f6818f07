"""What speaks for training is read from the store, as it stands after any restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cache.documents import encode_document, tenant_key
from app.cache.records import FeedbackRecord, TrainingRun
from app.champion import Champion
from app.members import Members
from app.settings import StoreSettings
from app.situation import situation_of
from app.store.sqlite import SqliteStore, open_store
from features.extract import SCHEMA
from models.ensemble import Ensemble
from models.prediction import HORIZONS
from models.registry import Registry
from models.version import ModelRecord
from tests.ensembles import an_ensemble
from training.triggers import Situation, reason_to_train

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return an_ensemble()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: NOW) as opened:
        yield opened


def registered(store: SqliteStore, fitted: Ensemble, hours_ago: float, promote: bool) -> str:
    at = NOW - timedelta(hours=hours_ago)
    serves = dict.fromkeys(HORIZONS, "ensemble")
    record = ModelRecord(SCHEMA.version, SCHEMA.sha256, at, at, "b" * 64, int(hours_ago), serves, at)
    registry = Registry(store.blobs, store.documents, store.signing_key)
    version = registry.add(fitted, record).id
    if promote:
        registry.promote(version)
    return version


def ran(store: SqliteStore, name: str, hours_ago: float, minutes: float = 6.0, **more: object) -> None:
    begun = NOW - timedelta(hours=hours_ago)
    run = TrainingRun(name, "succeeded", begun, begun, begun + timedelta(minutes=minutes))
    run = replace(run, **more)  # pyright: ignore[reportArgumentType]
    store.documents.put("training-runs", tenant_key(run.tenant, name), encode_document(run))


def asked(store: SqliteStore, members: Members | None = None) -> Situation:
    return situation_of(
        store.documents, Registry(store.blobs, store.documents, store.signing_key), members or Members(), "default", NOW
    )


def test_before_anything_there_is_nothing(store: SqliteStore) -> None:
    assert asked(store) == Situation(incidents=0, new_incidents=0, champion_age_s=None)


def test_a_model_is_as_old_as_it_is_and_what_is_known_of_it_counts(store: SqliteStore, fitted: Ensemble) -> None:
    members = Members()
    members.promote(Champion(registered(store, fitted, 7, promote=True), fitted))
    members.began(4)
    members.drifts.risen = True
    found = asked(store, members)
    assert (found.champion_age_s, found.new_incidents, found.champion_fits) == (7 * 3600.0, 4, True)
    assert found.drifts == ("its loss has risen",)


def test_a_model_that_was_promoted_a_moment_ago_fits_and_has_no_signs_of_the_one_before(
    store: SqliteStore, fitted: Ensemble
) -> None:
    members = Members()
    members.promote(Champion(registered(store, fitted, 30, promote=True), fitted))
    members.began(9)
    members.drifts.risen = True
    registered(store, fitted, 7, promote=True)
    found = asked(store, members)
    assert (found.champion_fits, found.drifts, found.new_incidents) == (True, (), 0)
    assert reason_to_train(replace(found, incidents=50)) is None


def test_a_model_of_another_schema_does_not_fit(store: SqliteStore, fitted: Ensemble) -> None:
    name = registered(store, fitted, 7, promote=True)
    document = store.documents.get("models", f"default/version/{name}")
    assert document is not None
    store.documents.put("models", f"default/version/{name}", document.value.replace(SCHEMA.sha256.encode(), b"a" * 64))
    assert asked(store).champion_fits is False


def said(store: SqliteStore, name: str, hours_ago: float) -> None:
    at = NOW - timedelta(hours=hours_ago)
    record = FeedbackRecord(name, "default", at, "false_alarm", prediction_id=name)
    store.documents.put("feedback", tenant_key("default", name), encode_document(record))


def test_verdicts_are_new_until_a_run_has_heard_them_whatever_came_of_it(store: SqliteStore, fitted: Ensemble) -> None:
    said(store, "f1", 40)
    assert asked(store).new_feedback == 0
    registered(store, fitted, 30, promote=True)
    said(store, "f2", 20)
    said(store, "f3", 5)
    assert asked(store).new_feedback == 2
    ran(store, "failed", 3, state="failed")
    assert asked(store).new_feedback == 2
    ran(store, "refused", 10, model_version=registered(store, fitted, 10, promote=False))
    assert asked(store).new_feedback == 1


def test_attempts_count_as_fruitless_until_one_came_to_serve(store: SqliteStore, fitted: Ensemble) -> None:
    ran(store, "first", 30, model_version=registered(store, fitted, 30, promote=True))
    assert (asked(store).fruitless, asked(store).last_attempt_s) == (0, 30 * 3600.0)
    ran(store, "second", 20, model_version=registered(store, fitted, 20, promote=False))
    ran(store, "third", 10, state="failed", error="too few incidents")
    ran(store, "another tenant's", 1, tenant="red", state="failed")
    assert (asked(store).fruitless, asked(store).last_attempt_s) == (2, 10 * 3600.0)
    ran(store, "under way", 1, state="running", ended_at=None)
    assert (asked(store).fruitless, asked(store).last_attempt_s) == (2, 3600.0)
    ran(store, "fourth", 0.5, model_version=registered(store, fitted, 0.5, promote=True))
    assert asked(store).fruitless == 0
    Registry(store.blobs, store.documents, store.signing_key).rollback()
    assert asked(store).fruitless == 3


def test_cost_is_what_was_worked_within_a_day(store: SqliteStore) -> None:
    ran(store, "long ago", 30)
    ran(store, "queued", 1, state="queued", started_at=None, ended_at=None)
    assert asked(store).cost_s == 0.0
    ran(store, "half of it", 24.05)  # began three minutes before the day, and took six
    ran(store, "whole", 3, state="failed")
    ran(store, "until now", 0.5, state="running", ended_at=None)
    assert asked(store).cost_s == pytest.approx(3 * 60 + 6 * 60 + 30 * 60)
