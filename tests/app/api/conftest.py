"""A real store of every family for each test, and the REST API over it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from app.store.contract import Documents
from tests.api_builders import Api, Clock
from tests.contracts.stores import FAMILIES, OpenFamily, Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(
    params=[
        pytest.param(FAMILIES["sqlite"], id="folder"),
        pytest.param(FAMILIES["jetstream"], id="cluster", marks=pytest.mark.cluster),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Generator[Store]:
    open_family: OpenFamily = request.param
    opened = open_family(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def documents(store: Store) -> Documents:
    return store.documents


@pytest.fixture
def api(store: Store, clock: Clock) -> Api:
    return Api(store.documents, clock, blobs=store.blobs)
