"""Documents in SQLite: the expired ones do not stay on the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from app.settings import StoreSettings
from app.store.sqlite import open_store
from tests.contracts.stores import Clock


def on_disk(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "store.db")
    keys = [key for (key,) in connection.execute("SELECT key FROM documents ORDER BY key")]
    connection.close()
    return keys


def test_expired_documents_are_removed_by_later_writes(tmp_path: Path) -> None:
    clock = Clock()
    with open_store(tmp_path, settings=StoreSettings.model_validate({}), max_in_flight_bytes=1000, now=clock) as store:
        watch = store.documents.watch("errors")
        store.documents.put("errors", "a", b"1", ttl_s=5)
        store.documents.put("errors", "b", b"1", ttl_s=500)
        clock.pass_by(61)
        assert on_disk(tmp_path) == ["a", "b"]
        store.documents.put("errors", "c", b"1")
        assert on_disk(tmp_path) == ["b", "c"]
        assert [document.key for document in watch.items()] == ["b", "c"]
        clock.pass_by(500)
        assert store.documents.purge() == 1
        assert on_disk(tmp_path) == ["c"]
