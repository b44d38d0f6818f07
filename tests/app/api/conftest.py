"""A real store in a temporary folder for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import StoreSettings
from app.store.contract import Documents
from app.store.sqlite import SqliteStore, open_store
from tests.api_builders import Api, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    with open_store(tmp_path, settings=StoreSettings(commit_window_ms=0.0), max_in_flight_bytes=2**24, now=clock) as store:
        yield store


@pytest.fixture
def documents(store: SqliteStore) -> Documents:
    return store.documents


@pytest.fixture
def api(store: SqliteStore, clock: Clock) -> Api:
    return Api(store.documents, clock, blobs=store.blobs)
