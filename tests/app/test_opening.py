"""Which store is opened follows the settings, and nothing is made where a name was mistyped."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.opening import join_target, made, open_alone, store_of
from app.settings import load_settings
from app.store.moving import say_moved
from app.store.sqlite import SqliteStore
from app.telemetry import Telemetry
from features.errors import DataInUse, InvalidSetting, InvalidValue


def test_a_folder_is_made_by_its_store_and_has_to_be_there_for_who_only_reads(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data")
    with pytest.raises(InvalidValue, match=r"data is no data folder of Foreshock: there is no store\.db in it"):
        made(settings)
    with closing(store_of(settings, Telemetry())) as store:
        assert isinstance(store, SqliteStore)
        store.documents.put("demo", "a", b"1")
        with pytest.raises(DataInUse, match="is held by process"):
            open_alone(settings)
    assert made(settings) is settings
    with closing(open_alone(settings)) as store:
        found = store.documents.get("demo", "a")
        assert found is not None
        assert found.value == b"1"


def test_a_cluster_needs_no_folder(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data", nats_url="nats://127.0.0.1:1")
    assert made(settings) is settings
    for opened in (open_alone, join_target):
        with pytest.raises(InvalidSetting, match=r"setting cluster\.monitor_urls must name"):
            opened(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_moved_is_not_opened(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)
    open_alone(settings).close()
    say_moved(tmp_path, "nats://n1:4222", datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(InvalidSetting, match="n1:4222"):
        store_of(settings, Telemetry())
