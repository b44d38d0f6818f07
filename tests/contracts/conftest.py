"""A fresh store of every family for each contract test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.contracts.stores import FAMILIES, Clock, OpenFamily, Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=FAMILIES.values(), ids=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> OpenFamily:
    return request.param


@pytest.fixture
def store(family: OpenFamily, tmp_path: Path, clock: Clock) -> Generator[Store]:
    opened = family(tmp_path / "data", clock)
    yield opened
    opened.close()
