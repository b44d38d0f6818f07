"""Live copies of buckets in memory.

The writer of `app.store.sqlite` applies every durable change to them before the caller is answered;
`app.cache` and the API read them without touching the disk.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.store.contract import Document

__all__ = ["Change", "WatchedBucket", "WatchedBuckets"]


@dataclass(frozen=True, slots=True)
class Change:
    """A document that was written (or deleted: None), and the unix second at which it expires."""

    bucket: str
    key: str
    document: Document | None
    expires: float | None


class WatchedBucket:
    """A `Watch` over one bucket; reading takes no lock while no key comes or goes.

    Parameters
    ----------
    now_s : Callable
        Unix seconds; decides what has expired.
    detach : Callable
        Called once by `close`.
    """

    def __init__(self, now_s: Callable[[], float], detach: Callable[[WatchedBucket], None]) -> None:
        self._now_s = now_s
        self._detach = detach
        self._lock = threading.Lock()
        self._documents: dict[str, tuple[Document, float | None]] = {}
        self._keys: list[str] | None = []
        self._changes = 0

    @property
    def changes(self) -> int:
        """How many changes have come so far."""
        return self._changes

    @property
    def n_documents(self) -> int:
        """How many documents are in memory, those that expired and were not dropped yet among them."""
        return len(self._documents)

    def get(self, key: str) -> Document | None:
        """Return a document, None when absent or expired."""
        return self._live(key, self._now_s())

    def items(self, prefix: str = "") -> Iterator[Document]:
        """Iterate over the live documents whose key starts with a prefix, by key."""
        now_s, keys = self._now_s(), self._sorted()
        for index in range(bisect_left(keys, prefix), len(keys)):
            if not keys[index].startswith(prefix):
                return
            document = self._live(keys[index], now_s)
            if document is not None:
                yield document

    def close(self) -> None:
        """Stop following the bucket; a second call does nothing."""
        self._detach(self)

    def apply(self, changes: Sequence[Change]) -> None:
        """Take over changes of this bucket, in order."""
        with self._lock:
            for change in changes:
                if (change.document is not None) != (change.key in self._documents):
                    self._keys = None  # a key came or went; readers keep the list that they hold
                if change.document is None:
                    self._documents.pop(change.key, None)
                else:
                    self._documents[change.key] = change.document, change.expires
            self._changes += len(changes)  # at last, so that who asks again with a new number finds the documents

    def copied(self, bucket: str) -> list[Change]:
        """Return what would make an empty copy of a bucket like this one."""
        with self._lock:
            return [Change(bucket, key, document, expires) for key, (document, expires) in self._documents.items()]

    def purge(self, now_s: float) -> None:
        """Drop what has expired."""
        with self._lock:
            gone = [key for key, (_, expires) in self._documents.items() if expires is not None and expires <= now_s]
            for key in gone:
                del self._documents[key]
            if gone:
                self._keys = None

    def _live(self, key: str, now_s: float) -> Document | None:
        document, expires = self._documents.get(key, (None, None))
        return document if expires is None or expires > now_s else None

    def _sorted(self) -> list[str]:
        with self._lock:
            if self._keys is None:
                self._keys = sorted(self._documents)
            return self._keys


class WatchedBuckets:
    """All open watches of a store.

    Parameters
    ----------
    now_s : Callable
        Unix seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._open: dict[WatchedBucket, str] = {}
        self._named: dict[WatchedBucket, str] = {}

    def make(self, bucket: str) -> WatchedBucket:
        """Return a watch that follows nothing yet."""
        watch = WatchedBucket(self._now_s, self._close)
        with self._lock:
            self._named[watch] = bucket
        return watch

    def open(self, watch: WatchedBucket, changes: Sequence[Change]) -> None:
        """Fill a watch and let it follow its bucket from now on."""
        watch.apply(changes)
        with self._lock:
            if watch in self._named:
                self._open[watch] = self._named.pop(watch)

    def apply(self, changes: Sequence[Change]) -> None:
        """Hand changes to the watches that follow their buckets."""
        if not self._open:
            return
        by_bucket: dict[str, list[Change]] = {}
        for change in changes:
            by_bucket.setdefault(change.bucket, []).append(change)
        for watch, bucket in self._snapshot():
            if bucket in by_bucket:
                watch.apply(by_bucket[bucket])

    def purge(self, now_s: float) -> None:
        """Drop what has expired from every watch."""
        for watch, _ in self._snapshot():
            watch.purge(now_s)

    def _snapshot(self) -> list[tuple[WatchedBucket, str]]:
        with self._lock:
            return list(self._open.items())

    def _close(self, watch: WatchedBucket) -> None:
        with self._lock:
            self._open.pop(watch, None)
            self._named.pop(watch, None)
