"""Buckets of small documents in SQLite: revision, compare-and-set, expiry and watch.

The API and the worker put and read them; `app.store.sqlite_checkpoints` publishes them inside a
commit through the same functions. A watch is a copy in memory that the writer keeps current.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.store.contract import Document, Output
from app.store.group_commit import GroupCommit
from app.store.sqlite_schema import Readers
from app.store.watched import Change, WatchedBucket, WatchedBuckets
from features.errors import Conflict

__all__ = ["SqliteDocuments", "publish"]

PURGE_S = 60.0
"""Seconds between removals of expired documents, which nobody sees any more. Guessed."""

PURGE_ROWS = 5000
"""Documents removed at a time. Guessed: some ten milliseconds of the writer."""


def publish(connection: sqlite3.Connection, outputs: Iterable[Output], now_s: float) -> list[Change]:
    """Write and delete documents on the writing connection.

    Parameters
    ----------
    connection : sqlite3.Connection
        Inside a transaction.
    outputs : iterable of Output
        What to write, in order.
    now_s : float
        Unix seconds from which times to live count.

    Returns
    -------
    list of Change
        For the watches, once the transaction is durable.
    """
    revision = connection.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()[0]
    changes: list[Change] = []
    for output in outputs:
        if output.value is None:
            connection.execute("DELETE FROM documents WHERE bucket = ? AND key = ?", (output.bucket, output.key))
            changes.append(Change(output.bucket, output.key, None, None))
            continue
        revision += 1
        expires = None if output.ttl_s is None else now_s + output.ttl_s
        connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?) ON CONFLICT (bucket, key) "
            "DO UPDATE SET value = excluded.value, revision = excluded.revision, expires = excluded.expires",
            (output.bucket, output.key, output.value, revision, expires),
        )
        changes.append(Change(output.bucket, output.key, Document(output.key, bytes(output.value), revision), expires))
    connection.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (revision,))
    return changes


@dataclass(frozen=True, slots=True)
class _Swap:
    output: Output
    revision: int
    now_s: float

    def __call__(self, connection: sqlite3.Connection) -> list[Change]:
        bucket, key = self.output.bucket, self.output.key
        row = connection.execute(
            "SELECT revision FROM documents WHERE bucket = ? AND key = ? AND (expires IS NULL OR expires > ?)",
            (bucket, key, self.now_s),
        ).fetchone()
        found = 0 if row is None else row[0]
        if found != self.revision:
            raise Conflict(f"document {bucket}/{key} must have revision {self.revision}, got {found}")
        return publish(connection, [self.output], self.now_s)


class SqliteDocuments:
    """The `Documents` of one data folder.

    Parameters
    ----------
    writer : GroupCommit
        The one writer.
    readers : Readers
        Where reads go.
    now : Callable
        The clock that expiry follows; aware.
    """

    def __init__(self, writer: GroupCommit, readers: Readers, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now
        self._watched = WatchedBuckets(self._now_s)
        self._purge_due_s = 0.0

    def get(self, bucket: str, key: str) -> Document | None:
        """Return a document, None when absent or expired."""
        with self._readers.borrow() as connection:
            row = connection.execute(
                "SELECT key, value, revision FROM documents WHERE bucket = ? AND key = ? AND (expires IS NULL OR expires > ?)",
                (bucket, key, self._now_s()),
            ).fetchone()
        return None if row is None else Document(*row)

    def put(self, bucket: str, key: str, value: bytes, *, ttl_s: float | None = None) -> int:
        """Write a document and return its revision, which rises over the whole store."""
        return self._write([Output(bucket, key, value, ttl_s)])

    def swap(self, bucket: str, key: str, value: bytes, revision: int, *, ttl_s: float | None = None) -> int:
        """Write a document if its revision is the given one; see `Documents.swap`."""
        swap = _Swap(Output(bucket, key, value, ttl_s), revision, self._now_s())
        return _revision(self._writer.change(swap, self.committed))

    def add_all(self, bucket: str, values: Mapping[str, bytes]) -> None:
        """Write documents that must not exist, all or none; see `Documents.add_all`."""
        now_s = self._now_s()
        swaps = [_Swap(Output(bucket, key, value), 0, now_s) for key, value in values.items()]
        self._writer.change(lambda connection: [c for swap in swaps for c in swap(connection)], self.committed)

    def delete(self, bucket: str, key: str) -> None:
        """Remove a document; absent is fine."""
        self._write([Output(bucket, key, None)])

    def items(self, bucket: str, prefix: str = "") -> list[Document]:
        """Return the live documents whose key starts with a prefix, by key."""
        with self._readers.borrow() as connection:
            rows = connection.execute(
                "SELECT key, value, revision FROM documents "
                "WHERE bucket = ? AND key >= ? AND (expires IS NULL OR expires > ?) ORDER BY key",
                (bucket, prefix, self._now_s()),
            )
            documents: list[Document] = []
            for key, value, revision in rows:
                if not key.startswith(prefix):
                    break
                documents.append(Document(key, value, revision))
            rows.close()
        return documents

    def everything(self) -> Iterator[Output]:
        """Return all live documents of all buckets, each with the seconds that it has left; see `app.store.moving`."""
        now_s = self._now_s()
        with self._readers.borrow() as connection:
            rows = connection.execute(
                "SELECT bucket, key, value, expires FROM documents WHERE expires IS NULL OR expires > ? ORDER BY bucket, key",
                (now_s,),
            )
            for bucket, key, value, expires in rows:
                yield Output(bucket, key, value, None if expires is None else expires - now_s)

    def watch(self, bucket: str) -> WatchedBucket:
        """Return a live copy of a bucket, warm when the call returns and current when a write returns."""

        def load(connection: sqlite3.Connection) -> list[Change]:
            rows = connection.execute("SELECT key, value, revision, expires FROM documents WHERE bucket = ?", (bucket,))
            return [Change(bucket, key, Document(key, value, revision), expires) for key, value, revision, expires in rows]

        watch = self._watched.make(bucket)
        # Loaded by the writer, in its order: no change can come between the load and the first update.
        self._writer.change(load, lambda changes: self._watched.open(watch, changes))
        return watch

    def committed(self, changes: Sequence[Change]) -> None:
        """Bring the watches up to date with what became durable; called on the writer's thread."""
        self._watched.apply(changes)

    def purge(self) -> int:
        """Remove expired documents from disk and memory, a bounded number of them.

        Returns
        -------
        int
            How many were removed from disk.
        """
        now_s = self._now_s()

        def change(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents "
                "WHERE expires IS NOT NULL AND expires <= ? ORDER BY expires LIMIT ?)",
                (now_s, PURGE_ROWS),
            ).rowcount

        return self._writer.change(change, lambda _: self._watched.purge(now_s))

    def _write(self, outputs: Sequence[Output]) -> int:
        now_s = self._now_s()
        if now_s >= self._purge_due_s:
            self._purge_due_s = now_s + PURGE_S
            self.purge()
        return _revision(self._writer.change(lambda connection: publish(connection, outputs, now_s), self.committed))

    def _now_s(self) -> float:
        return self._now().timestamp()


def _revision(changes: Sequence[Change]) -> int:
    document = changes[-1].document
    return 0 if document is None else document.revision
