"""Content-addressed blobs in a JetStream object store."""

from __future__ import annotations

import asyncio
import hashlib
import re

from nats.js.errors import DigestMismatchError, NotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from app.store.jetstream_link import Link
from features.errors import UntrustedArtifact

__all__ = ["JetStreamBlobs"]

_STREAM = "FS_BLOBS"
_PART_S = 10.0
_SLOWEST_BYTES_S = 2**20  # guessed, as the seconds above: less is a cluster that is away
_SHA256 = re.compile(r"[0-9a-f]{64}")


class JetStreamBlobs:
    """The `Blobs` of a cluster.

    Parameters
    ----------
    link : Link
        The connection.
    objects : ObjectStore
        Where they lie.
    """

    def __init__(self, link: Link, objects: ObjectStore) -> None:
        self._link = link
        self._objects = objects

    def put(self, data: bytes) -> str:
        """Store bytes durably and return their sha256 in hexadecimal."""
        name = hashlib.sha256(data).hexdigest()
        self._link.call(self._link.insist(f"{_STREAM} blob {name}", lambda: self._put(name, data), len(data)))
        return name

    def get(self, sha256: str) -> bytes:
        """Return the bytes of a hash; see `Blobs.get`."""
        if _SHA256.fullmatch(sha256) is None:
            raise UntrustedArtifact(f"a blob is named by 64 lower-case hexadecimal digits, got {sha256!r}")
        data = self._link.call(self._link.insist(f"{_STREAM} blob {sha256}", lambda: self._get(sha256)))
        if data is None:
            raise UntrustedArtifact(f"there is no blob {sha256}")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise UntrustedArtifact(f"the bytes stored as {sha256} are others")
        return data

    async def _put(self, name: str, data: bytes) -> None:
        if await self._n_bytes(name) is None:
            await self._objects.put(name, data)

    async def _get(self, name: str) -> bytes | None:
        n_bytes = await self._n_bytes(name)
        if n_bytes is None:
            return None
        try:  # who waits for a part that is gone waits for ever
            return (await asyncio.wait_for(self._objects.get(name), _PART_S + n_bytes / _SLOWEST_BYTES_S)).data or b""
        except DigestMismatchError as exc:
            raise UntrustedArtifact(f"the bytes stored as {name} are others") from exc

    async def _n_bytes(self, name: str) -> int | None:
        try:
            return (await self._objects.get_info(name)).size or 0
        except (ObjectNotFoundError, NotFoundError):
            return None
