"""What the API reads: live copies of the documents in memory, decoded once for each change.

The worker's commits change the buckets, `app.store` keeps a watch on each warm, and the routes of
`app.api` read here. Nothing is computed but the order of predictions by risk, and that only after one
changed. Memory is bounded by the buckets: what left a bucket leaves the cache with the next read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Generic, TypeVar, cast

from prometheus_client import Counter

from app.cache.documents import BUCKETS, decode_document, tenant_key
from app.cache.news import News
from app.cache.records import PredictionRecord
from app.store.contract import Document, Documents, Watch
from app.telemetry import Telemetry
from features.errors import InvalidValue
from features.series import SeriesKey
from models.prediction import HORIZONS, AnomalyScore, Chance

__all__ = ["Cache", "PredictionHead", "RiskOrder"]

T = TypeVar("T")

_LONGEST = max(HORIZONS, key=HORIZONS.__getitem__)


@dataclass(frozen=True, slots=True)
class PredictionHead:
    """What a list filters and orders predictions by; the rest is decoded for the page alone."""

    id: str
    tenant: str
    service: str
    operation: str
    status: str
    as_of: datetime
    expires_at: datetime
    horizons: dict[str, Chance]
    anomaly: AnomalyScore
    serving: str = ""
    feedback: int = 0


@dataclass(frozen=True, slots=True)
class RiskOrder:
    """A tenant's predictions, riskiest first.

    Parameters
    ----------
    rows : tuple of (str, PredictionHead)
        Document key and head, by falling probability of a horizon, then by key.
    key_of : dict of str to str
        Document key by prediction id.
    """

    rows: tuple[tuple[str, PredictionHead], ...] = ()
    key_of: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Memo(Generic[T]):
    """Decoded documents by key with the revision each was decoded from."""

    revisions: dict[str, int] = field(default_factory=dict[str, int])
    records: dict[str, T] = field(default_factory=dict[str, T])


class Cache:
    """Reads of documents by tenant, from memory.

    Parameters
    ----------
    documents : Documents
        Whose buckets are watched from now on; warm when the constructor returns.
    telemetry : Telemetry
        Counts reads by bucket and outcome: ``hit``, ``miss``, ``unreadable``; and says how much there is in memory.
    """

    def __init__(self, documents: Documents, telemetry: Telemetry) -> None:
        self._documents = documents
        self._reads = telemetry.cache_reads
        self._counters: dict[tuple[str, str], Counter] = {}  # asking the metric for one costs 2 us each time (measured)
        self._watches: dict[str, Watch] = {bucket: documents.watch(bucket) for bucket in BUCKETS}
        self.watched: Mapping[str, Watch] = self._watches  # for those who look again only where `changes` went on
        self.news = News(self._watches["models"], self._watches["feedback"])
        self._locks = {bucket: Lock() for bucket in BUCKETS}  # so that a change is decoded by one reader, not by all
        self._memos: dict[tuple[str, str], _Memo[object]] = {}
        self._orders: dict[str, tuple[_Memo[object], dict[str, RiskOrder]]] = {}  # of the horizons that were asked for
        for bucket in BUCKETS:
            telemetry.cache_documents.labels(bucket).set_function(partial(self._count, bucket))
            telemetry.cache_bytes.labels(bucket).set_function(partial(self._bytes, bucket))

    def one(self, bucket: str, key: str, kind: type[T]) -> T | None:
        """Return a document, None when absent or unreadable.

        Parameters
        ----------
        bucket : str
            One of `BUCKETS`.
        key : str
            From `tenant_key`, so that it holds its tenant.
        kind : type
            What it is decoded into.
        """
        return self._counted(bucket, self._watches[bucket].get(key), kind)

    def stored(self, bucket: str, key: str, kind: type[T]) -> T | None:
        """Return a document from the store itself, for what another node wrote a moment ago. Blocks."""
        return self._counted(bucket, self._documents.get(bucket, key), kind)

    def all(self, bucket: str, prefix: str, kind: type[T]) -> dict[str, T]:
        """Return the documents whose key starts with a prefix, by key; unreadable ones are counted and left out.

        Parameters
        ----------
        bucket : str
            One of `BUCKETS`.
        prefix : str
            ``tenant/``, or empty for a bucket that no tenant leads.
        kind : type
            What they are decoded into; the same for every call with this bucket.
        """
        with self._locks[bucket]:
            records = self._memo(bucket, prefix, kind).records
        self.count(bucket, "hit" if records else "miss")
        return records

    def under(self, bucket: str, prefix: str, kind: type[T]) -> list[T]:
        """Return the documents whose key starts with a prefix, by key, decoded for this call alone; it is not counted."""
        records = (self._decoded(bucket, document, kind) for document in self._watches[bucket].items(prefix))
        return [record for record in records if record is not None]

    def documents(self, bucket: str, prefix: str) -> Iterator[Document]:
        """Iterate over the documents whose key starts with a prefix as they are stored, by key; nothing is decoded or counted."""
        return self._watches[bucket].items(prefix)

    def revision(self, bucket: str, key: str) -> int:
        """Return the revision of a document, 0 when absent; nothing is decoded or counted."""
        document = self._watches[bucket].get(key)
        return 0 if document is None else document.revision

    def predictions(self, tenant: str, horizon: str = _LONGEST) -> RiskOrder:
        """Return a tenant's predictions, riskiest first; ordered anew only after one changed.

        With 20,000 series that takes 0.3 s once a tick and 15 ms else (measured), so it belongs into a thread.

        Parameters
        ----------
        tenant : str
            Whose.
        horizon : str
            Within which an incident is to begin, one of `models.prediction.HORIZONS`; the longest by default.
        """
        with self._locks["predictions"]:
            order = self._order(tenant, horizon)
        self.count("predictions", "hit" if order.rows else "miss")
        return order

    def prediction(self, tenant: str, prediction_id: str) -> PredictionRecord | None:
        """Return a tenant's prediction by its id, None once a newer one of its series replaced it."""
        known = self._orders.get(tenant)
        last = next(iter(known[1].values())) if known else RiskOrder()
        for order in (last, None):  # the last order most often knows the id
            key = (order or self.predictions(tenant)).key_of.get(prediction_id)
            record = None if key is None else self.one("predictions", key, PredictionRecord)
            if record is not None and record.id == prediction_id:
                return record
        return None

    def revisions(self, bucket: str, prefix: str) -> tuple[int, ...]:
        """Return the revisions of the documents whose key starts with a prefix, by key; nothing is decoded or counted."""
        return tuple(document.revision for document in self._watches[bucket].items(prefix))

    def overtaken(self, record: PredictionRecord | PredictionHead) -> bool:
        """Return whether something came that a prediction does not know of: another model that serves, or feedback on the series."""
        known = self.news.known(SeriesKey(record.tenant, record.service, record.operation))
        return record.serving != known.serving or record.feedback < known.feedback

    def close(self) -> None:
        """Stop following the buckets; twice is fine."""
        for watch in self._watches.values():
            watch.close()

    def _order(self, tenant: str, horizon: str) -> RiskOrder:
        memo = self._memo("predictions", tenant_key(tenant, ""), PredictionHead)
        known = self._orders.get(tenant)
        orders = known[1] if known is not None and known[0] is memo else {}
        if horizon in orders:
            return orders[horizon]
        rows = sorted(memo.records.items(), key=lambda row: (-row[1].horizons[horizon].probability, row[0]))
        key_of = next(iter(orders.values())).key_of if orders else {head.id: key for key, head in rows}
        order = RiskOrder(tuple(rows), key_of)
        if rows:
            # Another dict each time: a reader may be looking at the last one.
            self._orders[tenant] = cast("_Memo[object]", memo), {**orders, horizon: order}
        else:
            self._orders.pop(tenant, None)
        return order

    def _memo(self, bucket: str, prefix: str, kind: type[T]) -> _Memo[T]:
        """Return the memo of a prefix, the same object as before unless a document changed."""
        old = cast("_Memo[T]", self._memos.get((bucket, prefix)) or _Memo())
        documents = list(self._watches[bucket].items(prefix))
        revisions = {document.key: document.revision for document in documents}
        if revisions == old.revisions:
            return old
        new = _Memo[T](revisions)
        for document in documents:
            key = document.key
            record = (
                old.records.get(key) if old.revisions.get(key) == document.revision else self._decoded(bucket, document, kind)
            )
            if record is not None:
                new.records[key] = record
        if revisions:
            self._memos[bucket, prefix] = cast("_Memo[object]", new)
        else:  # a tenant that is gone leaves nothing behind
            self._memos.pop((bucket, prefix), None)
        return new

    def _counted(self, bucket: str, document: Document | None, kind: type[T]) -> T | None:
        record = None if document is None else self._decoded(bucket, document, kind)
        if document is None or record is not None:
            self.count(bucket, "miss" if document is None else "hit")
        return record

    def _decoded(self, bucket: str, document: Document, kind: type[T]) -> T | None:
        try:
            return decode_document(document.value, kind)
        except InvalidValue:  # written by another version; the rest of the bucket is still good
            self.count(bucket, "unreadable")
            return None

    def count(self, bucket: str, outcome: str) -> None:
        """Count a read by its outcome."""
        if (bucket, outcome) not in self._counters:
            self._counters[bucket, outcome] = self._reads.labels(bucket=bucket, outcome=outcome)
        self._counters[bucket, outcome].inc()

    def _count(self, bucket: str) -> float:
        return float(self._watches[bucket].n_documents)

    def _bytes(self, bucket: str) -> float:
        return float(sum(len(document.value) for document in self._watches[bucket].items()))
