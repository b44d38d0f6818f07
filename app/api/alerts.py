"""Routes of alerts: read from their documents, acknowledged in them, and explained for any instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Response
from pydantic import Field

from app.alerts.budget import DAY_S, tail_threshold
from app.alerts.explain import Explained, Kept, Point, Question, explain
from app.alerts.routes import Route
from app.alerts.states import acknowledged
from app.api.alert_schemas import AcknowledgeIn, AlertOut, AlertState, ExplanationsOut
from app.api.bodies import UtcTime
from app.api.pages import Listing, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, members
from app.api.problems import Unknown
from app.api.schemas import Items
from app.cache.alert_records import AlertRecord, SilenceRecord, ThresholdRecord
from app.cache.documents import decode_document, encode_document, prediction_key
from app.cache.records import IncidentRecord, PredictionRecord
from features.errors import Conflict, InvalidValue
from features.series import WHOLE, SeriesKey
from models.feedback import YEARS

__all__ = ["AlertFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["alerts"])

_NEWEST: Listing[AlertRecord] = Listing("alerts", (int, str), lambda record: (-microseconds(record.started_at), record.id))

_NOBODY = AcknowledgeIn()
_ATTEMPTS = 8  # guessed: who else writes an alert are its home, once a tick, and another person
_LOOKS_BACK = timedelta(hours=2)  # over which it is seen for how long a threshold was met; guessed


class AlertFilter(Paged):
    """Which alerts to list."""

    state: list[AlertState] = Field(default_factory=list[AlertState])
    """All without any."""
    service: str | None = None
    operation: str | None = None
    rule: str | None = None
    shadow: bool | None = None
    since: UtcTime | None = None
    """Alerts that were not over at this time."""
    until: UtcTime | None = None
    """Alerts that began before this time."""

    def admits(self, record: AlertRecord) -> bool:
        """Return whether an alert is one of those asked for."""
        named = ("service", "operation", "rule", "shadow")
        return (
            (not self.state or record.state in self.state)
            and all(getattr(self, name) in (None, getattr(record, name)) for name in named)
            and (self.since is None or record.ended_at is None or record.ended_at > self.since)
            and (self.until is None or record.started_at < self.until)
        )


@router.get("/alerts", response_model=Items[AlertOut], summary="Alerts, newest first")
async def list_alerts(asked: Asked, chosen: Annotated[AlertFilter, Query()]) -> Response:
    """List a tenant's alerts."""
    records = asked.cache.all("alerts", asked.prefix, AlertRecord).values()
    page = _NEWEST.sorted_page([record for record in records if chosen.admits(record)], chosen.limit, chosen.cursor)
    return answer({"items": page.rows, "next": page.next})


@router.get("/alerts:explain", response_model=ExplanationsOut, summary="Why alerts of a series fired at an instant, or why not")
async def explain_alerts(asked: Asked, service: str, operation: str = WHOLE, at: UtcTime | None = None) -> Response:
    """Answer for every route, from history and from what is kept."""
    when = asked.now if at is None else at
    if when.year not in YEARS:
        raise InvalidValue(f"at must be in the years {YEARS[0]} to {YEARS[-1]}, got {when.isoformat()}")
    found = await to_thread.run_sync(_explained, asked, Question(asked.tenant, service, operation, when))
    return answer(
        {
            "tenant": asked.tenant,
            "service": service,
            "operation": operation,
            "at": when,
            "routes": [members(one) for one in found],
        }
    )


@router.get("/alerts/{alert_id}", response_model=AlertOut, summary="One alert")
async def show_alert(asked: Asked, alert_id: str) -> Response:
    """Answer with an alert."""
    record = asked.cache.one("alerts", asked.key(alert_id), AlertRecord)
    if record is None:
        raise Unknown(f"no alert {alert_id!r} of tenant {asked.tenant!r}")
    return answer(record)


@router.post("/alerts/{alert_id}:acknowledge", response_model=AlertOut, summary="Say that somebody looks after an alert")
async def acknowledge_alert(asked: Asked, alert_id: str, body: Annotated[AcknowledgeIn, Body()] = _NOBODY) -> Response:
    """Acknowledge an alert that fires: nobody is told of it again but that it is over. To say it again changes nothing."""
    return answer(await to_thread.run_sync(partial(_acknowledge, asked, alert_id, body.who)))


def _acknowledge(asked: Ask, alert_id: str, who: str) -> AlertRecord:
    key, documents = asked.key(alert_id), asked.parts.documents
    attempt = 0
    while True:
        found = documents.get("alerts", key)
        if found is None:
            raise Unknown(f"no alert {alert_id!r} of tenant {asked.tenant!r}")
        before = decode_document(found.value, AlertRecord)
        after = acknowledged(before, who, asked.now)
        if after is before:
            return before
        try:
            documents.swap("alerts", key, encode_document(after), found.revision, ttl_s=3 * asked.parts.alerting.kept_s)
            return after
        except Conflict:  # its home wrote it meanwhile
            attempt += 1
            if attempt == _ATTEMPTS:
                raise


def _explained(asked: Ask, question: Question) -> list[Explained]:
    view, at = asked.parts.alerting, question.at
    alerts = list(asked.cache.all("alerts", asked.prefix, AlertRecord).values())
    silences = list(asked.cache.all("silences", asked.prefix, SilenceRecord).values())
    thresholds = asked.cache.all("thresholds", asked.prefix, ThresholdRecord)
    lookback = max([_LOOKS_BACK, *(timedelta(seconds=2 * route.min_duration_s) for route in view.routes)])
    past = view.points(question.tenant, question.service, question.operation, at - lookback, at)
    key = prediction_key(SeriesKey(question.tenant, question.service, question.operation))
    newest = asked.cache.one("predictions", key, PredictionRecord)
    incidents = [
        one
        for one in asked.cache.all("incidents", asked.prefix, IncidentRecord).values()
        if (one.service, one.operation) == (question.service, question.operation)
    ]
    found: list[Explained] = []
    for route in view.routes:
        tail = _tail(asked, route) if route.on == "anomaly" and route.threshold is None else None
        points = (
            _anomalies(newest) if route.on == "anomaly" else _with_newest(newest, route.horizon, past.get(route.horizon, ()))
        )
        kept = Kept(alerts, silences, thresholds.get(asked.key(route.name)), incidents, view.stale_s, tail)
        found.append(explain(route, question, points, kept))
    return found


def _with_newest(newest: PredictionRecord | None, horizon: str, past: Sequence[Point]) -> Sequence[Point]:
    """Return what history has, and the newest prediction, which it does not have yet."""
    if newest is None or (past and past[-1].at_s >= newest.as_of.timestamp()):
        return past
    return [*past, Point(newest.as_of.timestamp(), newest.horizons[horizon].probability, newest.status)]


def _anomalies(newest: PredictionRecord | None) -> Sequence[Point]:
    """Return the newest score, which counts in an incident too."""
    if newest is None:
        return ()
    status = newest.status if newest.status == "warming_up" else "ok"
    return (Point(newest.as_of.timestamp(), newest.anomaly.score, status),)


def _tail(asked: Ask, route: Route) -> float:
    """Return the score that comes as often as the budget of a route on anomalies allows."""
    known = asked.cache.all("predictions", asked.prefix, PredictionRecord).values()
    n_series = sum(route.selects(asked.tenant, one.service, one.operation) for one in known)
    return tail_threshold(route.budget_per_day, n_series, DAY_S / asked.parts.alerting.tick_s)
