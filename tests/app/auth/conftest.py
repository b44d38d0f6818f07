"""A real store of every family for each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from app.store.contract import Documents
from tests.api_builders import Clock
from tests.contracts.stores import FAMILIES, OpenFamily


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(
    params=[
        pytest.param(FAMILIES["sqlite"], id="folder"),
        pytest.param(FAMILIES["jetstream"], id="cluster", marks=pytest.mark.cluster),
    ]
)
def documents(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Generator[Documents]:
    open_family: OpenFamily = request.param
    opened = open_family(tmp_path, clock)
    yield opened.documents
    opened.close()
