"""What speaks for training is read from the store, as it stands after any restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cache.documents import encode_document, tenant_key
from app.cache.records import TrainingRun
from app.members import Members
from app.settings import StoreSettings
from app.situation import situation_of
from app.store.sqlite import SqliteStore, open_store
from features.extract import SCHEMA
from models.prediction import HORIZONS
from models.registry import Registry
from models.version import ModelRecord
from tests.training_rows import simulated_rows
from training.fit import Fitted, fit
from training.triggers import Situation

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(simulated_rows(n_series=2, n_noise=0), members=("linear",))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: NOW) as opened:
        yield opened


def registered(store: SqliteStore, fitted: Fitted, hours_ago: float, promote: bool) -> str:
    at = NOW - timedelta(hours=hours_ago)
    serves = dict.fromkeys(HORIZONS, "ensemble")
    record = ModelRecord(SCHEMA.version, SCHEMA.sha256, at, at, "b" * 64, int(hours_ago), serves, at)
    registry = Registry(store.blobs, store.documents, store.signing_key)
    version = registry.add(fitted.ensemble, record).id
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


def test_a_model_is_as_old_as_it_is_and_one_that_is_not_loaded_does_not_fit(store: SqliteStore, fitted: Fitted) -> None:
    registered(store, fitted, 7, promote=True)
    members = Members()
    members.began(4)
    found = asked(store, members)
    assert (found.champion_age_s, found.new_incidents) == (7 * 3600.0, 4)
    assert found.champion_fits is False
    assert found.drifts == ()


def test_attempts_count_as_fruitless_until_one_came_to_serve(store: SqliteStore, fitted: Fitted) -> None:
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


def test_cost_is_what_was_worked_within_a_day(store: SqliteStore) -> None:
    ran(store, "long ago", 30)
    ran(store, "queued", 1, state="queued", started_at=None, ended_at=None)
    assert asked(store).cost_s == 0.0
    ran(store, "half of it", 24.05)  # began three minutes before the day, and took six
    ran(store, "whole", 3, state="failed")
    ran(store, "until now", 0.5, state="running", ended_at=None)
    assert asked(store).cost_s == pytest.approx(3 * 60 + 6 * 60 + 30 * 60)
