"""The records of a watched bucket, each decoded once for each of its revisions; for parts that look at all of a bucket again and again.

`app.alerts` reads its buckets so. `app.cache.cache` does the same by tenant, for the many who ask over REST.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from app.cache.documents import decode_document
from app.store.contract import Watch
from features.errors import InvalidValue

__all__ = ["Decoded"]

T_co = TypeVar("T_co", covariant=True)


class Decoded(Generic[T_co]):
    """Records by key. Used by one thread.

    Parameters
    ----------
    watch : Watch
        Of the bucket; closed with it.
    kind : type
        What they are decoded into. What another version wrote and cannot be read is left out.
    """

    def __init__(self, watch: Watch, kind: type[T_co]) -> None:
        self._watch = watch
        self._kind = kind
        self._looked = -1
        self._known: dict[str, tuple[int, T_co | None]] = {}

    @property
    def changes(self) -> int:
        """How many changes have come so far."""
        return self._watch.changes

    def keys(self) -> list[str]:
        """Return the keys of all live documents, in order."""
        return [document.key for document in self._watch.items()]

    def all(self, prefix: str = "", suffix: str = "") -> dict[str, T_co]:
        """Return the records whose key starts with a prefix and ends with a suffix, by key; nothing else is decoded."""
        found: dict[str, T_co] = {}
        for document in self._watch.items(prefix):
            if not document.key.endswith(suffix):
                continue
            record = self._record(document.key, document.revision, document.value)
            if record is not None:
                found[document.key] = record
        self._forget()
        return found

    def get(self, key: str) -> T_co | None:
        """Return a record, None when absent, expired or unreadable."""
        document = self._watch.get(key)
        return None if document is None else self._record(key, document.revision, document.value)

    def revision(self, key: str) -> int:
        """Return the revision of the record that was returned last for a key, 0 when there was none."""
        return self._known[key][0] if key in self._known else 0

    def close(self) -> None:
        """Stop following the bucket."""
        self._watch.close()

    def _record(self, key: str, revision: int, value: bytes) -> T_co | None:
        known = self._known.get(key)
        if known is None or known[0] != revision:
            try:
                record = decode_document(value, self._kind)
            except InvalidValue:
                record = None
            known = self._known[key] = revision, record
        return known[1]

    def _forget(self) -> None:
        """Let go of records whose documents are gone; looked for now and then only, as that reads all keys."""
        if self._watch.changes - self._looked > len(self._known):
            self._looked = self._watch.changes
            live = {document.key for document in self._watch.items()}
            self._known = {key: known for key, known in self._known.items() if key in live}
