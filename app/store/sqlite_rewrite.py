"""What a stopped node's database holds, changed or removed entry by entry in one transaction, and then gone from the file.

`app.forget` says what becomes of each entry. A removed entry's offset is never given again, and pages that held what was removed are
overwritten: SQLite itself would leave them as they were until something else needs the room.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from app.store.contract import Rewriting
from app.store.sqlite_schema import connect_writer, log_table
from features.errors import StoreFailed

__all__ = ["partitions_of", "rewrite"]

_PAGE = 256


def partitions_of(path: Path) -> int:
    """Return how many partitions the log of a database has, once it was opened as `rewrite` opens it.

    Parameters
    ----------
    path : Path
        The database, which is there; the caller holds its folder.

    Raises
    ------
    SnapshotMismatch
        When another release made it, which this one cannot read.
    StoreFailed
        When it is no database or cannot be read.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
    except sqlite3.Error as exc:
        raise StoreFailed(f"cannot open {path}: {exc}") from exc
    if found is None:
        raise StoreFailed(f"{path} must say how many partitions it has, and does not")
    connect_writer(path, found[0]).close()
    return found[0]


def rewrite(path: Path, partitions: int, rewriting: Rewriting, remove: Callable[[str], bool]) -> Counter[str]:
    """Change a database that no node has open, and return how many entries, parts of state, documents and models changed or went.

    Parameters
    ----------
    path : Path
        The database; the caller holds its folder.
    partitions : int
        Of the log.
    rewriting : Rewriting
        What becomes of it.
    remove : callable
        Removes a blob by its hash and returns whether it was there. Called when all is changed and nothing committed yet: who is killed
        before the end finds again which ones go.

    Raises
    ------
    StoreFailed
        When the disk refused; all is as it was, or as it is to be.
    """
    done = Counter[str](entries=0, state=0, documents=0)
    with closing(connect_writer(path, partitions)) as connection:
        try:
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("BEGIN IMMEDIATE")
            for partition in range(partitions):
                done["entries"] += _rewrite_log(connection, partition, rewriting)
                done["state"] += _rewrite_state(connection, partition, rewriting)
            done["documents"] += _rewrite_documents(connection, rewriting)
            done["models"] = sum(remove(digest) for digest in sorted(rewriting.blobs()))
            connection.execute("COMMIT")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as exc:
            raise StoreFailed(f"cannot change {path}: {exc}") from exc
    return done


def _rewrite_log(connection: sqlite3.Connection, partition: int, rewriting: Rewriting) -> int:
    table, changed, n_bytes, after = log_table(partition), 0, 0, 0
    connection.execute(
        f'INSERT INTO ends SELECT ?, coalesce(max("offset"), 0) FROM {table} WHERE true '  # noqa: S608 - a number  # nosec B608
        'ON CONFLICT DO UPDATE SET "offset" = max("offset", excluded."offset")',
        [partition],
    )
    while rows := connection.execute(
        f'SELECT "offset", data FROM {table} WHERE "offset" > ? ORDER BY "offset" LIMIT ?',  # noqa: S608 - a number  # nosec B608
        [after, _PAGE],
    ).fetchall():
        after = rows[-1][0]
        for offset, data in rows:
            new = rewriting.entry(data)
            if new == data:
                continue
            changed += 1
            n_bytes += len(new or b"") - len(data)
            if new is None:
                connection.execute(f'DELETE FROM {table} WHERE "offset" = ?', [offset])  # noqa: S608 - a number  # nosec B608
            else:
                connection.execute(f'UPDATE {table} SET data = ? WHERE "offset" = ?', [new, offset])  # noqa: S608 - a number  # nosec B608
    connection.execute("UPDATE meta SET value = value + ? WHERE name = 'log_bytes'", [n_bytes])
    return changed


def _rewrite_state(connection: sqlite3.Connection, partition: int, rewriting: Rewriting) -> int:
    before = dict(connection.execute('SELECT key, value FROM state WHERE "partition" = ?', [partition]).fetchall())
    after = rewriting.state(partition, before)
    changed = 0
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key):
            continue
        changed += 1
        if key in after:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", [partition, key, after[key]])
        else:
            connection.execute('DELETE FROM state WHERE "partition" = ? AND key = ?', [partition, key])
    return changed


def _rewrite_documents(connection: sqlite3.Connection, rewriting: Rewriting) -> int:
    changed = 0
    for bucket, key, value in connection.execute("SELECT bucket, key, value FROM documents").fetchall():
        new = rewriting.document(bucket, key, value)
        if new == value:
            continue
        changed += 1
        if new is None:
            connection.execute("DELETE FROM documents WHERE bucket = ? AND key = ?", [bucket, key])
        else:
            connection.execute("UPDATE documents SET value = ? WHERE bucket = ? AND key = ?", [new, bucket, key])
    return changed
