"""A backup made into a data folder, once every byte of it was seen to be what its manifest says.

`app.commands.backup_command` calls it. Nothing appears under the data folder's name before all of it is there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from app.backup import copy_file
from app.manifest import MANIFEST_FILE, Manifest, entry_of, read_manifest
from app.store.folder import files_below, is_vacant, whole_folder
from features.errors import InvalidValue, StoreFailed

__all__ = ["restore"]


def restore(source: Path, data: Path, told: Callable[[float, str], None], expected_sha256: str = "") -> Manifest:
    """Check a backup, then copy it to where a data folder is to be.

    Parameters
    ----------
    source : Path
        The backup.
    data : Path
        The data folder; absent or empty. Its parent has room for a copy.
    told : callable
        Told the share done and a word for what is done.
    expected_sha256 : str
        Of the manifest, as `foreshock backup` printed it; empty where it was not written down.

    Returns
    -------
    Manifest
        Of the backup.

    Raises
    ------
    InvalidValue
        When the backup is not whole, was changed or is another one, or the data folder holds something; nothing was written.
    NewerVersion
        When a newer release made it; nothing was written.
    StoreFailed
        When something cannot be read or written; nothing is left behind.
    """
    if not is_vacant(data):
        raise InvalidValue(f"a backup is restored into a folder that is absent or empty, got {data}")
    manifest = read_manifest(source, expected_sha256)
    try:
        told(0.0, "checking every file")
        _verify(source, manifest, lambda share: told(0.5 * share, "checking every file"))
        with whole_folder(data) as staging:
            for number, (name, entry) in enumerate(manifest.files.items()):
                if copy_file(source / name, staging / name) != entry:
                    raise InvalidValue(f"{source / name} changed while it was read")
                told(0.5 + 0.4 * number / len(manifest.files), "copying")
            _look_at(staging / "store.db")
    except OSError as exc:
        raise StoreFailed(
            f"cannot restore {source} to {data}: {exc}; where {data} is a mount, restore into a folder in it"
        ) from exc
    told(1.0, "done")
    return manifest


def _verify(source: Path, manifest: Manifest, told: Callable[[float], None]) -> None:
    """See that a backup holds the files of its manifest and no others, and that each has the bytes that it should have."""
    there = set(files_below(source)) - {MANIFEST_FILE}
    missing, unknown = sorted(manifest.files.keys() - there), sorted(there - manifest.files.keys())
    if missing or unknown:
        what = f"lacks {missing[:3]}" if missing else f"holds {unknown[:3]}, which the manifest does not name"
        raise InvalidValue(f"the backup {source} is not what it was: it {what}")
    for number, (name, entry) in enumerate(manifest.files.items()):
        path = source / name
        if path.is_symlink() or not path.is_file():
            raise InvalidValue(f"{path} must be a plain file")
        found = entry_of(path)
        if found != entry:
            raise InvalidValue(
                f"{path} must have {entry.n_bytes} bytes with the sha256 {entry.sha256}, got {found.n_bytes} with {found.sha256}"
            )
        told(number / len(manifest.files))


def _look_at(store: Path) -> None:
    """Let SQLite look through its pages: what was copied from a broken disk has the right hash too."""
    try:
        with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as exc:
        raise InvalidValue(f"the backup's store.db cannot be read: {exc}") from exc
    if said != "ok":
        raise InvalidValue(f"the backup's store.db is broken: {said}")
