"""What two versions have apart, and what may serve."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from app.versions import compared, must_serve
from features.errors import InvalidValue
from models.registry import Registry
from tests.contracts.stores import FAMILIES, Clock
from tests.ensembles import KEY, add_version


@pytest.fixture
def registry(tmp_path: Path) -> Generator[Registry]:
    store = FAMILIES["sqlite"](tmp_path, Clock())
    yield Registry(store.blobs, store.documents, KEY)
    store.close()


def test_score_that_one_lacks_has_no_difference(registry: Registry) -> None:
    one, other = (registry.version(add_version(registry, hour)) for hour in (1, 2))
    bare = replace(one, record=replace(one.record, scores={"60min.ap": float("nan"), "5min.ap": 0.1}))
    assert compared(bare, other)["scores"] == {
        "5min.ap": {"one": 0.1, "other": None, "difference": None},
        "60min.ap": {"one": None, "other": 0.25, "difference": None},
    }
    assert compared(one, other)["scores"] == {"60min.ap": {"one": 0.25, "other": 0.25, "difference": 0.0}}


def test_what_cannot_be_loaded_must_not_serve(registry: Registry) -> None:
    must_serve(registry, add_version(registry))
    with pytest.raises(InvalidValue, match=r"cannot serve: .* feature schema"):
        must_serve(registry, add_version(registry, schema="d" * 64))
    with pytest.raises(InvalidValue, match=r"'gone' cannot serve: .*not in the manifest"):
        must_serve(registry, "gone")
