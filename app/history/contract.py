"""History: what happened, for training, backtests and notebooks.

`app.worker` appends to it before it checkpoints; `training` receives what `read` returns.
`app.history.delta` implements it in Delta Lake; the tables are those of `app.history.tables`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from app.history.packed import Rows

__all__ = ["History"]


class History(Protocol):
    """Append-only tables that take every row exactly once, however often it is appended."""

    def append(self, tables: Mapping[str, Rows], offsets: Mapping[int, int]) -> None:
        """Append rows by table, and record how far each partition of the log has come.

        Rows at or below the offset that a table has recorded for their partition are dropped, so a
        worker that died after an append appends the same again without harm.

        Parameters
        ----------
        tables : mapping of str to pyarrow.Table or PackedRows
            Rows by table name, with the columns of `app.history.tables.rows_schema`.
        offsets : mapping of int to int
            The last log offset of each partition that the rows come from.
        """
        ...

    def read(
        self,
        table: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tenant: str | None = None,
        service: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return the rows with a time in ``[since, until)`` unix seconds, in no particular order, of all tenants and services or of one.

        A table that nothing was appended to yet is empty, not an error.
        """
        ...

    def optimise(self, now_s: int | None = None) -> None:
        """Drop the days that are too old, join the many small appends of a day into few files, and delete what was so replaced a week ago.

        Parameters
        ----------
        now_s : int, optional
            Unix seconds of the log's time, which days are counted back from; without them all days stay.
        """
        ...
