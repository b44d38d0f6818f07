"""The tables of a store's database, and how connections to it are opened.

`app.store.sqlite` opens one writing connection, which makes or checks the tables, and a pool of
reading ones; a writer in WAL mode never blocks them.
"""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from features.errors import InvalidSetting, NewerVersion, SnapshotMismatch, StoreFailed

__all__ = ["SCHEMA_VERSION", "Readers", "connect_writer", "log_table"]

SCHEMA_VERSION = 2
"""Raised whenever a table changes its meaning. 2: offsets of the log are given by `app.store.sqlite_log`, not by SQLite."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE ends ("partition" INTEGER PRIMARY KEY, "offset" INTEGER NOT NULL);
CREATE TABLE heads ("partition" INTEGER PRIMARY KEY, token INTEGER NOT NULL, "offset" INTEGER NOT NULL, owner TEXT NOT NULL);
CREATE TABLE state ("partition" INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY ("partition", key));
CREATE TABLE documents (
    bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL, expires REAL,
    PRIMARY KEY (bucket, key)
);
CREATE INDEX documents_expires ON documents (expires) WHERE expires IS NOT NULL;
"""

PAGE_BYTES = 16_384
"""Bytes of a page of a new database. Messages have kilobytes: with pages of 4 KiB each costs a third more to append (measured)."""

WAL_BYTES = 16 * 2**20
"""Bytes after which the WAL is copied into the database. Guessed; fewer copies than SQLite's 4 MB, a bounded file."""

BUSY_MS = 10_000
"""Milliseconds for which a connection waits for a lock that a foreign reader or a copy tool holds. Guessed."""

MAX_IDLE_READERS = 8
"""Idle reading connections kept. Guessed: a worker, a few API threads, training."""


def log_table(partition: int) -> str:
    """Return the name of a partition's log table; one each, so that every append goes to a tree's right edge.

    Examples
    --------
    >>> log_table(3)
    'log_3'
    """
    return f"log_{partition:d}"


def connect_writer(path: Path, partitions: int) -> sqlite3.Connection:
    """Open the writing connection and make or check the tables.

    Parameters
    ----------
    path : Path
        The database file.
    partitions : int
        Partitions of the log; fixed by the first call.

    Raises
    ------
    InvalidSetting
        When the file was made with another number of partitions.
    SnapshotMismatch
        When the file was made by an older version of the tables than the one before, which is turned into this one.
    NewerVersion
        When a newer release made it.
    StoreFailed
        When the file is no database or cannot be read.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
    except sqlite3.Error as exc:
        raise StoreFailed(f"cannot open {path}: {exc}") from exc
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # a database that is there keeps its own
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an answer means that it survives a power cut
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_BYTES // page_bytes}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES * 4}")
        _make_or_check(connection, path, partitions)
    except sqlite3.Error as exc:
        connection.close()
        raise StoreFailed(f"cannot open {path}: {exc}") from exc
    except (InvalidSetting, SnapshotMismatch):
        connection.close()
        raise
    return connection


def _make_or_check(connection: sqlite3.Connection, path: Path, partitions: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        for statement in TABLES.split(";\n"):
            connection.execute(statement)
        for partition in range(partitions):
            connection.execute(f'CREATE TABLE {log_table(partition)} ("offset" INTEGER PRIMARY KEY, data BLOB NOT NULL)')
        values = [("schema", SCHEMA_VERSION), ("partitions", partitions), ("revision", 0)]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", values)
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if meta["schema"] == SCHEMA_VERSION - 1:
        _upgrade(connection, meta["partitions"])
        meta["schema"] = SCHEMA_VERSION
    connection.execute("COMMIT")
    if meta["schema"] > SCHEMA_VERSION:
        raise NewerVersion(
            f"{path} has tables of version {meta['schema']}, this release reads {SCHEMA_VERSION - 1} and {SCHEMA_VERSION}: "
            "a newer one made them; upgrade this node"
        )
    if meta["schema"] != SCHEMA_VERSION:
        raise SnapshotMismatch(f"{path} has tables of version {meta['schema']}, this program needs version {SCHEMA_VERSION}")
    if meta["partitions"] != partitions:
        raise InvalidSetting(
            f"setting store.partitions: {path.parent} was made with {meta['partitions']} partitions, got {partitions}; "
            "the number is fixed when a data folder is made"
        )


def _upgrade(connection: sqlite3.Connection, partitions: int) -> None:
    """Turn tables of version 1, where SQLite itself gave the offsets, into those of version 2: no offset is given twice."""
    connection.execute('CREATE TABLE ends ("partition" INTEGER PRIMARY KEY, "offset" INTEGER NOT NULL)')
    for partition in range(partitions):
        found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [log_table(partition)]).fetchone()
        if found is not None:
            connection.execute("INSERT INTO ends VALUES (?, ?)", [partition, found[0]])
    connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", [SCHEMA_VERSION])


class Readers:
    """A pool of reading connections, usable from any thread.

    Parameters
    ----------
    path : Path
        The database file; it must exist.
    """

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro"
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(MAX_IDLE_READERS)
        self._closed = False

    @contextmanager
    def borrow(self) -> Generator[sqlite3.Connection]:
        """Lend a connection for the time of a `with` block.

        Raises
        ------
        StoreFailed
            When the database cannot be read or the store is closed.
        """
        if self._closed:
            raise StoreFailed("the store is closed")
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error as exc:
            connection.close()
            raise StoreFailed(f"the store refused a read: {exc}") from exc
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close every idle connection; borrowed ones close when they come back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self._uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
        except sqlite3.Error as exc:
            raise StoreFailed(f"the store refused a read: {exc}") from exc

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            if not self._closed:
                self._idle.put_nowait(connection)
                return
        except queue.Full:
            pass
        connection.close()
