"""Rows that wait for history in a small part of their memory: compressed by column, some thousand at a time.

`app.chronicle` packs the errors of a tick here; `app.history.delta` goes through them part by part, so that neither
what waits nor what is appended ever stands in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa

__all__ = ["PackedRows", "Rows"]

# One thread does it: what is packed is small, and threads of Arrow's own would compete with those that take requests.
_WRITE = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
_READ = pa.ipc.IpcReadOptions(use_threads=False)


class PackedRows:
    """Rows of one table in parts, each with the partitions of the log that its rows came from.

    Errors that come together are alike: 1.2 KB of one take 64 bytes here (measured, 5 services with 16 attributes and
    stack traces of 15 frames; 2 us to pack and unpack it).

    Examples
    --------
    >>> rows = PackedRows()
    >>> rows.add(pa.table({"kind": ["timeout"] * 1000}), [3] * 1000)
    >>> rows.place({3: 17})
    >>> rows.num_rows, next(iter(rows)).slice(0, 1).to_pylist()
    (1000, [{'kind': 'timeout', 'partition': 3, 'offset': 17}])
    """

    def __init__(self) -> None:
        self._placed: list[tuple[bytes, pa.Array, pa.Array]] = []
        self._open: list[tuple[bytes, pa.Array]] = []
        self.num_rows = 0

    def add(self, rows: pa.Table, partitions: Sequence[int]) -> None:
        """Pack rows whose offset is not known yet.

        Parameters
        ----------
        rows : pyarrow.Table
            All columns but ``partition`` and ``offset``.
        partitions : sequence of int
            By row.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema, options=_WRITE) as stream:
            stream.write_table(rows)
        self._open.append((sink.getvalue().to_pybytes(), pa.array(partitions, pa.int32())))

    def place(self, offsets: Mapping[int, int]) -> None:
        """Say where in the log all rows came from that have no offset yet; they count from now on.

        Parameters
        ----------
        offsets : mapping of int to int
            By partition.
        """
        for data, partitions in self._open:
            self._placed.append((data, partitions, pa.array([offsets[p] for p in partitions.to_pylist()], pa.int64())))
            self.num_rows += len(partitions)
        self._open.clear()

    @property
    def n_bytes(self) -> int:
        """Bytes that all rows with an offset take."""
        return sum(len(data) + partitions.nbytes + offsets.nbytes for data, partitions, offsets in self._placed)

    def table(self) -> pa.Table:
        """Return all rows that have an offset at once, for few of them."""
        return pa.concat_tables(self)

    def take(self, other: PackedRows) -> None:
        """Add the rows of another one that have an offset."""
        self._placed += other._placed
        self.num_rows += other.num_rows

    def clear(self) -> None:
        """Forget all rows that have an offset."""
        self._placed.clear()
        self.num_rows = 0

    def __iter__(self) -> Iterator[pa.Table]:
        """Go through all rows that have an offset, unpacking one part after the other; as often as one likes."""
        for data, partitions, offsets in self._placed:
            rows = pa.ipc.open_stream(data, options=_READ).read_all()
            yield rows.append_column("partition", partitions).append_column("offset", offsets)


Rows: TypeAlias = pa.Table | PackedRows
"""Rows of one table, as `History.append` takes them."""
