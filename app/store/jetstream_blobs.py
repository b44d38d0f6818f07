"""Content-addressed blobs in a JetStream object store."""

from __future__ import annotations

import hashlib
import re

from nats.js.errors import NotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from app.store.jetstream_link import Link
from features.errors import UntrustedArtifact

__all__ = ["JetStreamBlobs"]

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
        if not self._link.call(self._has(name)):
            self._link.call(self._objects.put(name, data))
        return name

    def get(self, sha256: str) -> bytes:
        """Return the bytes of a hash; see `Blobs.get`."""
        if _SHA256.fullmatch(sha256) is None:
            raise UntrustedArtifact(f"a blob is named by 64 lower-case hexadecimal digits, got {sha256!r}")
        try:
            data = self._link.call(self._objects.get(sha256)).data or b""
        except (ObjectNotFoundError, NotFoundError) as exc:
            raise UntrustedArtifact(f"there is no blob {sha256}") from exc
        if hashlib.sha256(data).hexdigest() != sha256:
            raise UntrustedArtifact(f"the bytes stored as {sha256} are others")
        return data

    async def _has(self, name: str) -> bool:
        try:
            await self._objects.get_info(name)
        except (ObjectNotFoundError, NotFoundError):
            return False
        return True
