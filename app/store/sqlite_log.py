"""The durable log by partition, in SQLite.

`app.ingest` appends to it through the group commit; `app.worker` reads it on connections of its own,
which the writer never blocks.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from itertools import starmap

from app.store.contract import SHORT_BYTES, Entry
from app.store.group_commit import GroupCommit, Lane
from app.store.sqlite_schema import Readers, log_table
from app.telemetry import Telemetry
from features.errors import InvalidValue, LogFull

__all__ = ["SqliteLog"]

TRIM_ROWS = 2000
"""Entries forgotten in one transaction. Guessed: some ten milliseconds, so that appends get their turn in between."""

# The table's name comes from `log_table`, which takes nothing but a number.
INSERT = 'INSERT INTO {table} ("offset", data) VALUES (?, ?)'
READ = 'SELECT "offset", data FROM {table} WHERE "offset" > ? ORDER BY "offset" LIMIT ?'
LAST = 'SELECT coalesce(max("offset"), 0) FROM {table}'
TRIM = 'DELETE FROM {table} WHERE "offset" IN (SELECT "offset" FROM {table} WHERE "offset" <= ? ORDER BY "offset" LIMIT ?) RETURNING length(data)'
# An offset is never used again, even after everything was trimmed.
KEEP_END = (
    'INSERT INTO ends SELECT ?, coalesce(max("offset"), 0) FROM {table} WHERE true '
    'ON CONFLICT DO UPDATE SET "offset" = max("offset", excluded."offset")'
)

# How many bytes the log holds, kept beside it: to add them up takes minutes where there are many.
SIZE = "SELECT value FROM meta WHERE name = 'log_bytes'"
KEEP_SIZE = "INSERT INTO meta VALUES ('log_bytes', ?) ON CONFLICT DO NOTHING"
MOVE_SIZE = "UPDATE meta SET value = value + ? WHERE name = 'log_bytes'"
MEASURE = "SELECT coalesce(sum(length(data)), 0) FROM {table}"

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
    max_bytes : int
        Bytes that the log may hold, 0 for any number. What waits to be written is let in beside it.
    telemetry : Telemetry, optional
        Receives ``log_bytes``.
    """

    def __init__(
        self, writer: GroupCommit, readers: Readers, partitions: int, max_bytes: int = 0, telemetry: Telemetry | None = None
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._lane = Lane(self._insert, self._note)
        self._inserts, self._reads = ([text.format(table=log_table(p)) for p in range(partitions)] for text in (INSERT, READ))
        with readers.borrow() as connection:
            kept = dict(connection.execute('SELECT "partition", "offset" FROM ends'))
            last = [connection.execute(LAST.format(table=log_table(p))).fetchone()[0] for p in range(partitions)]
        self._max_bytes = max_bytes
        self._size = writer.change(partial(_measure, partitions=partitions))  # the writer's thread alone changes it
        (telemetry or Telemetry()).log_bytes.set_function(self.size)
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
        LogFull
            When the log holds as many bytes as it may; nothing was written.
        """
        n_bytes = longest = 0
        for partition, _, data in messages:
            self._check(partition)
            n_bytes += len(data)
            longest = max(longest, len(data))
        if self._max_bytes and self._size >= self._max_bytes and longest > SHORT_BYTES:
            raise LogFull(f"the log must hold less than {self._max_bytes} bytes, got {self._size}; the worker is behind")
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

        def change(connection: sqlite3.Connection) -> tuple[int, int]:
            connection.execute(KEEP_END.format(table=table), (partition,))
            gone = [n for (n,) in connection.execute(TRIM.format(table=table), (through, TRIM_ROWS))]
            connection.execute(MOVE_SIZE, (-sum(gone),))
            return len(gone), sum(gone)

        while self._writer.change(change, self._forgotten)[0] == TRIM_ROWS:
            pass

    def size(self) -> int:
        """Return how many bytes of messages the log holds. Reads memory only."""
        return self._size

    def fullness(self, partition: int) -> float:
        """Return how much of what the log may hold is there; all partitions share it. Reads memory only."""
        self._check(partition)
        return self._size / self._max_bytes if self._max_bytes else 0.0

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
        connection.execute(MOVE_SIZE, (_n_bytes(appended),))
        return offsets

    def _forgotten(self, gone: tuple[int, int]) -> None:
        self._size -= gone[1]

    def _note(self, appended: Sequence[_Messages], offsets: Sequence[list[int]]) -> None:
        self._size += _n_bytes(appended)
        for messages, mine in zip(appended, offsets, strict=True):
            for (partition, _, _), offset in zip(messages, mine, strict=True):
                self._ends[partition] = offset
        with self._appended:
            self._n_appended += 1
            self._appended.notify_all()

    def _check(self, partition: int) -> None:
        if not 0 <= partition < len(self._ends):
            raise InvalidValue(f"partition must be in [0, {len(self._ends)}), got {partition}")


def _n_bytes(appended: Sequence[_Messages]) -> int:
    return sum(len(data) for messages in appended for _, _, data in messages)


def _measure(connection: sqlite3.Connection, partitions: int) -> int:
    """Return the size of the log as it is kept; it is added up once in a database of before."""
    kept = connection.execute(SIZE).fetchone()
    if kept is not None:
        return kept[0]
    total = sum(connection.execute(MEASURE.format(table=log_table(p))).fetchone()[0] for p in range(partitions))
    connection.execute(KEEP_SIZE, (total,))
    return total
