"""A real store in a folder for each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from app.store.contract import Documents
from tests.api_builders import Clock
from tests.contracts.stores import FAMILIES


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def documents(tmp_path: Path, clock: Clock) -> Generator[Documents]:
    store = FAMILIES["sqlite"](tmp_path, clock)
    yield store.documents
    store.close()
