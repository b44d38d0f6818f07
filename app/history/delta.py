"""History in Delta Lake tables, in a folder or under an object store's URL.

Rows come from `app.worker`, the last log offset of each partition with them, recorded as a Delta
application transaction in the same commit; `training` and notebooks read.

References
----------
Armbrust et al., "Delta Lake: High-Performance ACID Table Storage over Cloud Object Stores", VLDB 2020;
Delta Transaction Log Protocol, "Transaction Identifiers".
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from app.history import layout, upkeep
from app.history.flush import flush
from app.history.packed import PackedRows, Rows
from app.history.place import line_of, place_of
from app.history.tables import ADDED, SCHEMAS, TIMES, conform, day_of, empty
from features.errors import ForeshockError, InvalidValue, NewerVersion, StoreFailed

__all__ = ["DeltaHistory"]

CONFIGURATION = {
    "delta.checkpointInterval": "50",  # guessed: a reader replays at most 50 commits, some four hours of appends
    "delta.logRetentionDuration": "interval 7 days",
    "delta.enableExpiredLogCleanup": "true",
    layout.PROPERTY: str(layout.VERSION),
}

ATTEMPTS = 20
"""Commits tried while others win. Guessed: more than there are workers of one partition at any time."""

_APART_S = 0.05
"""Longest wait after the first commit that another one won, doubled up to a second. Guessed: about what a commit takes."""


class DeltaHistory:
    """A `History` of Delta tables partitioned by day.

    Parameters
    ----------
    place : str or Path
        A folder, or the URL of an object store (``s3://bucket/path``).
    storage_options : mapping, optional
        Credentials and options of the object store, as `deltalake` names them.
    keep_days : mapping of str to int, optional
        Days for which rows stay, by table; all stay for ever where there is none, or 0.
    told : callable, optional
        Told of every call and what came of it: ``append``, ``read`` or ``optimise``, and ``done``, ``refused`` or, of a commit
        that another one won, ``conflict``.

    Examples
    --------
    >>> import tempfile
    >>> history = DeltaHistory(tempfile.mkdtemp())
    >>> history.read("windows").num_rows
    0
    """

    def __init__(
        self,
        place: str | Path,
        storage_options: Mapping[str, str] | None = None,
        *,
        keep_days: Mapping[str, int] | None = None,
        told: Callable[[str, str], None] = lambda _call, _outcome: None,
    ) -> None:
        self._place = place_of(place, storage_options)
        self._keep_days = dict(keep_days or {})
        self._told = told
        self._rng = random.Random()  # noqa: S311 - how long to wait is no secret  # nosec B311
        self._lock = threading.Lock()
        self._open: dict[str, DeltaTable] = {}

    def append(self, tables: Mapping[str, Rows], offsets: Mapping[int, int]) -> None:
        """Append rows by table exactly once; see `History.append`.

        Each table is one commit. A crash between two of them leaves the rest to the next call with
        the same rows. A table without new rows is not touched.

        Raises
        ------
        InvalidValue
            When rows do not fit their table, or come from beyond the given offsets.
        StoreFailed
            When the disk or the object store refused; what was committed stays and is dropped from a repetition.
        NewerVersion
            When a newer release laid a table out.
        """
        # What is packed is checked while it is written: unpacked as a whole it might not fit into memory.
        checked = {name: rows if isinstance(rows, PackedRows) else _check(name, rows, offsets) for name, rows in tables.items()}
        with self._lock:
            for name, rows in checked.items():
                if rows.num_rows:
                    with self._call("append", f"append to {name}"):
                        self._append(name, rows, offsets)
        # What an append took beside the rows is seldom needed; kept, memory crept up from one to the next.
        pa.default_memory_pool().release_unused()

    def recorded(self, table: str, partition: int) -> int:
        """Return the log offset up to which a table holds a partition's rows, 0 when it holds none."""
        with self._call("read", f"read {table}"):
            delta = self._find(table)
            return 0 if delta is None else _recorded(delta, partition)

    def versions(self) -> dict[str, int]:
        """Return the version of the layout of every table that is there; 0 is that of releases that kept none.

        Raises
        ------
        StoreFailed
            When the place cannot be reached.
        """
        with self._call("read", "read the versions of its tables"):
            found = {name: self._find(name) for name in SCHEMAS}
        return {name: layout.version_of(delta) for name, delta in found.items() if delta is not None}

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
        """Return the rows with a time in ``[since, until)`` unix seconds; see `History.read`.

        Days outside of the interval are not opened. One call sees one version of the table, whatever
        is appended meanwhile.

        Raises
        ------
        InvalidValue
            When there is no such table or column.
        StoreFailed
            When the files cannot be read.
        NewerVersion
            When a newer release laid the table out.
        """
        schema = empty(table).schema
        names = list(schema.names if columns is None else columns)
        unknown = [name for name in names if name not in schema.names]
        if unknown:
            raise InvalidValue(f"columns of {table} must be among {schema.names}, got {unknown}")
        wanted = pa.schema([schema.field(name) for name in names])
        with self._call("read", f"read {table}"):
            delta = self._find(table)
            if delta is None:
                return wanted.empty_table()
            layout.check(table, delta)
            rows = delta.to_pyarrow_dataset(schema=schema).to_table(
                columns=names, filter=_where(table, since, until, (tenant, service))
            )
            for name in ADDED.keys() & set(names):
                filled = pc.fill_null(rows[name], pa.scalar(ADDED[name], wanted.field(name).type))
                rows = rows.set_column(names.index(name), name, filled)
            return rows.cast(wanted)

    def optimise(self, now_s: int | None = None, *, retention_hours: int = 168, strays: bool = True) -> None:
        """Drop days that are too old, join the small files of every table and delete files that no reader needs any more.

        Others may append and read meanwhile.

        Parameters
        ----------
        now_s : int, optional
            Unix seconds that days are counted back from; without them all stay.
        retention_hours : int
            Hours for which files that were replaced, or left behind by a crash, are kept for readers
            of older versions. 168 is Delta's own default; below the length of a training run readers may fail.
        strays : bool
            Whether files that no commit names are deleted too; with few hours those of an append under way are among them.

        Raises
        ------
        StoreFailed, NewerVersion
            What the first table that could not be tended said; the others were.
        """
        failures: list[ForeshockError] = []
        for name in SCHEMAS:
            try:
                with self._call("optimise", f"optimise {name}"):
                    self._tend(name, now_s, retention_hours, strays=strays)
            except (StoreFailed, NewerVersion) as exc:
                failures.append(exc)
        if failures:
            raise failures[0]

    def _tend(self, name: str, now_s: int | None, retention_hours: int, *, strays: bool) -> None:
        delta = self._find(name)
        if delta is None:
            return
        layout.check(name, delta)
        before = delta.version()
        if now_s is not None:
            upkeep.drop_days(delta, self._keep_days.get(name, 0), now_s)
        upkeep.join_files(delta)
        self._flush(name, before, delta)
        upkeep.sweep(delta, retention_hours, strays=strays)

    def _append(self, name: str, rows: Rows, offsets: Mapping[int, int]) -> None:
        delta = self._open.get(name)
        if delta is None:
            delta = self._open[name] = self._find(name) or self._make(name)
            if delta.version() == 0:  # whoever made it: without its first commit none can be read
                self._flush(name, -1, delta)
        for attempt in range(ATTEMPTS):
            if attempt:
                self._told("append", "conflict")
                # Those that lost together would meet again.
                time.sleep(self._rng.uniform(0.0, min(_APART_S * 2**attempt, 1.0)))
            delta.update_incremental()
            layout.check(name, delta)
            recorded = {partition: _recorded(delta, partition) for partition in offsets}
            new = _Stream(batch for part in _parts(name, rows, offsets) for batch in _newer(part, recorded).to_batches())
            if new.first is None:
                return
            transactions = [
                Transaction(app_id=_app_id(partition), version=offset)
                for partition, offset in offsets.items()
                if offset > recorded[partition]
            ]
            before = delta.version()
            try:
                if layout.mark(delta):
                    delta.update_incremental()
                write_deltalake(
                    delta,
                    pa.RecordBatchReader.from_batches(SCHEMAS[name], new),
                    mode="append",
                    schema_mode="merge",
                    writer_properties=upkeep.FILES,
                    commit_properties=CommitProperties(app_transactions=transactions),
                )
            except CommitFailedError:
                continue  # another worker recorded one of the partitions since: look again what is left
            except Exception as exc:
                if new.error is not None:
                    raise new.error from exc
                raise
            self._flush(name, before, delta)
            return
        raise StoreFailed(f"append to {name} lost {ATTEMPTS} times to other writers of the same partitions")

    def _find(self, name: str) -> DeltaTable | None:
        empty(name)  # refuses an unknown name
        try:
            return DeltaTable(self._place.table(name), storage_options=_plain(self._place.options))
        except TableNotFoundError:
            return None

    def _make(self, name: str) -> DeltaTable:
        try:
            return DeltaTable.create(
                self._place.table(name),
                SCHEMAS[name],
                mode="ignore",
                partition_by=["day"],
                configuration=CONFIGURATION,
                storage_options=_plain(self._place.options),
                raise_if_key_not_exists=False,  # the version is a property of our own
            )
        except DeltaError:
            found = self._find(name)  # someone else made it at the same time
            if found is None:
                raise
            return found

    def _flush(self, name: str, before: int, delta: DeltaTable) -> None:
        if self._place.folder is not None:
            flush(self._place.folder / name, before + 1, delta.version())

    @contextmanager
    def _call(self, call: str, what: str) -> Generator[None]:
        """Turn whatever the place refuses with into one error, and tell what came of the call."""
        try:
            yield
        except (DeltaError, OSError, pa.ArrowException) as exc:
            self._told(call, "refused")
            raise StoreFailed(f"history refused to {what}: {line_of(exc)}") from exc
        except Exception:
            self._told(call, "refused")
            raise
        self._told(call, "done")


def _plain(options: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if options is None else dict(options)


def _app_id(partition: int) -> str:
    return f"partition-{partition}"


def _recorded(delta: DeltaTable, partition: int) -> int:
    return delta.transaction_version(_app_id(partition)) or 0


class _Stream:
    """Batches for Delta to take one after the other, with what went wrong while they were made.

    Delta itself says no more of it than its text.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.error: Exception | None = None
        self.first = next(batches, None)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            if self.first is not None:
                yield self.first
            yield from self._batches
        except Exception as exc:
            self.error = exc
            raise


def _parts(name: str, rows: Rows, offsets: Mapping[int, int]) -> Iterator[pa.Table]:
    if isinstance(rows, PackedRows):
        yield from (_check(name, part, offsets) for part in rows)
    else:
        yield rows


def _check(name: str, rows: pa.Table, offsets: Mapping[int, int]) -> pa.Table:
    """Return rows as the table has them."""
    rows = conform(name, rows)
    last = rows.group_by("partition").aggregate([("offset", "max")])
    for partition, offset in zip(last["partition"].to_pylist(), last["offset_max"].to_pylist(), strict=True):
        # Such a row would be appended again by the next call that repeats it.
        if offset > offsets.get(partition, 0):
            raise InvalidValue(
                f"offset of {name} must be at most {offsets.get(partition, 0)} in partition {partition}, got {offset}"
            )
    return rows


def _newer(rows: pa.Table, recorded: Mapping[int, int]) -> pa.Table:
    partitions, offsets = rows["partition"].to_numpy(), rows["offset"].to_numpy()
    new = np.zeros(rows.num_rows, np.bool_)
    for partition, floor in recorded.items():
        new |= (partitions == partition) & (offsets > floor)
    return rows.filter(pa.array(new))


def _where(table: str, since: int | None, until: int | None, of: tuple[str | None, str | None]) -> pads.Expression | None:
    time, day = pc.field(TIMES[table]), pc.field("day")
    conditions: list[pads.Expression] = []
    if since is not None:
        conditions += [day >= day_of(since), time >= _bound(table, since)]
    if until is not None:
        conditions += [day <= day_of(until), time < _bound(table, until)]
    conditions += [pc.field(name) == value for name, value in zip(("tenant", "service"), of, strict=True) if value is not None]
    if not conditions:
        return None
    where = conditions[0]
    for condition in conditions[1:]:
        where = where & condition
    return where


def _bound(table: str, time_s: int) -> pa.Scalar:
    kind = SCHEMAS[table].field(TIMES[table]).type
    return pa.scalar(time_s * 1_000_000, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.scalar(time_s, kind)
