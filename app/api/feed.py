"""What changed in a tenant's documents, in order, for as many readers as there are.

`app.api.stream` asks; the changes are found by comparing revisions of the watched documents, so nothing is computed
while nobody listens, and whoever comes back finds what changed meanwhile. Each change is remembered once for all
readers, in a bounded ring: who is too slow loses the oldest and is told so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

import msgspec

from app.cache.cache import Cache
from app.cache.documents import tenant_key
from app.store.contract import Document
from features.errors import Overloaded
from models.prediction import AnomalyScore

__all__ = ["Change", "Feed", "Feeds", "Kind", "StreamPlan"]

Kind: TypeAlias = Literal["prediction", "anomaly", "incident", "group", "alert", "model"]
"""What changed: a prediction was replaced, a window was out of its bounds, an incident or an alert began, moved or ended, there is more to say of a
group of incidents, a model came or serves."""

_BUCKETS = ("predictions", "incidents", "groups", "alerts", "models")

_KIND_OF: dict[str, Kind] = {"incidents": "incident", "groups": "group", "alerts": "alert", "models": "model"}

_RARE = 0.99  # guessed: of 10,000 services, a hundred events a minute at the most


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """Bounds of streaming.

    Parameters
    ----------
    ring : int
        Changes of a tenant that are remembered. 32,768 is more than the default `features.max_series` of predictions, which
        change all at once; about 200 bytes each (guessed).
    clients : int
        Streams at a time, of all tenants. 64 is guessed: dashboards, not browsers of a whole company.
    tenants : int
        Tenants whose changes are remembered while nobody listens.
    poll_s : float
        Seconds between two looks while somebody listens. Guessed: predictions come once a minute.
    heartbeat_s : float
        Seconds of silence after which a comment is sent, so that proxies keep the connection. 15 s as the HTML standard suggests.
    """

    ring: int = 32_768
    clients: int = 64
    tenants: int = 64
    poll_s: float = 1.0
    heartbeat_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a document.

    Parameters
    ----------
    number : int
        Rises by 1 within a feed.
    kind : str
        What changed.
    bucket, key : str
        Where it can be read.
    revision : int
        Of the document then; a document of a higher one has a later change in the feed.
    service, operation : str
        What it is about; empty for models and groups.
    services : tuple of str
        Of a group.
    """

    number: int
    kind: Kind
    bucket: str
    key: str
    revision: int
    service: str = ""
    operation: str = ""
    services: tuple[str, ...] = ()


class _Affected(msgspec.Struct):
    service: str


class _Head(msgspec.Struct):
    """What tells readers apart who want only some changes."""

    service: str = ""
    operation: str = ""
    anomaly: AnomalyScore | None = None
    services: tuple[_Affected, ...] = ()


