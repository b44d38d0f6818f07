"""The way of a folder's tables to another place: all files of each, the log of commits last, so that a copy is whole or read by nobody.

`app.commands.migrate_command` calls it while no node holds the folder. What comes first is a mark: a commit beyond all others that asks for a feature which
no program has. So whatever a kill leaves is refused by all that read and write Delta tables. The mark says whose copy it is, and goes last.

References
----------
Delta Transaction Log Protocol, "Protocol Evolution": who does not know a feature that a table asks for must neither read nor write it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector, FileType, LocalFileSystem, PyFileSystem, copy_files

from app.history.place import Place, line_of, place_of
from app.history.tables import SCHEMAS
from app.store.folder import files_below, sync_folder
from features.errors import InvalidValue, StoreFailed

__all__ = ["UNFINISHED_FEATURE", "move_tables", "tables_in", "went_on"]

UNFINISHED_FEATURE = "foreshockMigrateUnfinished"
"""What a table asks of its readers while it is being copied."""

_OPERATION = "UNFINISHED COPY"
_LOG = "_delta_log"
_POINTER = f"{_LOG}/_last_checkpoint"
_COMMIT = re.compile(rf"{_LOG}/(\d{{20}})\.json")
_REMNANT = re.compile(rf"#\d+$|^{_LOG}/_commit_[^/]*\.tmp$")
"""Names of files that a killed writer in a folder left half written."""

_PART = 8 * 2**20
"""Bytes of one part of an upload. S3 takes none below 5 MiB but the last, and ten thousand of them."""

_AT_ONCE = 8
"""Files on their way at the same time. Guessed: each waits for its store most of the time."""


def tables_in(folder: Path) -> list[str]:
    """Return the tables that a folder of history holds.

    Examples
    --------
    >>> tables_in(Path("/nowhere"))
    []
    """
    return [
        name for name in SCHEMAS if any(_version_of(f"{_LOG}/{path.name}") is not None for path in _names(folder / name / _LOG))
    ]


def went_on(folder: Path, where: Path | str, options: Mapping[str, str] | None = None) -> bool:
    """Say whether tables that were copied from a folder have taken in more since, so that history is there now.

    Parameters
    ----------
    folder : Path
        Of history.
    where : Path or str
        The other place.
    options : mapping of str to str, optional
        Of the object store.

    Raises
    ------
    InvalidValue, StoreFailed
        As `move_tables` would.
    """
    place = place_of(where, options)
    with _told(folder, place):
        copies = _copies(folder, place)
        _left(copies, place)
    return any(copy.went_on for copy in copies)


def move_tables(
    folder: Path,
    where: Path | str,
    options: Mapping[str, str] | None = None,
    told: Callable[[float], None] = lambda _share: None,
) -> dict[str, int]:
    """Copy the tables of a folder with all their versions; the folder stays as it is. Killed at any point, it can be called again.

    A table that is there at an earlier state of the folder's is brought up to it. One that holds all of the folder's and went on from there is left alone.

    Parameters
    ----------
    folder : Path
        Of history; nobody writes to it.
    where : Path or str
        Another folder, or the URL of an object store; nobody writes there either.
    options : mapping of str to str, optional
        Of the object store.
    told : callable, optional
        Receives the share done.

    Returns
    -------
    dict of str to int
        How many tables, files and rows of their newest versions were copied; zeros where all was there.

    Raises
    ------
    InvalidValue
        When something else is there; nothing was changed then.
    StoreFailed
        When the folder or the object store refused, or what arrived is not what was sent; no program reads it then.
    """
    place = place_of(where, options)
    with _told(folder, place):
        left = _left(_copies(folder, place), place)
        for copy in left:
            copy.put_mark()
        _carry(left, told)
        n_rows = sum(copy.verified() for copy in left)
        for copy in left:
            copy.remove_mark()
    told(1.0)
    return {"tables": len(left), "files": sum(len(copy.files) for copy in left), "rows": n_rows}


@contextmanager
def _told(folder: Path, place: Place) -> Generator[None]:
    """Turn whatever one of both refuses with into one error."""
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException) as exc:
        raise StoreFailed(f"history could not be copied from {folder} to {place.url}: {line_of(exc)}") from exc


def _copies(folder: Path, place: Place) -> list[_Copy]:
    return [_Copy(folder / name, place, name) for name in tables_in(folder)]


def _left(copies: list[_Copy], place: Place) -> list[_Copy]:
    """Return what has to be copied; refuse what is there and does not come from the folder."""
    lacking = [copy for copy in copies if not copy.holds_all()]
    if copies and not any(copy.went_on for copy in copies):
        for name in sorted(SCHEMAS.keys() - {copy.name for copy in copies}):
            version = _version_there(place, name)
            if version:  # 0 is a table that somebody made and wrote nothing to
                raise InvalidValue(
                    f"{place.url} must hold no table but copies of the folder's, got {name} at version {version}, which the folder lacks"
                )
    return lacking


def _carry(left: list[_Copy], told: Callable[[float], None]) -> None:
    """Copy the rows of all tables, then their logs, each in its order."""
    whole, sent = sum(sum(copy.files.values()) for copy in left), 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = [(copy, name) for copy in left for name in copy.rows]
        for n_bytes in pool.map(lambda each: each[0].put(each[1]), rows):
            sent += n_bytes
            told(0.95 * sent / whole)
        for n_bytes in pool.map(_Copy.put_log, left):
            sent += n_bytes
            told(0.95 * sent / whole)


class _Copy:
    """A table of a folder, and what is there of it."""

    def __init__(self, source: Path, place: Place, name: str) -> None:
        self.name = name
        self.went_on = False
        self.files = {path: (source / path).stat().st_size for path in files_below(source) if not _REMNANT.search(path)}
        self._source, self._place = source, place
        self._versions = sorted(version for path in self.files if (version := _version_of(path)) is not None)
        self._there: dict[str, int] = {}

    @property
    def rows(self) -> list[str]:
        """What is no part of the log, and not there yet. In a folder a power cut may have taken what sizes promise."""
        known = {} if self._place.folder is not None else self._there
        return [path for path, size in self.files.items() if not _is_log(path) and known.get(path) != size]

    def holds_all(self) -> bool:
        """Say whether all of it is there, and note whether it went on there; refuse what does not come from it."""
        self._there = self._found()
        if not self._there:
            return False
        version = max((n for path in self._there if (n := _version_of(path)) is not None), default=None)
        if version is None:
            raise self._refused("files without a log of commits")
        said = self._read(_commit(version))
        if _is_mark(said):
            if said != self._mark:
                raise self._refused("an unfinished copy of another table")
            return False
        if self._is_known(version):
            return version == self._last and all(
                self._there.get(path) == size for path, size in self.files.items() if path != _POINTER
            )
        self.went_on = self._is_known(self._last)
        if not self.went_on:
            raise self._refused(f"a table at version {version} that is no copy of it")
        return True

    def put_mark(self) -> None:
        """Let nobody read or write what is there, until `remove_mark`."""
        if self._place.folder is not None:
            (self._place.folder / self.name / _LOG).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory() as scratch:
            mark = Path(scratch) / "mark"
            mark.write_bytes(self._mark)
            self._send(mark, self._marked)
        self._sync(_LOG)

    def put(self, path: str) -> int:
        """Copy one file and return its bytes."""
        self._send(self._source / path, path)
        return self.files[path]

    def put_log(self) -> int:
        """Copy the log in its order, remove what an earlier call left and the table lacks, and return the bytes."""
        log = sorted((path for path in self.files if _is_log(path)), key=_order)
        n_bytes = sum(self.put(path) for path in log)
        for path in self._there.keys() - self.files.keys() - {self._marked}:
            self._objects.delete_file(path)
        self._sync("", *{str(Path(path).parent) for path in self.files})
        return n_bytes

    def verified(self) -> int:
        """Compare both ends and return the number of rows."""
        found = {path: size for path, size in self._found().items() if path != self._marked}
        differ = sorted(path for path in found.keys() | self.files.keys() if found.get(path) != self.files.get(path))
        if differ:
            raise StoreFailed(
                f"{self._url} must hold the {len(self.files)} files of {self._source}, got {len(differ)} that differ: {differ[0]}"
            )
        here = DeltaTable(str(self._source))
        there = DeltaTable(self._url, version=self._last, storage_options=_options(self._place))
        states = [(delta.version(), delta.to_pyarrow_dataset().count_rows()) for delta in (here, there)]
        if states[0] != states[1]:
            raise StoreFailed(f"{self._url} must be at (version, rows) {states[0]} as {self._source} is, got {states[1]}")
        return states[0][1]

    def remove_mark(self) -> None:
        """Let it be read."""
        self._objects.delete_file(self._marked)
        self._sync(_LOG)

    @cached_property
    def _objects(self) -> DeltaStorageHandler:
        return DeltaStorageHandler(self._url, {**(_options(self._place) or {}), "max_buffer_size": str(_PART)})

    @cached_property
    def _mark(self) -> bytes:
        """What the mark says: the id of the table, which its copies share, and what none can do that reads it."""
        features = [UNFINISHED_FEATURE]
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
        said = {
            "timestamp": 0,
            "operation": _OPERATION,
            "operationParameters": {"table": DeltaTable(str(self._source)).metadata().id},
        }
        return "".join(json.dumps(each) + "\n" for each in ({"commitInfo": said}, {"protocol": protocol})).encode()

    @property
    def _last(self) -> int:
        return self._versions[-1]

    @property
    def _marked(self) -> str:
        return _commit(self._last + 1)

    @property
    def _url(self) -> str:
        return self._place.table(self.name)

    def _is_known(self, version: int) -> bool:
        """Say whether a version of the table is the same at both ends. No two commits are: they name files by random numbers."""
        path = _commit(version)
        return path in self.files and path in self._there and self._read(path) == (self._source / path).read_bytes()

    def _read(self, path: str) -> bytes:
        with self._objects.open_input_file(path) as opened:
            return bytes(opened.read())

    def _found(self) -> dict[str, int]:
        """Return the bytes of each file that is there."""
        if self._place.folder is not None and not (self._place.folder / self.name).is_dir():
            return {}
        listed = self._objects.get_file_info_selector(FileSelector("", recursive=True, allow_not_found=True))
        return {info.path: info.size or 0 for info in listed if info.type == FileType.File}

    def _send(self, source: Path, path: str) -> None:
        """Copy a file; it has its name once all of it is there."""
        copy_files(
            str(source.resolve()),
            path,
            source_filesystem=LocalFileSystem(),
            destination_filesystem=PyFileSystem(self._objects),
            chunk_size=_PART,
            use_threads=False,
        )
        if self._place.folder is not None:
            with (self._place.folder / self.name / path).open("rb") as opened:
                os.fsync(opened.fileno())

    def _sync(self, *folders: str) -> None:
        """Make names in folders of the table durable, where it lies in one."""
        if self._place.folder is None:
            return
        table = self._place.folder / self.name
        for folder in (*(table / each for each in folders), table, self._place.folder, self._place.folder.parent):
            sync_folder(folder)

    def _refused(self, got: str) -> InvalidValue:
        return InvalidValue(
            f"{self._url} must be empty or an earlier state of {self._source}, got {got}. Where the node has its history there, move "
            f"{self._source.parent} away; else let history_url name another place"
        )


def _order(path: str) -> tuple[int, int, str]:
    """Return where a file of the log stands in its order: commits by version, then what sums them up, then what points to that."""
    version = _version_of(path)
    return (0, version, path) if version is not None else (2 if path == _POINTER else 1, 0, path)


def _commit(version: int) -> str:
    return f"{_LOG}/{version:020}.json"


def _version_of(path: str) -> int | None:
    """Return the version that a file of a table is the commit of, if it is one."""
    match = _COMMIT.fullmatch(path)
    return None if match is None else int(match[1])


def _is_log(path: str) -> bool:
    return path.startswith(f"{_LOG}/")


def _is_mark(said: bytes) -> bool:
    return UNFINISHED_FEATURE.encode() in said and _OPERATION.encode() in said


def _names(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _version_there(place: Place, name: str) -> int | None:
    try:
        return DeltaTable(place.table(name), storage_options=_options(place)).version()
    except TableNotFoundError:
        return None


def _options(place: Place) -> dict[str, str] | None:
    return None if place.options is None else dict(place.options)
