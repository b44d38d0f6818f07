"""Gathers what alerts are made of: predictions, incidents, groups, calls, silences, thresholds and alerts, out of watched buckets.

`app.alerts.alerting` asks for a tenant's `Situation` at each tick. Nothing here reads the disk or the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from app.alerts.evaluation import Observation, OpenIncident, Situation
from app.alerts.inhibition import GroupOf, calls_of
from app.cache.alert_records import AlertRecord, SilenceRecord, ThresholdRecord
from app.cache.decoded import Decoded
from app.cache.documents import tenant_key
from app.cache.symptom_records import EdgesRecord
from app.store.contract import Documents
from features.series import WHOLE
from models.prediction import AnomalyScore, Chance, Reason

__all__ = ["Known"]


@dataclass(frozen=True, slots=True)
class _Prediction:
    """What alerts need of a prediction; the rest is not decoded."""

    service: str
    operation: str
    as_of: datetime
    status: str
    horizons: dict[str, Chance]
    anomaly: AnomalyScore
    reasons: tuple[Reason, ...] = ()

    def observation(self) -> Observation:
        probabilities = {name: chance.probability for name, chance in self.horizons.items()}
        texts = tuple(reason.text for reason in self.reasons)
        return Observation(self.service, self.operation, self.as_of, self.status, probabilities, self.anomaly, texts)


@dataclass(frozen=True, slots=True)
class _Incident:
    id: str
    service: str
    operation: str
    start: datetime
    end: datetime | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class _Member:
    service: str


@dataclass(frozen=True, slots=True)
class _Group:
    id: str
    end: datetime | None = None
    services: tuple[_Member, ...] = ()
    causes: tuple[_Member, ...] = ()

    def group(self) -> GroupOf:
        cause = self.causes[0].service if self.causes else ""
        return GroupOf(self.id, tuple(member.service for member in self.services), cause)


class Known:
    """What is known of all tenants. Used by one thread.

    Parameters
    ----------
    documents : Documents
        Whose buckets are watched from now on.
    stale_s, tick_s : float
        As a `Situation` has them.
    operations : bool
        Whether single operations are looked at; without, most predictions need not be decoded.
    """

    def __init__(self, documents: Documents, stale_s: float, tick_s: float, *, operations: bool = True) -> None:
        self._suffix = "" if operations else tenant_key("", WHOLE)
        self.stale_s = stale_s
        self.tick_s = tick_s
        self.alerts = Decoded(documents.watch("alerts"), AlertRecord)
        self._predictions = Decoded(documents.watch("predictions"), _Prediction)
        self._incidents = Decoded(documents.watch("incidents"), _Incident)
        self._groups = Decoded(documents.watch("groups"), _Group)
        self._calls = Decoded(documents.watch("edges"), EdgesRecord)
        self._silences = Decoded(documents.watch("silences"), SilenceRecord)
        self._thresholds = Decoded(documents.watch("thresholds"), ThresholdRecord)

    @property
    def changes(self) -> tuple[int, ...]:
        """How many changes have come to each bucket; the same again says that nothing is new."""
        return tuple(one.watch.changes for one in self._all())

    def tenants(self) -> list[str]:
        """Return the tenants that something is known of."""
        return sorted({unquote(name) for bucket in (self._predictions, self.alerts) for name in bucket.tenants()})

    def situation(self, tenant: str, now: datetime) -> Situation:
        """Return what is known of a tenant."""
        prefix = tenant_key(tenant, "")
        incidents = [one for one in self._incidents.all(prefix).values() if one.end is None]
        edges = [(calls.caller, edge.callee) for calls in self._calls.all(prefix).values() for edge in calls.callees]
        return Situation(
            tenant=tenant,
            now=now,
            observations=[one.observation() for one in self._predictions.all(prefix, self._suffix).values()],
            incidents=[OpenIncident(one.id, one.service, one.operation, one.start, one.category) for one in incidents],
            alerts=list(self.alerts.all(prefix).values()),
            silences=list(self._silences.all(prefix).values()),
            groups=[one.group() for one in self._groups.all(prefix).values() if one.end is None],
            calls=calls_of(edges),
            thresholds=self.thresholds(tenant),
            stale_s=self.stale_s,
            tick_s=self.tick_s,
        )

    def thresholds(self, tenant: str) -> Mapping[str, ThresholdRecord]:
        """Return a tenant's thresholds by route."""
        return {record.route: record for record in self._thresholds.all(tenant_key(tenant, "")).values()}

    def close(self) -> None:
        """Stop following the buckets."""
        for one in self._all():
            one.watch.close()

    def _all(self) -> tuple[Decoded[object], ...]:
        return (
            self.alerts,
            self._predictions,
            self._incidents,
            self._groups,
            self._calls,
            self._silences,
            self._thresholds,
        )
