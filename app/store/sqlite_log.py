"""The durable log by partition, in SQLite.

`app.ingest` appends to it through the group commit; `app.worker` reads it on connections of its own,
which the writer never blocks.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import starmap

from app.store.contract import Entry
from app.store.group_commit import GroupCommit, Lane
from app.store.sqlite_schema import Readers, log_table
from features.errors import InvalidValue

__all__ = ["SqliteLog"]

TRIM_ROWS = 2000
"""Entries forgotten in one transaction. Guessed: some ten milliseconds, so that appends get their turn in between."""

# The table's name comes from `log_table`, which takes nothing but a number.
INSERT = 'INSERT INTO {table} ("offset", data) VALUES (?, ?)'
READ = 'SELECT "offset", data FROM {table} WHERE "offset" > ? ORDER BY "offset" LIMIT ?'
LAST = 'SELECT coalesce(max("offset"), 0) FROM {table}'
TRIM = 'DELETE FROM {table} WHERE "offset" IN (SELECT "offset" FROM {table} WHERE "offset" <= ? ORDER BY "offset" LIMIT ?)'
# An offset is never used again, even after everything was trimmed.
KEEP_END = (
    'INSERT INTO ends SELECT ?, coalesce(max("offset"), 0) FROM {table} WHERE true '
    'ON CONFLICT DO UPDATE SET "offset" = max("offset", excluded."offset")'
)

_Messages = Sequence[tuple[int, str, bytes]]


class SqliteLog:
    """A `Log` of one data folder. Its offsets have gaps only where a write failed; `batch_id` is not kept.

    Parameters
    ----------
    writer : GroupCommit
        The one writer.
    readers : Readers
        Where reads go.
    partitions : int
        How many partitions the database was made with.
    """

    def __init__(self, writer: GroupCommit, readers: Readers, partitions: int) -> None:
        self._writer = writer
        self._readers = readers
        self._lane = Lane(self._insert, self._note)
        self._inserts, self._reads = ([text.format(table=log_table(p)) for p in range(partitions)] for text in (INSERT, READ))
        with readers.borrow() as connection:
            kept = dict(connection.execute('SELECT "partition", "offset" FROM ends'))
            last = [connection.execute(LAST.format(table=log_table(p))).fetchone()[0] for p in range(partitions)]
        self._ends = [max(end, kept.get(partition, 0)) for partition, end in enumerate(last)]
        self._given = list(self._ends)  # the writer's thread alone counts it on
        self._appended = threading.Condition()
        self._n_appended = 0
        self._seen = threading.local()

    @property
    def n_partitions(self) -> int:
        """How many partitions the data folder was made with."""
        return len(self._ends)

    def append(self, partition: int, batch_id: str, data: bytes) -> int:
        """Append a message and return its offset once it is durable; see `Log.append`."""
        return self.append_later([(partition, batch_id, data)]).result()[0]

    def append_many(self, messages: Sequence[tuple[int, str, bytes]]) -> list[int]:
        """Append messages as one unit, all or none, and return their offsets once they are durable."""
        return self.append_later(messages).result()

    def append_later(self, messages: Sequence[tuple[int, str, bytes]]) -> Future[list[int]]:
        """Queue messages as one unit and return at once, for callers that must not block.

        Parameters
        ----------
        messages : sequence of (partition, batch_id, data)
            What to append, all or none.

        Returns
        -------
        Future of list of int
            The offsets, once all are durable.

        Raises
        ------
        InvalidValue
            When a partition does not exist.
        Overloaded
            When the bound of bytes in flight is reached; nothing was written.
        """
        n_bytes = 0
        for partition, _, data in messages:
            self._check(partition)
            n_bytes += len(data)
        return self._writer.submit_to(self._lane, messages, n_bytes)

    def read(self, partition: int, after: int, limit: int = 1024) -> list[Entry]:
        """Return at most `limit` entries with an offset above `after`, in order."""
        self._check(partition)
        if after >= self._ends[partition]:
            return []
        with self._readers.borrow() as connection:
            rows = connection.execute(self._reads[partition], (after, limit)).fetchall()
        return list(starmap(Entry, rows))

    def end(self, partition: int) -> int:
        """Return the offset of the last entry ever appended, 0 when there was none. Reads memory only."""
        self._check(partition)
        return self._ends[partition]

    def waiting(self, partition: int, after: int) -> int:
        """Return how many entries lie above an offset. Reads memory only."""
        self._check(partition)
        return max(0, self._ends[partition] - after)

    def trim(self, partition: int, through: int) -> None:
        """Forget entries up to and with an offset."""
        self._check(partition)
        table = log_table(partition)

        def change(connection: sqlite3.Connection) -> int:
            connection.execute(KEEP_END.format(table=table), (partition,))
            return connection.execute(TRIM.format(table=table), (through, TRIM_ROWS)).rowcount

        while self._writer.change(change) == TRIM_ROWS:
            pass

    def wait(self, timeout_s: float) -> bool:
        """Block until something is appended or the time is over.

        What was appended since this thread's last call counts, so an append between a read and the
        call is never slept through.

        Parameters
        ----------
        timeout_s : float
            Seconds, at least 0.

        Returns
        -------
        bool
            Whether something was appended.
        """
        seen = getattr(self._seen, "value", 0)
        with self._appended:
            arrived = self._appended.wait_for(lambda: self._n_appended > seen, timeout_s)
            self._seen.value = self._n_appended
        return arrived

    def _insert(self, connection: sqlite3.Connection, appended: Sequence[_Messages]) -> list[list[int]]:
        """Insert the messages of all callers, partition by partition."""
        rows: dict[int, list[tuple[int, bytes]]] = {}
        offsets: list[list[int]] = []
        for messages in appended:
            mine: list[int] = []
            for partition, _, data in messages:
                self._given[partition] = offset = self._given[partition] + 1
                rows.setdefault(partition, []).append((offset, data))
                mine.append(offset)
            offsets.append(mine)
        for partition, of_partition in rows.items():
            connection.executemany(self._inserts[partition], of_partition)
        return offsets

    def _note(self, appended: Sequence[_Messages], offsets: Sequence[list[int]]) -> None:
        for messages, mine in zip(appended, offsets, strict=True):
            for (partition, _, _), offset in zip(messages, mine, strict=True):
                self._ends[partition] = offset
        with self._appended:
            self._n_appended += 1
            self._appended.notify_all()

    def _check(self, partition: int) -> None:
        if not 0 <= partition < len(self._ends):
            raise InvalidValue(f"partition must be in [0, {len(self._ends)}), got {partition}")
