"""Routes of webhooks: a team's own alerts come in as incidents, so that training knows them as truth.

Alertmanager sends groups of alerts, again and again while they fire, from several replicas and in no certain
order. An alert is one incident by its fingerprint and the time that it fires, however often it is sent, so a body that is sent again changes
nothing, whoever sends it. Its document is durable before the answer; `app.said.reported_of` gives it to training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import sha256

from anyio import to_thread
from fastapi import APIRouter, Response

from app.alerts.labels import OWN
from app.api.alertmanager import AlertIn, AlertmanagerIn, WebhookOut
from app.api.pages import microseconds
from app.api.parts import PREFIX, Ask, Asked, answer
from app.cache.documents import decode_document, encode_document, prediction_key
from app.cache.records import IncidentRecord, PredictionRecord
from features.errors import Conflict
from features.series import WHOLE, SeriesKey
from features.taxonomy import UNKNOWN
from models.feedback import YEARS

__all__ = ["SOURCE", "router"]

router = APIRouter(prefix=PREFIX, tags=["incidents"])

SOURCE = "webhook"
"""What an incident that came in here names as its source."""

_BUCKET = "incidents"
_MAX_SERVICE, _MAX_OPERATION = 1024, 4096  # characters, as in feedback
_ATTEMPTS = 8  # guessed: the replicas that send one alert at the same moment are two or three


@router.post(
    "/webhooks/alertmanager",
    response_model=WebhookOut,
    summary="Take in alerts of Alertmanager (webhook version 4) as incidents",
)
async def take_alerts(asked: Asked, body: AlertmanagerIn) -> Response:
    """Open an incident for each alert that fires and end it when it is resolved; the same alert again changes nothing."""
    return answer(await to_thread.run_sync(_taken, asked, body.alerts))


def _taken(asked: Ask, alerts: Sequence[AlertIn]) -> dict[str, object]:
    kept: dict[str, None] = {}
    ignored: list[dict[str, str]] = []
    for alert in alerts:
        reason = _no_incident(asked, alert)
        asked.parts.telemetry.webhook_alerts.labels(outcome="ignored" if reason else alert.status).inc()
        if reason:
            ignored.append({"fingerprint": alert.fingerprint, "reason": reason})
        else:
            kept[_keep(asked, alert)] = None
    return {"incidents": list(kept), "ignored": ignored}


def _no_incident(asked: Ask, alert: AlertIn) -> str:
    """Return why an alert is no incident of anything here, nothing where it is one. Such alerts come with all others of a receiver."""
    service, operation = asked.parts.alerts.service_label, asked.parts.alerts.operation_label
    if alert.labels.get(OWN[0]) == OWN[1]:
        return "it was made here, so it confirms nothing"
    if not alert.labels.get(service):
        return f"it must have the label {service!r}, got {sorted(alert.labels)[:20]}"
    for label, bound in ((service, _MAX_SERVICE), (operation, _MAX_OPERATION)):
        if len(alert.labels.get(label, "")) > bound:
            return f"label {label!r} must have at most {bound} characters, got {len(alert.labels[label])}"
    if alert.starts_at.year not in YEARS:  # Go's zero time stands for none
        return f"startsAt must be in the years {YEARS[0]} to {YEARS[-1]}, got {alert.starts_at.isoformat()}"
    if alert.status == "resolved" and alert.ends_at is not None and alert.ends_at.year not in YEARS:
        return f"endsAt must be in the years {YEARS[0]} to {YEARS[-1]}, got {alert.ends_at.isoformat()}"
    if alert.starts_at < asked.now - timedelta(seconds=asked.parts.alerts.kept_s):
        # Its document may be gone, so nothing would tell an old body that is sent again from news.
        days = asked.parts.alerts.kept_s / 86_400
        return (
            f"startsAt must be within the last {days:g} days, for which incidents are kept, got {alert.starts_at.isoformat()}"
        )
    return ""


def _keep(asked: Ask, alert: AlertIn) -> str:
    """Write the incident of an alert, or what is new of it, and return its id; a race with another writer is run again."""
    merged = incident = _incident(asked, alert)
    documents = asked.parts.documents
    for attempt in range(_ATTEMPTS):
        revision, known = _known(asked, alert, incident)
        merged = incident if known is None else _merged(known, incident)
        if merged == known:
            break  # said before, or firing that was overtaken by its own end
        write = partial(documents.swap, _BUCKET, asked.key(merged.id), encode_document(merged), revision)
        try:
            write(ttl_s=asked.parts.alerts.kept_s)
            break
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
    return merged.id


def _known(asked: Ask, alert: AlertIn, incident: IncidentRecord) -> tuple[int, IncidentRecord | None]:
    """Return the revision and incident that an alert is of, 0 and None for a new one.

    Replicas of Prometheus begin to fire one after the other, and Alertmanager keeps the earliest start that it has heard of, so
    that the start of one episode may move back after it was sent.
    """
    found: list[tuple[int, IncidentRecord]] = []
    for document in asked.parts.documents.items(_BUCKET, asked.key(f"{_name(alert)}-")):
        known = decode_document(document.value, IncidentRecord)
        if known.id == incident.id:
            return document.revision, known
        if _overlap(known, incident):
            found.append((document.revision, known))
    return min(found, key=lambda one: one[1].start, default=(0, None))


def _overlap(known: IncidentRecord, said: IncidentRecord) -> bool:
    """Return whether two times at which the same alert fired are one; what begins while another has not ended may be a new one."""
    if said.start <= known.start:
        return said.end is None or said.end >= known.start
    return known.end is not None and said.start < known.end


def _merged(known: IncidentRecord, said: IncidentRecord) -> IncidentRecord:
    return replace(known, start=min(known.start, said.start), end=said.end if known.end is None else known.end)


def _incident(asked: Ask, alert: AlertIn) -> IncidentRecord:
    labels = asked.parts.alerts
    operation = alert.labels.get(labels.operation_label) or WHOLE
    series = SeriesKey(asked.tenant, alert.labels[labels.service_label], operation)
    end = alert.ends_at if alert.status == "resolved" else None
    return IncidentRecord(
        id=f"{_name(alert)}-{microseconds(alert.starts_at)}",
        tenant=asked.tenant,
        service=series.service,
        operation=series.operation,
        start=alert.starts_at,
        detected_at=max(alert.starts_at, min(asked.now, end or asked.now)),
        end=end,
        source=SOURCE,
        category=UNKNOWN,
        predicted=_predicted(asked, series, alert),
    )


def _name(alert: AlertIn) -> str:
    """Return a name of the alert's fingerprint that fits into a path."""
    named = alert.fingerprint or repr(sorted(alert.labels.items()))
    return f"alert-{sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _predicted(asked: Ask, series: SeriesKey, alert: AlertIn) -> dict[str, float] | None:
    """Return what the newest prediction said, if it was made before the alert began."""
    known = asked.cache.one("predictions", prediction_key(series), PredictionRecord)
    if known is None or known.as_of > alert.starts_at or alert.starts_at > known.expires_at:
        return None
    return {horizon: chance.probability for horizon, chance in known.horizons.items()}
