"""Content-addressed bytes as files: model artifacts and large snapshots.

`training` and the worker put them; whoever gets one receives exactly the bytes that the hash names.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from app.store.folder import UNFINISHED, write_whole
from features.errors import StoreFailed, UntrustedArtifact

__all__ = ["FileBlobs"]


class FileBlobs:
    """The `Blobs` of one data folder: ``ab/cdef...`` for the hash ``abcdef...``.

    Parameters
    ----------
    folder : Path
        Made when it is absent; what a crash left unfinished in it is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*/{UNFINISHED}*"):
            left.unlink(missing_ok=True)

    def put(self, data: bytes) -> str:
        """Store bytes durably and return their sha256 in hexadecimal.

        Raises
        ------
        StoreFailed
            When the disk refused; nothing is there under the hash.
        """
        digest = sha256(data).hexdigest()
        path = self._path(digest)
        try:
            if not _holds(path, digest):
                write_whole(path, data)
        except OSError as exc:
            raise StoreFailed(f"cannot store blob {digest}: {exc}") from exc
        return digest

    def get(self, sha256: str) -> bytes:
        """Return the bytes of a hash; see `Blobs.get`."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise UntrustedArtifact(f"a blob's hash must be 64 lower-case hexadecimal digits, got {sha256!r}")
        path = self._path(sha256)
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise UntrustedArtifact(f"blob {sha256} cannot be read: {exc}") from exc
        if not _names(sha256, data):
            raise UntrustedArtifact(f"blob {sha256} holds {len(data)} other bytes; the file was changed")
        return data

    def remove(self, sha256: str) -> bool:
        """Remove the bytes of a hash for good and return whether they were there.

        Raises
        ------
        StoreFailed
            When the disk refused.
        """
        path = self._path(sha256)
        try:
            there = path.is_file()
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise StoreFailed(f"cannot remove blob {sha256}: {exc}") from exc
        return there

    def names(self) -> list[str]:
        """Return the hashes of all, in order."""
        found = (path.parent.name + path.name for path in self._folder.glob("??/*"))
        return sorted(name for name in found if re.fullmatch(r"[0-9a-f]{64}", name))

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest[2:]


def _names(digest: str, data: bytes) -> bool:
    return sha256(data).hexdigest() == digest


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and _names(digest, path.read_bytes())
