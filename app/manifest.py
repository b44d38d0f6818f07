"""What a backup says of itself: which release made it, which forms it holds, and the hash of every file.

`app.backup` writes it last, so a backup without one is none; `app.restore` believes nothing of a backup but what it can check by it.
"""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath

import msgspec

from app.history import layout
from app.ingest import codec
from app.node_id import software_version
from app.store.folder import UNFINISHED, write_whole
from app.store.sqlite_schema import SCHEMA_VERSION
from features import snapshot
from features.errors import InvalidValue, NewerVersion

__all__ = ["LAYOUTS", "MANIFEST_FILE", "FileEntry", "Manifest", "entry_of", "read_manifest", "write_manifest"]

MANIFEST_FILE = "manifest.json"
"""Its name in a backup."""

FORMAT = 1
"""Raised when a backup is laid out otherwise."""

LAYOUTS = {"tables": SCHEMA_VERSION, "log": codec.VERSION, "state": snapshot.VERSION, "history": layout.VERSION}
"""The newest forms that this release reads, by what has them."""

_MAX_BYTES = 256 * 2**20  # of a manifest; guessed: a million files
_HEX = re.compile(r"[0-9a-f]{64}")


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup: its sha256 in hexadecimal, and how many bytes it has."""

    sha256: str
    n_bytes: int


def entry_of(path: Path) -> FileEntry:
    """Read a file and return what a manifest says of it."""
    with path.open("rb") as file:
        return FileEntry(file_digest(file, "sha256").hexdigest(), file.tell())


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds.

    Parameters
    ----------
    made_at : datetime
        When the store was copied, aware.
    ends : list of int
        Offset at which the log ended, by partition.
    history : dict of str to int
        Version of each Delta table.
    history_elsewhere : str
        Where history lies when it is not in the backup, without secrets; empty when it is.
    files : dict of str to FileEntry
        By path below the backup, with slashes.
    release : str
        Version of the software; empty where it was not installed.
    layouts : dict of str to int
        As `LAYOUTS`.
    format : int
        Of the backup itself.
    """

    made_at: datetime
    ends: list[int]
    history: dict[str, int]
    history_elsewhere: str
    files: dict[str, FileEntry]
    release: str = ""
    layouts: dict[str, int] = {}
    format: int = FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Write a manifest durably and return its sha256, by which one can tell later that the whole backup is the same."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_whole(folder / MANIFEST_FILE, data)
    return sha256(data).hexdigest()


def read_manifest(folder: Path, expected_sha256: str = "") -> Manifest:
    """Return the manifest of a backup once nothing in it can lead anywhere else.

    Parameters
    ----------
    folder : Path
        The backup.
    expected_sha256 : str
        What `foreshock backup` printed, where it was written down; empty checks nothing.

    Raises
    ------
    InvalidValue
        When there is none, it is not the expected one, or a path in it leads out of the backup.
    NewerVersion
        When a newer release made it.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file() or path.is_symlink():
        raise InvalidValue(f"{folder} must be a whole backup: it has no {MANIFEST_FILE}, which is written last")
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidValue(f"{path} must have <= {_MAX_BYTES} bytes, got {path.stat().st_size}")
    data = path.read_bytes()
    found = sha256(data).hexdigest()
    if expected_sha256 and found != expected_sha256.lower():
        raise InvalidValue(f"{path} must have the sha256 {expected_sha256}, got {found}: it is another backup, or was changed")
    try:
        said = msgspec.json.decode(data)
        _check_release(path, said)
        manifest = msgspec.convert(said, Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, AttributeError, RecursionError) as exc:
        raise InvalidValue(f"{path} cannot be read: {exc}") from exc
    for name, entry in manifest.files.items():
        _check_file(path, name, entry)
    if "store.db" not in manifest.files:
        raise InvalidValue(f"{path} must name store.db, got {len(manifest.files)} other files")
    return manifest


def _check_release(path: Path, said: dict[str, object]) -> None:
    """Look at the versions before anything whose form they name."""
    made, layouts = said.get("format"), said.get("layouts")
    newer = [f"format {made}"] if isinstance(made, int) and made > FORMAT else []
    if isinstance(layouts, dict):
        newer += [
            f"{name} {version}"
            for name, version in sorted(layouts.items())
            if isinstance(version, int) and version > LAYOUTS.get(name, 0)
        ]
    release, own = str(said.get("release") or ""), software_version()
    if release and own and _numbers(release) > _numbers(own):
        newer.append(f"release {release}")
    if newer:
        raise NewerVersion(
            f"{path}: a newer release made this backup ({', '.join(newer)}; this one is {own or 'not installed'}): upgrade first"
        )


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])


def _check_file(path: Path, name: str, entry: FileEntry) -> None:
    pure = PurePosixPath(name)
    odd = not name or "\\" in name or "\0" in name or ":" in name.partition("/")[0] or str(pure) != name
    if odd or pure.is_absolute() or ".." in pure.parts or pure.parts[0].startswith(UNFINISHED) or name == MANIFEST_FILE:
        raise InvalidValue(f"{path}: every file must lie in the backup, got the path {name!r}")
    if not _HEX.fullmatch(entry.sha256) or entry.n_bytes < 0:
        raise InvalidValue(
            f"{path}: {name} must have a sha256 of 64 digits and >= 0 bytes, got {entry.sha256[:80]!r}, {entry.n_bytes}"
        )
