"""How the database of a store is opened, for one writer and many readers."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.store.sqlite_schema import Readers, connect_writer
from features.errors import StoreFailed


def test_the_writer_keeps_every_promise_about_power_cuts(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "db", 2)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_the_log_before_the_copy_holds_as_many_bytes_whatever_the_pages(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "small") as old:
        old.execute("PRAGMA page_size=4096")
        old.execute("CREATE TABLE t (x)")
    old.close()
    for name, page_bytes in (("small", 4096), ("new", 16384)):
        connection = connect_writer(tmp_path / name, 2)
        assert connection.execute("PRAGMA page_size").fetchone() == (page_bytes,)
        assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (2**24 // page_bytes,)
        connection.close()


def test_a_database_in_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="gone"):
        connect_writer(tmp_path / "gone" / "db", 2)


def test_more_readers_than_the_pool_keeps_are_served_and_closed(tmp_path: Path) -> None:
    connect_writer(tmp_path / "db", 2).close()
    readers = Readers(tmp_path / "db")
    with ExitStack() as stack:
        connections = [stack.enter_context(readers.borrow()) for _ in range(20)]
        assert {connection.execute("SELECT count(*) FROM meta").fetchone() for connection in connections} == {(3,)}
    with readers.borrow() as connection:
        assert connection in connections
    readers.close()


def test_a_reader_cannot_write_and_its_error_costs_only_its_connection(tmp_path: Path) -> None:
    connect_writer(tmp_path / "db", 2).close()
    readers = Readers(tmp_path / "db")
    with pytest.raises(StoreFailed, match="readonly"), readers.borrow() as connection:
        connection.execute("DELETE FROM meta")
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    with readers.borrow() as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (3,)
    readers.close()


def test_an_error_of_the_borrower_gives_the_connection_back(tmp_path: Path) -> None:
    connect_writer(tmp_path / "db", 2).close()
    readers = Readers(tmp_path / "db")
    with pytest.raises(KeyError), readers.borrow() as first:
        raise KeyError
    with readers.borrow() as second:
        assert second is first
        readers.close()
    with pytest.raises(sqlite3.ProgrammingError):
        second.execute("SELECT 1")
    with pytest.raises(StoreFailed, match="closed"), readers.borrow():
        pass


def test_a_database_that_is_gone_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="read"), Readers(tmp_path / "gone").borrow():
        pass
