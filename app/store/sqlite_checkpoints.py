"""State, offset and outputs of every partition in SQLite, fenced by a token.

`app.worker` acquires a partition, then commits after what it absorbed and forecast; the outputs
become documents in the same transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from app.store.contract import Commit, Head, Output
from app.store.group_commit import GroupCommit
from app.store.sqlite_documents import SqliteDocuments, publish
from app.store.watched import Change
from features.errors import Fenced, InvalidValue

__all__ = ["SqliteCheckpoints"]


class SqliteCheckpoints:
    """The `Checkpoints` of one data folder.

    Parameters
    ----------
    writer : GroupCommit
        The one writer.
    documents : SqliteDocuments
        Whose watches learn of the outputs.
    partitions : int
        How many partitions the database was made with.
    now : Callable
        The clock from which outputs' times to live count; aware.
    """

    def __init__(self, writer: GroupCommit, documents: SqliteDocuments, partitions: int, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._documents = documents
        self._partitions = partitions
        self._now = now

    def acquire(self, partition: int, owner: str) -> Head:
        """Take the partition over; every earlier token is refused from now on."""
        if not 0 <= partition < self._partitions:
            raise InvalidValue(f"partition must be in [0, {self._partitions}), got {partition}")

        def change(connection: sqlite3.Connection) -> Head:
            token, offset = _head(connection, partition)
            _move(connection, partition, token + 1, offset, owner)
            state = connection.execute('SELECT key, value FROM state WHERE "partition" = ?', (partition,))
            return Head(token + 1, offset, dict(state))

        return self._writer.change(change)

    def commit(
        self,
        partition: int,
        token: int,
        offset: int,
        changed_state: Mapping[str, bytes | None],
        outputs: Iterable[Output] = (),
    ) -> int:
        """Change state, offset and outputs together and return the next token; see `Checkpoints.commit`.

        Raises
        ------
        Fenced
            When the token is not the newest; nothing was changed.
        InvalidValue
            When the offset lies before the committed one.
        """
        return self.commit_all([Commit(partition, token, offset, changed_state, outputs)])[0]

    def commit_all(self, commits: Sequence[Commit]) -> list[int]:
        """Commit several partitions in one transaction and return their next tokens; see `commit`.

        Raises
        ------
        Fenced, InvalidValue
            As for `commit`; nothing was changed in any partition.
        """
        now_s = self._now().timestamp()
        published = [output for commit in commits for output in commit.outputs]

        def change(connection: sqlite3.Connection) -> list[Change]:
            for commit in commits:
                _apply(connection, commit)
            return publish(connection, published, now_s) if published else []

        self._writer.change(change, self._documents.committed)
        return [commit.token + 1 for commit in commits]


def _apply(connection: sqlite3.Connection, commit: Commit) -> None:
    partition, token, offset = commit.partition, commit.token, commit.offset
    newest, committed = _head(connection, partition)
    if token != newest:
        raise Fenced(f"partition {partition} is at token {newest}, got {token}: a newer owner holds it")
    if offset < committed:
        raise InvalidValue(f"offset of partition {partition} must be at least {committed}, got {offset}")
    _move(connection, partition, token + 1, offset, None)
    gone = [(partition, key) for key, value in commit.changed_state.items() if value is None]
    kept = [(partition, key, value) for key, value in commit.changed_state.items() if value is not None]
    connection.executemany('DELETE FROM state WHERE "partition" = ? AND key = ?', gone)
    connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", kept)


def _head(connection: sqlite3.Connection, partition: int) -> tuple[int, int]:
    row = connection.execute('SELECT token, "offset" FROM heads WHERE "partition" = ?', (partition,)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def _move(connection: sqlite3.Connection, partition: int, token: int, offset: int, owner: str | None) -> None:
    connection.execute(
        "INSERT INTO heads VALUES (?, ?, ?, coalesce(?, '')) ON CONFLICT (\"partition\") "
        'DO UPDATE SET token = excluded.token, "offset" = excluded."offset", owner = coalesce(?, owner)',
        (partition, token, offset, owner, owner),
    )
