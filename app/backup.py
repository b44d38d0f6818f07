"""The whole state of a node on one machine copied into a folder, while the node goes on.

`app.commands.backup_command` calls it. The order makes the copy one of a moment: first the store in one read transaction of SQLite, which fixes the log's
end, the checkpoint and every document; then history at the newest version that holds no row from beyond that end; then models, which
documents name by hash and nobody changes; then the rest. The manifest comes last, and the folder gets its name after that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

from app.history.copies import copies_of
from app.manifest import LAYOUTS, FileEntry, Manifest, entry_of, write_manifest
from app.node_id import NODE_FILE, software_version
from app.store.folder import LOCK, UNFINISHED, files_below, is_vacant, whole_folder
from app.store.sqlite_schema import BUSY_MS, log_table
from features.errors import InvalidValue, StoreFailed

__all__ = ["BackedUp", "back_up", "copy_file"]

_STORE = "store.db"
_HISTORY = "history"
_PIECE = 2**20
_NOT_COPIED = frozenset({LOCK, NODE_FILE, _STORE, f"{_STORE}-wal", f"{_STORE}-shm", f"{_STORE}-journal", _HISTORY})
"""Of a data folder: what belongs to one process, what names one node among others, and what is copied in its own way."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made.

    Parameters
    ----------
    manifest : Manifest
        What it holds.
    sha256 : str
        Of the manifest, in hexadecimal.
    others : tuple of str
        Folders directly in the data folder that are not in it, since each is, or holds, a data folder of its own.
    """

    manifest: Manifest
    sha256: str
    others: tuple[str, ...] = ()


def back_up(data: Path, destination: Path, elsewhere: str, told: Callable[[float, str], None]) -> BackedUp:
    """Copy a data folder, without data folders that others made in it: the copy of one would be of no one moment.

    Parameters
    ----------
    data : Path
        The data folder; a node may hold it.
    destination : Path
        What the backup is going to be; absent, or an empty folder. Its parent has room for a copy.
    elsewhere : str
        Where history lies when that is not in the data folder; empty when it is.
    told : callable
        Told the share done and a word for what is done.

    Raises
    ------
    InvalidValue
        When the destination holds something, or lies in the data folder.
    StoreFailed
        When something cannot be read or written; nothing is left behind.
    """
    _check(data, destination)
    try:
        with whole_folder(destination) as staging:
            told(0.0, "copying the store")
            made_at = datetime.now(UTC)
            files = {_STORE: _copy_store(data / _STORE, staging / _STORE)}
            ends = _ends(staging / _STORE)
            told(0.5, "copying history")
            tables = [] if elsewhere else copies_of(data / _HISTORY, ends)
            for table in tables:
                for name in table.files:
                    path = f"{_HISTORY}/{table.name}/{name}"
                    files[path] = copy_file(data / path, staging / path)
            told(0.8, "copying models and keys")
            rest, others = _rest(data)
            for name in rest:
                files[name] = copy_file(data / name, staging / name)
            versions = {table.name: table.version for table in tables}
            manifest = Manifest(made_at, ends, versions, elsewhere, files, software_version(), dict(LAYOUTS))
            hashed = write_manifest(staging, manifest)
    except (OSError, sqlite3.Error) as exc:
        raise StoreFailed(f"cannot back {data} up to {destination}: {exc}") from exc
    told(1.0, "done")
    return BackedUp(manifest, hashed, others)


def copy_file(source: Path, target: Path) -> FileEntry:
    """Copy one file durably, readable by this user alone, and return the hash of what was copied.

    Raises
    ------
    OSError
        When it is a link or no file, or cannot be read or written.
    """
    if source.is_symlink() or not source.is_file():
        raise OSError(f"{source} is no plain file")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, n_bytes = sha256(), 0
    with source.open("rb") as read, os.fdopen(_private(target), "wb") as written:
        while piece := read.read(_PIECE):
            digest.update(piece)
            n_bytes += len(piece)
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())
    return FileEntry(digest.hexdigest(), n_bytes)


def _private(path: Path) -> int:
    """Make a file that only this user can read, and return its descriptor."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _check(data: Path, destination: Path) -> None:
    target = destination.resolve()
    if target == data.resolve() or data.resolve() in target.parents:
        raise InvalidValue(f"a backup must lie outside of the data folder {data}, got {destination}")
    if not is_vacant(destination):
        raise InvalidValue(f"a backup must go into a folder that is absent or empty, got {destination}")


def _copy_store(source: Path, target: Path) -> FileEntry:
    """Copy the database as of one moment, with what lies in its log of writes; writers go on meanwhile."""
    os.close(_private(target))
    # Not read-only: where no process has it open, SQLite makes the index of the log of writes anew, and a read-only one may not.
    uri = f"{source.resolve().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)) as read,
        closing(sqlite3.connect(target, isolation_level=None)) as written,
    ):
        read.execute("PRAGMA query_only=ON")
        read.backup(written)  # all pages in one step: one read transaction, which no write disturbs
        written.execute("PRAGMA journal_mode=DELETE")  # one file, without a log of writes beside it
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    return entry_of(target)


def _ends(store: Path) -> list[int]:
    """Return where the log ends in a copy of the store, by partition."""
    with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        (partitions,) = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
        trimmed = dict(connection.execute('SELECT "partition", "offset" FROM ends'))
        last = [connection.execute(f'SELECT max("offset") FROM {log_table(n)}').fetchone()[0] for n in range(partitions)]  # noqa: S608 - a number  # nosec B608
    return [max(found or 0, trimmed.get(n, 0)) for n, found in enumerate(last)]


def _rest(data: Path) -> tuple[list[str], tuple[str, ...]]:
    """Return the other files of a data folder (models, the key, and whatever else a release keeps there), and the folders in it that are another's.

    A lock tells them, at whatever depth: `foreshock demo` makes ``data/demo``, `foreshock cluster-demo` a folder for each node in ``data/cluster-demo``.
    """
    found = {path: PurePosixPath(path) for path in files_below(data, _NOT_COPIED)}
    others = {path.parts[0] for path in found.values() if path.name == LOCK}
    own = [name for name, path in found.items() if path.parts[0] not in others and not path.name.startswith(UNFINISHED)]
    return sorted(own), tuple(sorted(others))
