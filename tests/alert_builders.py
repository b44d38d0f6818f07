"""Alerts, routes, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from app.alerts.evaluation import Observation, OpenIncident, Situation
from app.alerts.routes import Route
from app.cache.alert_records import AlertRecord
from features.series import WHOLE
from models.prediction import AnomalyScore
from tests.api_builders import NOON

__all__ = ["a_route", "an_alert", "an_observation", "at", "known"]


def at(seconds: float) -> datetime:
    """Return a time after noon."""
    return NOON + timedelta(seconds=seconds)


def a_route(**given: Any) -> Route:
    named: dict[str, Any] = {"name": "pages", "threshold": 0.5, "resolve_ratio": 0.6, "shadow": False, "channels": ("post",)}
    return Route(**(named | given))


def an_observation(
    service: str = "payment", p: float = 0.8, *, at_s: float = 0.0, status: str = "ok", score: float = 0.5
) -> Observation:
    probabilities = {"5min": p / 2, "15min": p, "60min": min(1.0, p * 1.2)}
    anomaly = AnomalyScore(score, 7.0, 2.0, 0.0, 5.0)
    return Observation(service, WHOLE, at(at_s), status, probabilities, anomaly, ("errors rise",))


def an_alert(
    alert_id: str = "a-1", service: str = "payment", *, state: str = "firing", fired_s: float = 0.0, **given: Any
) -> AlertRecord:
    fired = None if state == "pending" else at(fired_s)
    labels = {"alertname": "pages", "service": service, "operation": WHOLE, "tenant": "default", "on": "prediction"}
    named: dict[str, Any] = {
        "id": alert_id,
        "tenant": "default",
        "rule": "pages",
        "state": state,
        "shadow": False,
        "service": service,
        "operation": WHOLE,
        "labels": labels,
        "value": 0.8,
        "probability": 0.8,
        "horizon": "15min",
        "threshold": 0.5,
        "reasons": ("errors rise",),
        "as_of": at(fired_s),
        "started_at": at(fired_s),
        "updated_at": at(fired_s),
        "fired_at": fired,
        "page": alert_id,
    }
    return AlertRecord(**(named | given))


def known(observations: Sequence[Observation] = (), *, now_s: float = 0.0, **given: Any) -> Situation:
    incidents: Sequence[OpenIncident] = given.pop("incidents", ())
    return Situation("default", at(now_s), observations, incidents, **given)
