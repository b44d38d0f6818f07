"""Nodes of a cluster without the rest of them: who holds partitions, and what tells them to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.cache.member_records import WORKER, Member
from app.membership import Membership
from app.ownership import Ownership, OwnershipPlan
from app.settings import StoreSettings
from app.store.contract import Document, Documents, Watch
from app.store.sqlite import open_store
from app.telemetry import Telemetry
from features.errors import StoreFailed
from tests.contracts.stores import Clock

__all__ = ["HEARTBEAT_S", "TTL_S", "ANode", "Fence", "Holding", "Monotonic", "Unsteady", "a_member", "documents_of"]

HEARTBEAT_S, TTL_S = 0.5, 3.0


class Monotonic:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def pass_by(self, seconds: float) -> None:
        self.now_s += seconds


class Fence:
    """Who acquired each partition last, as a store knows it."""

    def __init__(self) -> None:
        self.owner: dict[int, Holding] = {}


class Holding:
    """A holder over a fence: it takes at once, lets go at a tick, and notices at a tick that somebody else acquired what it held."""

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.wanted: frozenset[int] = frozenset()
        self.rates: dict[int, float] = {}
        self._held: frozenset[int] = frozenset()
        self._lock = threading.Lock()

    @property
    def held(self) -> frozenset[int]:
        return self._held

    def want(self, partitions: frozenset[int]) -> None:
        with self._lock:
            self.wanted = partitions
            for partition in partitions - self._held:
                self.fence.owner[partition] = self
            self._held |= partitions

    def tick(self) -> None:
        with self._lock:
            if any(self.fence.owner[partition] is not self for partition in self._held):
                self._held, self.wanted = frozenset(), frozenset()  # one batch for all: it is refused whole
            self._held &= self.wanted

    def lag(self) -> int:
        return 7

    def loads(self) -> Mapping[int, float]:
        return {partition: self.rates[partition] for partition in self._held if partition in self.rates}


class ANode:
    """What of a node owns: its holder, membership and ownership."""

    def __init__(
        self, membership: Membership, fence: Fence, plan: OwnershipPlan, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.id = membership.me.id
        self.holder = Holding(fence)
        self.telemetry = Telemetry()
        self.membership = membership
        self.ownership = Ownership(self.holder, self.membership, plan, self.telemetry, lambda: 60.0, clock)

    def close(self) -> None:
        self.membership.close()


class Unsteady:
    """Documents of a store that fail when they are told to."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.refuses = False
        self.loses_answers = 0
        self.frozen = False

    def get(self, bucket: str, key: str) -> Document | None:
        self._check()
        return self._documents.get(bucket, key)

    def put(self, bucket: str, key: str, value: bytes, *, ttl_s: float | None = None) -> int:
        return self._documents.put(bucket, key, value, ttl_s=ttl_s)

    def swap(self, bucket: str, key: str, value: bytes, revision: int, *, ttl_s: float | None = None) -> int:
        self._check()
        stored = self._documents.swap(bucket, key, value, revision, ttl_s=ttl_s)
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreFailed("the answer was lost")
        return stored

    def add_all(self, bucket: str, values: Mapping[str, bytes]) -> None:
        self._documents.add_all(bucket, values)

    def delete(self, bucket: str, key: str) -> None:
        self._check()
        self._documents.delete(bucket, key)

    def items(self, bucket: str, prefix: str = "") -> list[Document]:
        return self._documents.items(bucket, prefix)

    def purge(self) -> int:
        return self._documents.purge()

    def watch(self, bucket: str) -> Watch:
        return _Slow(self._documents.watch(bucket), self)

    def _check(self) -> None:
        if self.refuses:
            raise StoreFailed("no server leads")


class _Slow:
    """A watch that stands still while its documents are frozen."""

    def __init__(self, watch: Watch, documents: Unsteady) -> None:
        self._watch, self._documents = watch, documents
        self._last = list(watch.items())

    @property
    def changes(self) -> int:
        return self._watch.changes

    @property
    def n_documents(self) -> int:
        return self._watch.n_documents

    def get(self, key: str) -> Document | None:
        return next((document for document in self.items() if document.key == key), None)

    def items(self, prefix: str = "") -> Generator[Document]:
        if not self._documents.frozen:
            self._last = list(self._watch.items())
        yield from (document for document in self._last if document.key.startswith(prefix))

    def close(self) -> None:
        self._watch.close()


def a_member(name: str, incarnation: str = "1", *, weight: float = 1.0, started_at: float = 0.0) -> Member:
    return Member(name, incarnation, "0.1.0", started_at, (WORKER,), weight=weight)


@contextmanager
def documents_of(folder: Path, clock: Clock | None = None) -> Generator[Documents]:
    """Open a store and give its documents."""
    settings = StoreSettings(partitions=1, commit_window_ms=0.0)
    store = open_store(folder, settings=settings, max_in_flight_bytes=2**20, now=clock or Clock())
    try:
        yield store.documents
    finally:
        store.close()
