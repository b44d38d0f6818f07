"""The route of alert routes: what each may spend, the threshold that it comes to, and what it did lately or would have done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from anyio import to_thread
from fastapi import APIRouter, Response

from app.alerts.routes import Route
from app.api.alert_schemas import AlertRouteOut
from app.api.parts import PREFIX, Ask, Asked, answer, members
from app.api.schemas import Items
from app.cache.alert_records import AlertRecord, ThresholdRecord
from app.cache.records import IncidentRecord

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["alerts"])

_LATELY = timedelta(days=14)  # as far as thresholds look back by default
_SOON = timedelta(minutes=60)  # the longest horizon


@router.get("/alert-routes", response_model=Items[AlertRouteOut], summary="Routes of alerts with budgets and thresholds")
async def list_alert_routes(asked: Asked) -> Response:
    """List the routes, as settings have them, with what is known of them for the tenant."""
    return answer({"items": await to_thread.run_sync(_listed, asked), "next": None})  # a month of alerts takes milliseconds


def _listed(asked: Ask) -> list[dict[str, object]]:
    alerts = asked.cache.all("alerts", asked.prefix, AlertRecord).values()
    incidents: dict[str, list[IncidentRecord]] = {}
    for one in asked.cache.all("incidents", asked.prefix, IncidentRecord).values():
        incidents.setdefault(one.service, []).append(one)
    fitted = asked.cache.all("thresholds", asked.prefix, ThresholdRecord)
    since = asked.now - _LATELY
    return [
        _shown(route, fitted.get(asked.key(route.name)))
        | {"lately": _lately([one for one in alerts if one.rule == route.name], incidents, (since, asked.now))}
        for route in asked.parts.alerting.routes
    ]


def _shown(route: Route, fitted: ThresholdRecord | None) -> dict[str, object]:
    predicts = route.on == "prediction"
    basis = "fixed" if route.threshold is not None else "default" if fitted is None else fitted.basis
    named = (
        "name",
        "on",
        "horizon",
        "matchers",
        "operations",
        "budget_per_day",
        "min_duration_s",
        "group_s",
        "shadow",
        "channels",
    )
    shown: dict[str, object] = {name: getattr(route, name) for name in named}
    return shown | {
        "labels": route.labels,
        "group_by": "service" if route.by_service else "tenant",
        "threshold": route.threshold_of(fitted) if predicts else route.threshold,
        "threshold_basis": basis if predicts or route.threshold is not None else None,
        "fitted": _fitted(fitted) if predicts and route.threshold is None else None,
    }


def _fitted(record: ThresholdRecord | None) -> dict[str, object] | None:
    return None if record is None else {name: value for name, value in members(record).items() if name != "asked"}


def _lately(
    alerts: Iterable[AlertRecord], incidents: Mapping[str, Sequence[IncidentRecord]], interval: tuple[datetime, datetime]
) -> dict[str, object]:
    since, now = interval
    fired = [alert for alert in alerts if alert.fired_at is not None and since <= alert.fired_at <= now]
    pages = len({alert.page for alert in fired})
    first = min((alert.fired_at for alert in fired if alert.fired_at is not None), default=now)
    days = max((now - first).total_seconds() / 86_400, 1.0)
    return {
        "since": since,
        "alerts": len(fired),
        "pages": pages,
        "pages_per_day": pages / days,
        "in_incident_within_hour": sum(_led_to_incident(alert, incidents.get(alert.service, ())) for alert in fired),
    }


def _led_to_incident(alert: AlertRecord, incidents: Sequence[IncidentRecord]) -> bool:
    at = alert.fired_at or alert.started_at
    return any(one.start <= at + _SOON and (one.end is None or one.end > at) for one in incidents)