class Feed:
    """The changes of one tenant.

    Parameters
    ----------
    cache : Cache
        Where the documents are.
    tenant : str
        Whose.
    epoch : str
        Part of every id, so that ids of another process are known as such.
    plan : StreamPlan
        Its bounds.
    monotonic : callable
        Seconds; decides only when to look.
    """

    def __init__(self, cache: Cache, tenant: str, epoch: str, plan: StreamPlan, monotonic: Callable[[], float]) -> None:
        self.epoch = epoch
        self.clients = 0
        self._cache = cache
        self._prefix = tenant_key(tenant, "")
        self._plan = plan
        self._monotonic = monotonic
        self._ring: deque[Change] = deque(maxlen=plan.ring)
        self._newest = 0
        self._lock = threading.Lock()  # of the ring; held for a moment, since the event loop takes it
        self._looking = threading.Lock()
        self._revisions = {bucket: {d.key: d.revision for d in self._documents(bucket)} for bucket in _BUCKETS}
        self._looked = monotonic()

    @property
    def newest(self) -> int:
        """Number of the last change, 0 before any."""
        return self._newest

    @property
    def is_empty(self) -> bool:
        """Whether the tenant has no document, as a made-up one has none."""
        return not any(self._revisions.values())

    def look(self, *, anyway: bool = False) -> None:
        """Find what changed since the last look, unless another reader has just looked."""
        with self._looking:
            now = self._monotonic()
            if not anyway and now - self._looked < self._plan.poll_s / 2:
                return
            self._looked = now
            for bucket in _BUCKETS:
                known, documents = self._revisions[bucket], list(self._documents(bucket))
                self._revisions[bucket] = {d.key: d.revision for d in documents}
                changed = [d for d in documents if known.get(d.key) != d.revision]
                self._add(bucket, sorted(changed, key=lambda document: document.revision))

    def since(self, number: int, limit: int) -> tuple[list[Change], int]:
        """Return the changes behind a number, and how many before them are lost.

        Parameters
        ----------
        number : int
            Of the last change that a reader has.
        limit : int
            Changes at most.
        """
        with self._lock:
            oldest = self._newest - len(self._ring)
            lost = max(oldest - number, 0)
            start = max(number - oldest, 0)
            return list(islice(self._ring, start, start + limit)), lost

    def _documents(self, bucket: str) -> Iterable[Document]:
        return self._cache.documents(bucket, self._prefix)

    def _add(self, bucket: str, documents: Iterable[Document]) -> None:
        """Put the changes of documents into the ring, numbered; who looks is alone in doing so."""
        heads = ((document, _head(document)) for document in documents)
        told: list[tuple[Kind, Document, _Head]] = [(kind, d, head) for d, head in heads for kind in _kinds(bucket, head)]
        changes = [
            Change(number, kind, bucket, document.key, document.revision, head.service, head.operation, _names(head))
            for number, (kind, document, head) in enumerate(told, self._newest + 1)
        ]
        with self._lock:
            self._ring.extend(changes)
            self._newest += len(changes)


class Feeds:
    """The feeds of the tenants that somebody listens to, or did.

    Parameters
    ----------
    cache : Cache
        Where the documents are.
    plan : StreamPlan
        Bounds.
    monotonic : callable
        Seconds; decides only when to look.
    """

    def __init__(self, cache: Cache, plan: StreamPlan, monotonic: Callable[[], float]) -> None:
        self.plan = plan
        self._cache = cache
        self._monotonic = monotonic
        self._feeds: OrderedDict[str, Feed] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def clients(self) -> int:
        """Readers at present."""
        with self._lock:
            return sum(feed.clients for feed in self._feeds.values())

    def enter(self, tenant: str, epoch: str) -> Feed:
        """Count a reader in and return its feed.

        Raises
        ------
        Overloaded
            When there are as many readers as may be.
        """
        with self._lock:
            if sum(feed.clients for feed in self._feeds.values()) >= self.plan.clients:
                raise Overloaded(f"at most {self.plan.clients} streams may be open, got one more")
            if tenant not in self._feeds:
                self._feeds[tenant] = Feed(self._cache, tenant, epoch, self.plan, self._monotonic)
            self._feeds[tenant].clients += 1
            self._feeds.move_to_end(tenant)
            return self._feeds[tenant]

    def leave(self, tenant: str) -> None:
        """Count a reader out; feeds that nobody listens to are kept for who comes back, a bounded number of them."""
        with self._lock:
            self._feeds[tenant].clients -= 1
            idle = [name for name, feed in self._feeds.items() if not feed.clients]
            surplus = idle[: max(len(idle) - self.plan.tenants, 0)]
            for name in {*surplus, *(name for name in idle if self._feeds[name].is_empty)}:
                del self._feeds[name]


def _head(document: Document) -> _Head:
    try:
        return msgspec.json.decode(document.value, type=_Head)
    except (msgspec.DecodeError, ValueError):  # of another version: it is passed over when it is read
        return _Head()


def _names(head: _Head) -> tuple[str, ...]:
    return tuple(one.service for one in head.services)


def _kinds(bucket: str, head: _Head) -> tuple[Kind, ...]:
    if bucket == "predictions":
        return ("prediction", "anomaly") if head.anomaly is not None and _strange(head.anomaly) else ("prediction",)
    return (_KIND_OF[bucket],)


def _strange(anomaly: AnomalyScore) -> bool:
    """Return whether a window is worth an event: outside its bounds, which the most surprising of four signals often is, and rare."""
    return anomaly.score >= _RARE and not anomaly.lower <= anomaly.value <= anomaly.upper
