"""The data folder: who holds it, and files and folders that are there whole or not at all.

`app.store.sqlite.open_store` holds the folder before it opens anything in it and lets go last.
The operating system drops the lock with the process, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Set
from pathlib import Path
from typing import IO

from features.errors import DataInUse, InvalidSetting

__all__ = ["LOCK", "UNFINISHED", "FolderLock", "files_below", "is_vacant", "sync_folder", "whole_folder", "write_whole"]

LOCK = "lock"
"""File by which a folder is held, and by which one is known to be a data folder."""

UNFINISHED = ".unfinished-"
"""What the names of files begin with that a crash left half written."""


class FolderLock:
    """The exclusive right to a data folder, held from construction until `release`.

    Parameters
    ----------
    folder : Path
        Made when it is absent.

    Raises
    ------
    DataInUse
        When another holder, of this process or another one, has the folder.
    InvalidSetting
        When the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as exc:
            raise InvalidSetting(f"data folder {folder} cannot be used: {exc}") from exc
        try:
            _lock(file)
        except OSError as exc:
            holder = _holder(path)
            file.close()
            raise DataInUse(f"data folder {folder} is held by process {holder}") from exc
        self._file: IO[bytes] | None = file
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()

    def release(self) -> None:
        """Let go of the folder; a second call does nothing."""
        if self._file is not None:
            # The file stays: removing it would let two processes lock two files of one name.
            self._file.truncate(0)
            self._file.close()
            self._file = None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the platform can.

    Parameters
    ----------
    folder : Path
        A folder in which a file was made or renamed.
    """
    if sys.platform == "win32":  # NTFS journals names itself, and a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that only this user can read: all of it durably, or none of it, whenever the power goes.

    Parameters
    ----------
    path : Path
        Its folder is made when it is absent.
    data : bytes
        What it holds then.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(exist_ok=True)
        sync_folder(path.parent.parent)
    descriptor, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def whole_folder(path: Path) -> Generator[Path]:
    """Let a folder be filled that only this user can read: it has its name once all of it is durable, or there is nothing.

    Parameters
    ----------
    path : Path
        What it is going to be; `is_vacant`. Its parent is made when it is absent, and holds the unfinished folder meanwhile.

    Yields
    ------
    Path
        The folder to fill.
    """
    parent = path.resolve().parent
    staging = parent / f"{UNFINISHED}{path.name}-{secrets.token_hex(4)}"
    parent.mkdir(parents=True, exist_ok=True)
    staging.mkdir(mode=0o700)
    try:
        yield staging
        for folder, _, _ in os.walk(staging, topdown=False):
            sync_folder(Path(folder))
        os.rename(staging, path)
        sync_folder(parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def is_vacant(path: Path) -> bool:
    """Say whether a path is free for a new folder: absent, or an empty folder and no link to one."""
    return not path.is_symlink() and (not path.exists() or (path.is_dir() and not any(path.iterdir())))


def files_below(folder: Path, without: Set[str] = frozenset()) -> Iterator[str]:
    """Yield what lies in a folder at any depth and is no folder, as a path with slashes; links, which are not followed, too.

    Parameters
    ----------
    folder : Path
        Where to look.
    without : set of str
        Names directly in it that are passed over with all below them.
    """
    for place, folders, names in os.walk(folder):
        here, skipped = Path(place), without if Path(place) == folder else frozenset[str]()
        folders[:] = [name for name in folders if name not in skipped]
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*names, *links):
            if name not in skipped:
                yield (here / name).relative_to(folder).as_posix()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(1 << 30)  # a byte beyond the text, which must stay readable for others
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            file.seek(0)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace").strip() or "unknown"
    return "unknown"
