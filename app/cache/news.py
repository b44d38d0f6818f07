"""What may have come since a series was forecast: another model that serves, or feedback on it.

`app.worker` notes with every forecast what is known, and forecasts anew what something came of. `app.cache.cache` compares at
every read, so that a prediction is stale from the moment at which somebody changed who serves or said something: nobody has to
write that down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from threading import Lock

from app.cache.documents import decode_document, tenant_key
from app.cache.records import NOTHING, FeedbackRecord, Known, SelectorRecord
from app.store.contract import Watch
from features.errors import InvalidValue
from features.series import SeriesKey
from models.version import ServingHistory

__all__ = ["News"]


class News:
    """What is known of every series beside its data, read from memory.

    Parameters
    ----------
    models : Watch
        Of the bucket ``models``: who serves.
    feedback : Watch
        Of the bucket ``feedback``, to which documents are added and of which none changes.
    """

    def __init__(self, models: Watch, feedback: Watch) -> None:
        self._models = models
        self._feedback = feedback
        self._lock = Lock()
        self._serving: dict[str, tuple[int, str]] = {}  # revision of the document and the version, by tenant
        self._counted: set[str] = set()
        self._counted_at = 0
        self._spoken: set[str] = set()  # tenants of whom somebody said anything
        self._verdicts: Counter[tuple[str, str | None, str | None]] = Counter()  # None stands for any name

    @property
    def changes(self) -> tuple[int, int]:
        """What differs from before when something came."""
        return self._models.changes, self._feedback.changes

    def known(self, series: SeriesKey) -> Known:
        """Return what is known of a series now: who serves its tenant, and how often people spoke of it."""
        if self._feedback.changes != self._counted_at:
            self._count()
        serving, feedback = self.serving(series.tenant), self._said(series)
        return Known(serving, feedback) if serving or feedback else NOTHING

    def known_of(self, keys: Sequence[SeriesKey]) -> list[Known]:
        """Return what is known of many series now."""
        if self._feedback.changes != self._counted_at:
            self._count()
        serving = {tenant: self.serving(tenant) for tenant in {key.tenant for key in keys}}
        plain = {tenant: Known(version) for tenant, version in serving.items()}
        spoken = self._spoken & serving.keys()
        if not spoken:
            return [plain[key.tenant] for key in keys]
        said = ((key, self._said(key) if key.tenant in spoken else 0) for key in keys)
        return [Known(serving[key.tenant], n) if n else plain[key.tenant] for key, n in said]

    def serving(self, tenant: str) -> str:
        """Return the version that serves a tenant, empty before any does."""
        document = self._models.get(tenant_key(tenant, "serving"))
        if document is None:
            return ""
        revision, version = self._serving.get(tenant, (0, ""))
        if revision != document.revision:
            version = ServingHistory.from_json(document.value).champion or ""
            self._serving[tenant] = document.revision, version
        return version

    def _said(self, series: SeriesKey) -> int:
        tenant, service, operation = series.tenant, series.service, series.operation
        meant = ((service, operation), (service, None), (None, operation), (None, None))
        return sum(self._verdicts[tenant, one, other] for one, other in meant)

    def _count(self) -> None:
        """Count the verdicts that have come since the last time; one on a prediction that is gone tells of no series here."""
        with self._lock:
            changes = self._feedback.changes
            for document in self._feedback.items():
                if document.key in self._counted:
                    continue
                self._counted.add(document.key)
                try:
                    record = decode_document(document.value, FeedbackRecord)
                except InvalidValue:  # of another version: training leaves it out too
                    continue
                about = record.selector or SelectorRecord(record.service, record.operation)
                if record.selector is not None or (about.service is not None and about.operation is not None):
                    self._spoken.add(record.tenant)
                    self._verdicts[record.tenant, about.service, about.operation] += 1
            self._counted_at = changes
