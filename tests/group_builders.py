"""Documents of a cascade (payment fails, then cart, then web), as workers publish them, for tests of groups of incidents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.cache.documents import encode_document, tenant_key
from app.cache.group_records import GroupRecord
from app.cache.records import ErrorGroup, FeedbackRecord, IncidentRecord, RecentErrors, ServiceSummary
from app.cache.symptom_records import CalleeRecord, EdgesRecord, SymptomsRecord
from app.correlation import Correlation, CorrelationParts
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.recovery import advise
from features.series import WHOLE
from features.symptom import Cause, Reason, Symptom
from tests.api_builders import NOON, put_errors, put_incident, put_service

__all__ = [
    "Receiver",
    "a_group",
    "a_verdict",
    "at",
    "correlation_of",
    "put_cascade",
    "put_edges",
    "put_group",
    "put_symptoms",
    "put_verdict",
]

CHAIN = ("payment", "cart", "web")


def at(minutes: float) -> datetime:
    """Return a time after noon."""
    return NOON + timedelta(minutes=minutes)


def put_symptoms(
    documents: Documents, service: str, since_min: float, as_of_min: float, bits: float = 20.0, *, tenant: str = "default"
) -> None:
    shown = Symptom("errors", int(at(since_min).timestamp()), bits, 9.0, 0.1)
    errors = tuple(9.0 if n >= 0 else 0.0 for n in range(int(since_min) - 5, int(as_of_min)))
    record = SymptomsRecord(tenant, service, int(at(as_of_min).timestamp()), (shown,), errors=errors)
    documents.put("symptoms", tenant_key(tenant, service), encode_document(record))


def put_edges(documents: Documents, *pairs: tuple[str, str], errors: float = 4.0, tenant: str = "default") -> None:
    for caller in dict.fromkeys(caller for caller, _ in pairs):
        callees = tuple(CalleeRecord(callee, 100.0, errors) for one, callee in pairs if one == caller)
        record = EdgesRecord(tenant, caller, int(NOON.timestamp()), callees)
        documents.put("edges", tenant_key(tenant, caller), encode_document(record))


def put_cascade(
    documents: Documents, start_min: float = 0.0, *, name: str = "", lasts: bool = True, tenant: str = "default"
) -> list[str]:
    """Write a cascade and return the ids of its incidents, the deepest first; it is over after ten minutes unless it lasts."""
    ids: list[str] = []
    put_edges(documents, ("web", "cart"), ("cart", "payment"), tenant=tenant)
    for depth, service in enumerate(CHAIN):
        start = at(start_min + 2 * depth)
        ids.append(f"{name}{service}")
        end = None if lasts else start + timedelta(minutes=10)
        detected = start + timedelta(minutes=2)
        put_incident(
            documents,
            IncidentRecord(ids[-1], tenant, service, WHOLE, start, detected, end, "rule", "resource", {"60min": 0.05}),
        )
        put_symptoms(documents, service, start_min + 2 * depth, start_min + 8, tenant=tenant)
        kind = "disk_full" if service == "payment" else "dependency_unavailable"
        group = ErrorGroup(
            f"f-{service}",
            kind,
            "resource",
            False,
            False,
            9,
            start,
            at(start_min + 8),
            "no space",
            "IOError",
            (WHOLE,),
            advise(kind),
        )
        put_errors(documents, service, RecentErrors((group,)), tenant=tenant)
        put_service(
            documents, ServiceSummary(tenant, service, (WHOLE,), NOON - timedelta(days=1), at(start_min + 8), 60.0, 0.5)
        )
    return ids


def correlation_of(documents: Documents) -> Correlation:
    return Correlation(CorrelationParts(documents), Telemetry())


def a_group(
    group_id: str = "g-1",
    start_min: float = 0.0,
    *,
    lasts_min: float | None = None,
    causes: Iterable[str] = ("payment",),
    incidents: tuple[str, ...] = ("i1",),
) -> GroupRecord:
    start = at(start_min)
    return GroupRecord(
        id=group_id,
        tenant="default",
        start=start,
        detected_at=start + timedelta(minutes=2),
        end=None if lasts_min is None else start + timedelta(minutes=lasts_min),
        incidents=incidents,
        causes=tuple(Cause(name, 1.0, (Reason("errors", "9 errors a minute", 9.0),)) for name in causes),
    )


def put_group(documents: Documents, record: GroupRecord) -> None:
    documents.put("groups", tenant_key(record.tenant, record.id), encode_document(record))


def a_verdict(
    incident: str, why: str, verdict: str = "confirmed", *, name: str = "", said_min: float = 30.0, undoes: str | None = None
) -> FeedbackRecord:
    return FeedbackRecord(
        name or f"v-{incident}",
        "default",
        at(said_min),
        verdict,
        incident_id=incident,
        service="payment",
        who="ann",
        why=why,
        undoes=undoes,
    )


def put_verdict(documents: Documents, record: FeedbackRecord) -> None:
    documents.put("feedback", tenant_key(record.tenant, record.id), encode_document(record))


@dataclass
class Receiver:
    """A receiver of steps in this process; `tests/app/test_runbook.py` has real ones."""

    receiver: str = "https://automation"
    refusal: Exception | None = None
    got: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    def post(self, message: str, body: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.got.append((message, body))
