"""A bucket's documents as records, each decoded once for each change.

`app.correlation` and `app.alerts` look at the same documents again and again; the API has `app.cache.cache` for that, which counts what is read and
watches every bucket.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Generic, TypeVar

from app.cache.documents import decode_document
from app.store.contract import Document, Watch
from features.errors import InvalidValue

__all__ = ["Decoded", "read"]

_FEW = 1024  # records, of which it does not matter whether they are gone; guessed

logger = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Decoded(Generic[T_co]):
    """Records of one watch. Used by one thread.

    Parameters
    ----------
    watch : Watch
        Of the bucket.
    kind : type
        What its documents are decoded into.
    """

    def __init__(self, watch: Watch, kind: type[T_co]) -> None:
        self.watch = watch
        self._kind = kind
        self._known: dict[str, tuple[int, T_co | None]] = {}  # by key: the revision, and what it says
        self._look_at = _FEW  # how many there are when it is looked for those that are gone

    def one(self, key: str) -> T_co | None:
        """Return a record, None when absent or unreadable."""
        document = self.watch.get(key)
        if document is None:
            self._known.pop(key, None)
            return None
        return self._read(document)

    def all(self, prefix: str = "", suffix: str = "") -> dict[str, T_co]:
        """Return the records whose key starts with a prefix and ends with a suffix, by key; what is gone is forgotten."""
        chosen = (document for document in self.watch.items(prefix) if document.key.endswith(suffix))
        found = {document.key: self._read(document) for document in chosen}
        for key in [key for key in self._known if key.startswith(prefix) and key.endswith(suffix) and key not in found]:
            del self._known[key]
        return {key: record for key, record in found.items() if record is not None}

    def revision(self, key: str) -> int:
        """Return the revision of a record as it was last read here, 0 for none."""
        known = self._known.get(key)
        return 0 if known is None else known[0]

    def tenants(self) -> Iterator[str]:
        """Iterate over what leads the keys, each once, as it is written there."""
        return iter(dict.fromkeys(document.key.partition("/")[0] for document in self.watch.items()))

    @property
    def size(self) -> int:
        """How many records are in memory."""
        return len(self._known)

    def _read(self, document: Document) -> T_co | None:
        known = self._known.get(document.key)
        if known is None or known[0] != document.revision:
            known = self._known[document.key] = document.revision, read(document, self._kind)
            if len(self._known) > self._look_at:  # who asks for one at a time does not ask again for what is gone
                self._known = {key: one for key, one in self._known.items() if self.watch.get(key) is not None}
                self._look_at = max(_FEW, 2 * len(self._known))
        return known[1]


def read(document: Document | None, kind: type[T]) -> T | None:
    """Return what a document says, None when it is absent or unreadable."""
    if document is None:
        return None
    try:
        return decode_document(document.value, kind)
    except InvalidValue as exc:  # written by another version; the rest of the bucket is still good
        logger.warning("%s is left out: %s", document.key, exc)
        return None
