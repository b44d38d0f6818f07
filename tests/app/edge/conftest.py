"""A real folder for each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from app.clock import utc_now
from app.settings import StoreSettings
from app.store.contract import Documents
from app.store.sqlite import open_store


@pytest.fixture
def documents(tmp_path: Path) -> Generator[Documents]:
    plan = StoreSettings(commit_window_ms=0.0)
    with open_store(tmp_path / "store", settings=plan, max_in_flight_bytes=2**24, now=utc_now) as store:
        yield store.documents
