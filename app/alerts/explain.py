"""Why a route told somebody of a series at an instant, or why it did not: a function of what was predicted and of what is kept.

`app.api.explain` asks. The past is walked with the same steps as the present (`app.alerts.states`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.alerts.evaluation import HELD
from app.alerts.quiet import silence_of, silenced_by
from app.alerts.routes import Route
from app.alerts.states import Trigger, moved
from app.cache.alert_records import AlertRecord, SilenceRecord, ThresholdRecord
from app.cache.records import IncidentRecord

__all__ = ["Explained", "Kept", "Point", "PointsOf", "Question", "explain"]


@dataclass(frozen=True, slots=True)
class Point:
    """What was said of a series at an instant."""

    at_s: float
    value: float
    status: str


PointsOf = Callable[[str, str, str, datetime, datetime], Mapping[str, Sequence[Point]]]
"""Returns by horizon what was said of a tenant's service and operation from one time to another, as `app.alerts.past.Past.points`."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept of a tenant.

    Parameters
    ----------
    alerts : sequence of AlertRecord
        All of the tenant.
    silences : sequence of SilenceRecord
        Also those that are over.
    threshold : ThresholdRecord or None
        Of the route.
    incidents : sequence of IncidentRecord
        Of the series, as far as they are kept.
    stale_s : float
        After how long nothing is known of a series any more.
    tail : float or None
        The score of an anomaly that the route's budget comes to, over all of its series; of a route on anomalies alone.
    """

    alerts: Sequence[AlertRecord] = ()
    silences: Sequence[SilenceRecord] = ()
    threshold: ThresholdRecord | None = None
    incidents: Sequence[IncidentRecord] = ()
    stale_s: float = 900.0
    tail: float | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a route did what it did.

    Parameters
    ----------
    route, on : str
        Which, and what it alerts on.
    shadow : bool
        Whether it tells nobody anyway.
    verdict : str
        ``fired``, ``acknowledged``, ``silenced``, ``inhibited``, ``pending``, ``below_threshold``, ``budget`` (so near the threshold
        that a larger budget might have let it fire), ``held`` (in an incident, or too young), ``no_data`` or ``not_selected``.
    text : str
        What a person reads.
    value, threshold : float or None
        What was compared.
    threshold_basis : str
        ``history``, ``default``, ``fixed``, or ``budget`` where it follows from the budget alone.
    pending_s : float or None
        For how long the threshold was met.
    alert_id, silence_id, inhibited_by : str or None
        What it is about.
    """

    route: str
    on: str
    shadow: bool
    verdict: str
    text: str
    value: float | None = None
    threshold: float | None = None
    threshold_basis: str = ""
    pending_s: float | None = None
    alert_id: str | None = None
    silence_id: str | None = None
    inhibited_by: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Of which series and instant it is asked."""

    tenant: str
    service: str
    operation: str
    at: datetime


def explain(route: Route, asked: Question, points: Sequence[Point], kept: Kept) -> Explained:
    """Return why a route told somebody of a series at an instant, or why not.

    Parameters
    ----------
    route : Route
        Which.
    asked : Question
        Series and instant.
    points : sequence of Point
        What was said of the series by then, in order of time: probabilities, or of a route on anomalies the newest score, since history has
        none; none for a route on incidents.
    kept : Kept
        What is kept of the tenant.
    """
    empty = Explained(route.name, route.on, route.shadow, "not_selected", "the route does not take this series")
    if not route.selects(asked.tenant, asked.service, asked.operation):
        return empty
    alert = _alert_at(route, asked, kept.alerts)
    if alert is not None:
        return _of_alert(route, alert, asked, kept, points)
    if route.on == "incident":
        return _of_incidents(route, asked, kept)
    return _of_points(route, asked, [point for point in points if point.at_s <= asked.at.timestamp()], kept)


def _alert_at(route: Route, asked: Question, alerts: Sequence[AlertRecord]) -> AlertRecord | None:
    """Return the alert that was open at the instant, the newest of several."""
    own = [
        alert
        for alert in alerts
        if (alert.rule, alert.service, alert.operation) == (route.name, asked.service, asked.operation)
        and alert.started_at <= asked.at
        and (alert.ended_at is None or asked.at < alert.ended_at)
    ]
    return max(own, key=lambda alert: alert.started_at, default=None)


def _of_alert(route: Route, alert: AlertRecord, asked: Question, kept: Kept, points: Sequence[Point]) -> Explained:
    at_s = asked.at.timestamp()
    points = () if route.on == "incident" else points  # whose value is that there is one
    said = [point.value for point in points if at_s - kept.stale_s <= point.at_s <= at_s and point.status not in HELD]
    lasted_s = (asked.at - alert.started_at).total_seconds()
    found = Explained(
        route.name,
        route.on,
        alert.shadow,
        "fired",
        "",
        value=said[-1] if said else alert.value,
        threshold=alert.threshold,
        threshold_basis=_basis(route, kept, alert.started_at)[1],
        pending_s=lasted_s,
        alert_id=alert.id,
    )
    if alert.fired_at is None or asked.at < alert.fired_at:
        return replace(found, verdict="pending", text=_pending(lasted_s, route))
    if alert.acknowledged_at is not None and alert.acknowledged_at <= asked.at:
        return replace(found, verdict="acknowledged", text=f"{alert.acknowledged_by} looked after it, so nothing was repeated")
    silence = _silence(kept, asked, alert.labels)
    if silence is not None:
        return replace(found, verdict="silenced", text=f"the silence {silence} was in force", silence_id=silence)
    return _quiet(alert, asked, found) or replace(
        found, text=f"fired at {alert.fired_at:%Y-%m-%d %H:%M:%S} UTC and {_told(route, alert)}"
    )


def _quiet(alert: AlertRecord, asked: Question, found: Explained) -> Explained | None:
    """Return what kept an alert from being told at the instant, None where nothing did, as far as that is kept."""
    heard, by = alert.heard_at is not None and alert.heard_at <= asked.at, alert.inhibited_by
    if by is not None and (alert.active or not heard):
        return replace(found, verdict="inhibited", text=f"the alert {by} of its cause kept it quiet", inhibited_by=by)
    if heard:
        return None
    if alert.heard_at is not None:
        return replace(found, verdict="inhibited", text=f"it was kept quiet until {_clock(alert.heard_at.timestamp())}")
    if alert.silence_id is not None:
        silence = alert.silence_id
        return replace(found, verdict="silenced", text=f"the silence {silence} kept it quiet", silence_id=silence)
    return None


def _told(route: Route, alert: AlertRecord) -> str:
    if alert.shadow:
        return "would have been told to nobody else than this list: the route is in shadow"
    return "was told" if route.channels else "was told to nobody: the route has no channels"


def _of_incidents(route: Route, asked: Question, kept: Kept) -> Explained:
    found = Explained(
        route.name, route.on, route.shadow, "below_threshold", "", value=0.0, threshold=1.0, threshold_basis="fixed"
    )
    began = [one for one in kept.incidents if one.start <= asked.at and (one.end is None or asked.at < one.end)]
    if not began:
        return replace(found, text="no incident of it was open then, as far as incidents are kept")
    one = min(began, key=lambda one: (one.detected_at, one.id))
    if asked.at < one.detected_at:
        text = f"the incident {one.id} had begun, and was detected at {one.detected_at:%H:%M:%S} UTC"
        return replace(found, verdict="pending", text=text)
    lasted_s = (asked.at - one.detected_at).total_seconds()
    found = replace(found, value=1.0, pending_s=lasted_s)
    if lasted_s < route.min_duration_s:
        return replace(found, verdict="pending", text=_pending(lasted_s, route))
    return _silenced(route, asked, kept, found) or replace(
        found, verdict="fired", text=f"the incident {one.id} was open; no alert of it is kept any more"
    )


def _of_points(route: Route, asked: Question, points: Sequence[Point], kept: Kept) -> Explained:
    threshold, basis = _basis(route, kept, asked.at)
    found = Explained(
        route.name, route.on, route.shadow, "no_data", "", threshold=threshold, threshold_basis=basis, pending_s=None
    )
    if not points or asked.at.timestamp() - points[-1].at_s > kept.stale_s:
        said = "predicted of it" if route.on == "prediction" else "said of its anomalies, of which the newest alone is kept,"
        return replace(found, text=f"nothing was {said} in the {kept.stale_s:g} s before")
    last, bounds, trigger = points[-1], route.bounds(threshold), Trigger()
    if last.status in HELD:
        return replace(
            found, verdict="held", text=f"its prediction was {last.status}, which no alert begins on", value=last.value
        )
    for before, point in zip((None, *points), points, strict=False):
        if before is not None and point.at_s - before.at_s > kept.stale_s:
            trigger = Trigger()
        trigger = moved(trigger, point.at_s, None if point.status in HELD else point.value, bounds)
    found = replace(found, value=last.value)
    shown = f"{last.value:.3f} at {_clock(last.at_s)}"
    if trigger.since_s is None:
        verdict = "budget" if basis in ("history", "budget") and last.value >= bounds.resolve else "below_threshold"
        return replace(found, verdict=verdict, text=f"{shown} was below {threshold:.3f}, {_why(route, basis)}")
    lasted_s = last.at_s - trigger.since_s
    if not trigger.firing:
        return replace(found, verdict="pending", pending_s=lasted_s, text=_pending(lasted_s, route))
    return _silenced(route, asked, kept, found) or replace(
        found, verdict="fired", pending_s=lasted_s, text=f"{shown} met {threshold:.3f}; no alert of it is kept any more"
    )


def _silenced(route: Route, asked: Question, kept: Kept, found: Explained) -> Explained | None:
    """Return that a silence was in force, None where none was."""
    silence = _silence(kept, asked, route.labels_of(asked.tenant, asked.service, asked.operation))
    if silence is None:
        return None
    return replace(found, verdict="silenced", text=f"the silence {silence} was in force", silence_id=silence)


def _silence(kept: Kept, asked: Question, labels: Mapping[str, str]) -> str | None:
    """Return the silence that kept such alerts quiet at the instant; what somebody said later of the past kept nothing quiet then."""
    then = [silence for silence in kept.silences if silence.created_at <= asked.at]
    return silence_of(silenced_by(then, asked.at), labels)


def _basis(route: Route, kept: Kept, at: datetime) -> tuple[float, str]:
    """Return the threshold that counted at a time, and what it was based on."""
    if route.threshold is not None:
        return route.threshold, "fixed"
    if kept.tail is not None:
        return kept.tail, "budget"
    step = kept.threshold.at(at) if kept.threshold is not None else None
    return (route.default_threshold, "default") if step is None else (step.threshold, step.basis)


def _why(route: Route, basis: str) -> str:
    if basis in ("history", "budget"):
        return f"which a budget of {route.budget_per_day:g} pages a day comes to"
    return "the route's own threshold" if basis == "fixed" else "which counts until there is history enough for the budget"


def _pending(lasted_s: float, route: Route) -> str:
    return f"the threshold was met for {lasted_s:.0f} s, of {route.min_duration_s:g} s that it must be"


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M:%S} UTC"
