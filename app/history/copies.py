"""Which version of a Delta table goes with a state of the log, and which files make up that version.

`app.backup` copies them while a node appends: files of a Delta table are never changed, so a version stays what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from app.history.tables import SCHEMAS
from features.errors import StoreFailed

__all__ = ["TableCopy", "copies_of"]

_LOG = re.compile(r"(\d{20})\.(?:json|checkpoint(?:\.\d+\.\d+)?\.parquet)")


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table at one version.

    Parameters
    ----------
    name : str
        The table.
    version : int
        Of the table, as Delta counts.
    files : tuple of str
        Paths below the table's folder: the rows, and what of the log of commits says that they are the rows.
    """

    name: str
    version: int
    files: tuple[str, ...]


def copies_of(folder: Path, ends: Sequence[int]) -> list[TableCopy]:
    """Return the newest version of each table that holds no row from beyond some ends of the log.

    Rows are appended before the checkpoint that they lead to. So a version that is older than the log's end is at least as new as
    the checkpoint of the same moment; rows in between come again when the log is read again, and are dropped by the offsets
    that the table has recorded. A newer version would have recorded offsets that the log is going to give to other rows.

    Parameters
    ----------
    folder : Path
        Of history.
    ends : sequence of int
        Offset of the last entry of each partition's log.

    Raises
    ------
    StoreFailed
        When a table cannot be read.
    """
    found: list[TableCopy] = []
    for name in SCHEMAS:
        try:
            copied = _copy_of(folder, name, ends)
        except (DeltaError, OSError, ValueError) as exc:
            raise StoreFailed(f"history's table {name} cannot be read for a backup: {exc}") from exc
        if copied is not None:
            found.append(copied)
    return found


def _copy_of(folder: Path, name: str, ends: Sequence[int]) -> TableCopy | None:
    place = folder / name
    try:
        delta = DeltaTable(str(place))
    except TableNotFoundError:
        return None
    while any((delta.transaction_version(f"partition-{n}") or 0) > end for n, end in enumerate(ends)):
        delta.load_as_version(delta.version() - 1)
    version = delta.version()
    root = place.resolve()
    rows = [str(_path_of(uri).resolve().relative_to(root)) for uri in delta.file_uris()]
    return TableCopy(name, version, (*sorted(rows), *_log_files(place / "_delta_log", version)))


def _path_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file://") else Path(uri)


def _log_files(log: Path, version: int) -> list[str]:
    """Return the commits up to a version, from the last checkpoint on; and the pointer to that, where it points to it."""
    by_version: dict[int, list[str]] = {}
    for path in log.iterdir():
        match = _LOG.fullmatch(path.name)
        if match is not None and int(match[1]) <= version:
            by_version.setdefault(int(match[1]), []).append(path.name)
    start = max((n for n, names in by_version.items() if any(".checkpoint" in name for name in names)), default=0)
    names = [name for n, found in sorted(by_version.items()) if n >= start for name in sorted(found)]
    pointer = log / "_last_checkpoint"
    if pointer.exists() and json.loads(pointer.read_bytes()).get("version") == start:
        names.append(pointer.name)
    return [f"{log.name}/{name}" for name in names]
