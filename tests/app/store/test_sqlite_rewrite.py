"""A stopped store is changed in one transaction, gives no offset twice, and keeps nothing of what was removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.settings import StoreSettings
from app.store.contract import Commit, Rewriting
from app.store.sqlite import SqliteStore, open_store
from app.store.sqlite_rewrite import partitions_of, rewrite
from features.errors import StoreFailed

SETTINGS = StoreSettings(partitions=2, commit_window_ms=0.0)


def opened(folder: Path) -> SqliteStore:
    return open_store(folder, settings=SETTINGS, max_in_flight_bytes=2**20, now=lambda: datetime.now(UTC))


def filled(folder: Path) -> None:
    with opened(folder) as store:
        for number in range(600):
            store.log.append(number % 2, str(number), b"secret %d" % number if number % 3 == 0 else b"plain %d" % number)
        token = store.checkpoints.acquire(1, "me").token
        store.checkpoints.commit_all([Commit(1, token, 5, {"a": b"secret", "b": b"plain", "c": b"secret too"})])
        for number in range(3):
            store.documents.put("errors", str(number), b"secret" if number else b"plain")


def without_secrets(data: bytes) -> bytes | None:
    return None if b"secret" in data else data


def fewer(_partition: int, state: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {key: value.replace(b"secret", b"*") for key, value in state.items() if key != "c"} | (
        {"d": b"new"} if state else {}
    )


def none(digest: str) -> bool:
    raise AssertionError(f"no blob goes, got {digest}")


REMOVE = Rewriting(without_secrets, fewer, lambda _bucket, _key, value: without_secrets(value))


def test_what_was_removed_is_in_no_byte_of_the_file_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path)
    assert b"secret" in (tmp_path / "store.db").read_bytes()
    assert rewrite(tmp_path / "store.db", 2, REMOVE, none) == {"entries": 200, "state": 3, "documents": 2, "models": 0}
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.glob("store.db*"))
    with opened(tmp_path) as store:
        assert [entry.data for number in range(2) for entry in store.log.read(number, 0)] == [
            b"plain %d" % number for part in range(2) for number in range(part, 600, 2) if number % 3
        ]
        assert store.log.size() == sum(len(b"plain %d" % number) for number in range(600) if number % 3)
        head = store.checkpoints.acquire(1, "me")
        assert (head.offset, dict(head.state)) == (5, {"a": b"*", "b": b"plain", "d": b"new"})
        assert [document.key for document in store.documents.items("errors")] == ["0"]


def test_the_offset_of_a_removed_entry_is_never_given_again(tmp_path: Path) -> None:
    filled(tmp_path)
    everything = Rewriting(lambda _data: None, lambda _partition, state: state, lambda _bucket, _key, value: value)
    rewrite(tmp_path / "store.db", 2, everything, none)
    with opened(tmp_path) as store:
        assert (store.log.end(0), store.log.end(1)) == (300, 300)
        assert store.log.append(0, "next", b"next") == 301


def test_a_failure_changes_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        before = list(connection.iterdump())

    def fails(_bucket: str, _key: str, _value: bytes) -> bytes:
        raise sqlite3.OperationalError("disk is full")

    with pytest.raises(StoreFailed, match="disk is full"):
        rewrite(tmp_path / "store.db", 2, Rewriting(without_secrets, fewer, fails), none)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert list(connection.iterdump()) == before


def test_entries_that_change_stay_in_their_place(tmp_path: Path) -> None:
    filled(tmp_path)
    upper = Rewriting(bytes.upper, lambda _partition, state: state, lambda _bucket, _key, value: value)
    assert rewrite(tmp_path / "store.db", 2, upper, none)["entries"] == 600
    with opened(tmp_path) as store:
        entries = store.log.read(0, 0)
        assert [entry.offset for entry in entries] == list(range(1, 301))
        assert entries[1].data == b"PLAIN 2"


def test_what_lies_elsewhere_goes_before_anything_is_committed(tmp_path: Path) -> None:
    filled(tmp_path)
    seen: list[tuple[str, int]] = []

    def remove(digest: str) -> bool:
        with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
            seen.append((digest, connection.execute("SELECT count(*) FROM documents").fetchone()[0]))
        return digest == "a"

    going = replace(REMOVE, blobs=lambda: frozenset({"b", "a"}))
    done = rewrite(tmp_path / "store.db", 2, going, remove)
    assert (done["documents"], done["models"]) == (2, 1)
    assert seen == [("a", 3), ("b", 3)]


def test_a_database_says_how_many_partitions_it_has(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / "store.db"
    assert partitions_of(path) == SETTINGS.partitions
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM meta WHERE name = 'partitions'")
    with pytest.raises(StoreFailed, match="must say how many partitions"):
        partitions_of(path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreFailed, match="cannot open"):
        partitions_of(path)
