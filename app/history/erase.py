"""Rows of history removed or changed for good: no file of the folder holds them afterwards, the log of commits neither.

`app.forget` calls it while no node runs. A Delta table keeps what a commit replaced for readers of older versions, and its log
says the least and the largest value of each file; both go here. Under a URL objects are deleted alike; versions of them that the object
store keeps by itself are beyond what can be reached from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector

from app.history import upkeep
from app.history.flush import flush
from app.history.place import Place, place_of
from app.history.tables import SCHEMAS
from features.errors import StoreFailed

__all__ = ["change_texts", "remove_tenant"]

_LOG = re.compile(r"(\d{20})\.(?:json|checkpoint.*\.parquet)")
_TEXTS = ("operation", "exception_type", "message", "stack", "attributes")


def remove_tenant(where: Path | str, tenant: str, options: Mapping[str, str] | None = None) -> int:
    """Remove a tenant's rows of all tables and return how many there were.

    Parameters
    ----------
    where : Path or str
        The folder of history, or its URL.
    tenant : str
        1 to 128 of A-Z a-z 0-9 _ . -, as tenants are.
    options : mapping of str to str, optional
        Of the object store.

    Raises
    ------
    StoreFailed
        When the folder or the object store refused; what was removed stays so.
    """
    place, gone = place_of(where, options), 0
    for name in SCHEMAS:
        try:
            delta = _open(place, name)
            if delta is None:
                continue
            before = delta.version()
            for day in _days(delta):
                gone += _remove(delta, name, day, tenant)
            _purge(place, name, delta, before)
        except (DeltaError, OSError, pa.ArrowException) as exc:
            raise StoreFailed(f"history refused to remove rows of {name}: {exc}") from exc
    return gone


def change_texts(where: Path | str, changed: Callable[[str, str], str], options: Mapping[str, str] | None = None) -> int:
    """Change texts of errors and return how many rows changed; the rows of one day are in memory at a time.

    Parameters
    ----------
    where : Path or str
        The folder of history, or its URL.
    changed : callable
        Takes a row's attributes as JSON and one of its texts, returns the text that takes its place.
    options : mapping of str to str, optional
        Of the object store.

    Raises
    ------
    StoreFailed
        When the folder or the object store refused; days that were changed stay so.
    """
    place, done = place_of(where, options), 0
    try:
        delta = _open(place, "errors")
        if delta is None:
            return 0
        first = delta.version()
        for day in _days(delta):
            rows = delta.to_pyarrow_dataset(schema=SCHEMAS["errors"]).to_table(filter=pc.field("day") == day)
            attributes, differs = rows["attributes"].to_pylist(), [False] * rows.num_rows
            for column in _TEXTS:
                before = rows[column].to_pylist()
                after = [text and changed(said or "", text) for said, text in zip(attributes, before, strict=True)]
                if after != before:
                    differs = [known or a != b for known, a, b in zip(differs, after, before, strict=True)]
                    at = rows.column_names.index(column)
                    rows = rows.set_column(at, column, pa.array(after, SCHEMAS["errors"].field(column).type))
            if any(differs):
                done += sum(differs)
                _put_day(delta, day, rows)
        _purge(place, "errors", delta, first)
    except (DeltaError, OSError, pa.ArrowException) as exc:
        raise StoreFailed(f"history refused to change rows of errors: {exc}") from exc
    return done


def _days(delta: DeltaTable) -> list[str]:
    return sorted({str(partition["day"]) for partition in delta.partitions()})


def _remove(delta: DeltaTable, name: str, day: str, tenant: str) -> int:
    """Remove a tenant's rows of one day and return how many there were; what stays is read as it is written."""
    rows, own = delta.to_pyarrow_dataset(schema=SCHEMAS[name]), (pc.field("day") == day) & (pc.field("tenant") == tenant)
    gone, others = rows.count_rows(filter=own), (pc.field("day") == day) & (pc.field("tenant") != tenant)
    if not gone:
        return 0
    if rows.count_rows(filter=others):
        _put_day(delta, day, rows.scanner(filter=others).to_reader())
    else:
        delta.delete(f"day = '{day}'")
    return gone


def _put_day(delta: DeltaTable, day: str, rows: pa.Table | pa.RecordBatchReader) -> None:
    """Put rows in the place of those of a day, in one commit; Delta's own delete would write types that are read otherwise.

    A table of an earlier release gets the columns that it lacks, as `app.history.delta` gives it them.
    """
    write_deltalake(
        delta, rows, mode="overwrite", predicate=f"day = '{day}'", schema_mode="merge", writer_properties=upkeep.FILES
    )
    delta.update_incremental()


def _open(place: Place, name: str) -> DeltaTable | None:
    try:
        return DeltaTable(place.table(name), storage_options=_options(place))
    except TableNotFoundError:
        return None


def _options(place: Place) -> dict[str, str] | None:
    return None if place.options is None else dict(place.options)


def _purge(place: Place, name: str, delta: DeltaTable, before: int) -> None:
    """Delete files that the newest version does not need, and commits before it, which name them and quote their values."""
    if place.folder is not None:
        flush(place.folder / name, before + 1, delta.version())
    delta.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    delta.update_incremental()
    version = delta.version()
    delta.create_checkpoint()
    if place.folder is not None:
        for path in (place.folder / name / "_delta_log").iterdir():
            if _is_before(path.name, version):
                path.unlink()
        return
    objects = DeltaStorageHandler(place.table(name), _options(place))
    for found in objects.get_file_info_selector(FileSelector("_delta_log")):
        if _is_before(PurePosixPath(found.path).name, version):
            objects.delete_file(found.path)


def _is_before(name: str, version: int) -> bool:
    """Say whether a file of the log is of a version before one."""
    match = _LOG.fullmatch(name)
    return match is not None and int(match[1]) < version
