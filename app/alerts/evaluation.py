"""What becomes of a tenant's alerts: routes and what is known go in, alerts that are new or changed come out.

`app.alerts.alerting` gathers what is known and writes what comes out. Everything here is a function of its arguments, and
to evaluate the same twice changes nothing, so that two nodes may do it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from app.alerts.budget import DAY_S, tail_threshold
from app.alerts.inhibition import Calls, GroupOf, groups_by_service, inhibited
from app.alerts.quiet import silence_of, silenced_by
from app.alerts.routes import Route
from app.alerts.states import Overlay, Trigger, moved, overlaid, trigger_of
from app.cache.alert_records import AlertRecord, SilenceRecord, ThresholdRecord
from models.prediction import AnomalyScore

__all__ = ["HELD", "Observation", "OpenIncident", "Situation", "evaluate"]

HELD = frozenset({"in_incident", "warming_up"})
"""Statuses of predictions in which a probability says nothing: alerts stay as they are."""

_GONE = -1.0  # below every bound: of a series of which nothing is heard any more
_ANEW = timedelta(days=1)  # an open alert is written at least so often, since documents expire after three days or more
_TOLD = 0.05  # guessed: a value that moved by less is not written again


@dataclass(frozen=True, slots=True)
class Observation:
    """What the newest prediction of a series says.

    Parameters
    ----------
    service, operation : str
        The series.
    as_of : datetime
        When that was known.
    status : str
        As of predictions.
    probabilities : Mapping of str to float
        By horizon.
    anomaly : AnomalyScore
        Of the last window.
    reasons : tuple of str
        Why.
    """

    service: str
    operation: str
    as_of: datetime
    status: str
    probabilities: Mapping[str, float]
    anomaly: AnomalyScore
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that has begun and not ended."""

    id: str
    service: str
    operation: str
    start: datetime
    category: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What is known of a tenant.

    Parameters
    ----------
    tenant : str
        Whose.
    now : datetime
        By which silences and want of data are judged.
    observations : sequence of Observation
        One a series.
    incidents : sequence of OpenIncident
        Those that last.
    alerts : sequence of AlertRecord
        All that are kept.
    silences, groups, calls, thresholds
        What else counts; thresholds by route.
    stale_s, tick_s : float
        After how long nothing is heard of a series any more, and how long a window is.
    """

    tenant: str
    now: datetime
    observations: Sequence[Observation]
    incidents: Sequence[OpenIncident] = ()
    alerts: Sequence[AlertRecord] = ()
    silences: Sequence[SilenceRecord] = ()
    groups: Sequence[GroupOf] = ()
    calls: Calls = field(default_factory=dict[str, frozenset[str]])
    thresholds: Mapping[str, ThresholdRecord] = field(default_factory=dict[str, ThresholdRecord])
    stale_s: float = 900.0
    tick_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A value of a series under a route, None where nothing can be said."""

    at: datetime
    value: float | None
    reasons: tuple[str, ...] = ()


_Series = tuple[str, str]  # service and operation
_Moved = tuple[AlertRecord, Trigger]


def evaluate(routes: Sequence[Route], known: Situation) -> list[AlertRecord]:
    """Return the alerts that are new or changed.

    Parameters
    ----------
    routes : sequence of Route
        What is alerted on.
    known : Situation
        Of one tenant.
    """
    before = {alert.id: alert for alert in known.alerts}
    by_route: dict[str, dict[_Series, AlertRecord]] = {}
    for alert in sorted(known.alerts, key=lambda alert: (alert.started_at, alert.id)):  # the newest of a series stays
        by_route.setdefault(alert.rule, {})[alert.service, alert.operation] = alert
    carried = [one for route in routes for one in _moved(route, known, by_route.get(route.name, {}))]
    named = {route.name: route for route in routes}
    gone = [alert for alert in known.alerts if alert.rule not in named and not alert.over]
    carried += [_ended(alert, known, "its route is gone from the settings") for alert in gone]
    untold = {route.name for route in routes if not route.channels}
    found = _with_pages(_overlaid(carried, known, untold), known.alerts, named)
    return [replace(alert, updated_at=known.now) for alert in found if _differs(before.get(alert.id), alert, known.now)]


def _moved(route: Route, known: Situation, alerts: Mapping[_Series, AlertRecord]) -> Iterator[_Moved]:
    """Yield what is open under a route, with the trigger that the newest observation makes."""
    seen = _seen(route, known)
    threshold = _threshold(route, known, len(seen))
    for series, one in seen.items():
        alert = alerts.get(series)
        if alert is None or alert.over:
            trigger = moved(trigger_of(alert), one.at.timestamp(), one.value, route.bounds(threshold))
            if trigger.since_s is not None:
                yield _new(route, known, series, one, threshold, alert), trigger
        else:
            yield _carried(route, alert, one, known)
    for series, alert in alerts.items():
        if not alert.over and series not in seen:
            if route.on == "incident":
                why = "its incident is over"
            elif route.selects(known.tenant, *series):
                why = "nothing is known of the series any more"
            else:
                why = "its route takes the series no longer"
            yield _ended(alert, known, why)


def _carried(route: Route, alert: AlertRecord, seen: _Seen, known: Situation) -> _Moved:
    """Return an open alert as what is seen leaves it, by the threshold that it began with: one that is found anew meanwhile ends nothing."""
    if (alert.labels.get("on", route.on), alert.horizon or route.horizon) != (route.on, route.horizon):
        return _ended(alert, known, "its route looks at something else now")
    trigger = moved(trigger_of(alert), seen.at.timestamp(), seen.value, route.bounds(alert.threshold))
    if seen.value is None or seen.at <= alert.as_of:
        return alert, trigger
    if seen.value == _GONE:  # nobody said a number, so the last one stays
        return replace(alert, reasons=seen.reasons), trigger
    probability = None if alert.probability is None else seen.value
    return replace(alert, value=seen.value, probability=probability, reasons=seen.reasons or alert.reasons), trigger


def _ended(alert: AlertRecord, known: Situation, why: str) -> _Moved:
    """Return an open alert at its end, which comes now, and never before what it is made of."""
    return replace(alert, reasons=(why,)), Trigger(at_s=max(known.now, alert.as_of).timestamp())


def _new(
    route: Route, known: Situation, series: _Series, seen: _Seen, threshold: float, last: AlertRecord | None
) -> AlertRecord:
    predicts, value = route.on == "prediction", seen.value or 0.0
    return AlertRecord(
        id=_next_id(route.name, known.tenant, series, seen.at, last),
        tenant=known.tenant,
        rule=route.name,
        state="pending",
        shadow=route.shadow,
        service=series[0],
        operation=series[1],
        labels=route.labels_of(known.tenant, *series),
        value=value,
        probability=value if predicts else None,
        horizon=route.horizon if predicts else None,
        threshold=threshold,
        reasons=seen.reasons,
        as_of=seen.at,
        started_at=seen.at,
        updated_at=known.now,
    )


def _next_id(rule: str, tenant: str, series: _Series, at: datetime, last: AlertRecord | None) -> str:
    """Return a name that every node gives, so that of two who write the same alert one is refused.

    Numbers rise with each alert of a series, and from a thousand times the day on where none is known any more.
    """
    parts = [
        part.replace("\\", "\\\\").replace("\n", "\\n") for part in (tenant, rule, *series)
    ]  # so that no two series are one
    name = sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    number = int(last.id.rpartition("-")[2]) + 1 if last is not None else 0
    return f"{name}-{max(number, int(at.timestamp()) // DAY_S * 1000)}"


def _seen(route: Route, known: Situation) -> dict[_Series, _Seen]:
    """Return what a route sees of each of its series."""
    chosen = (one for one in known.observations if route.selects(known.tenant, one.service, one.operation))
    if route.on != "incident":
        return {(one.service, one.operation): _fresh(_valued(route, one), known) for one in chosen}
    lasting = {(one.service, one.operation): one for one in sorted(known.incidents, key=lambda one: (one.start, one.id))}
    found = {(one.service, one.operation): _Seen(one.as_of, 0.0) for one in chosen}
    newest = max((one.as_of for one in known.observations), default=known.now)
    for series, incident in lasting.items():
        if route.selects(known.tenant, *series):
            at = found[series].at if series in found else newest
            found[series] = _Seen(at, 1.0, (_told(incident),))
    return found


def _valued(route: Route, one: Observation) -> _Seen:
    if route.on == "anomaly":
        a = one.anomaly
        text = f"{a.signal} {a.value:g}, where {a.expected:g} was due ({a.lower:g} to {a.upper:g})"
        return _Seen(one.as_of, None if one.status == "warming_up" else a.score, (text,))
    return _Seen(one.as_of, None if one.status in HELD else one.probabilities[route.horizon], one.reasons)


def _fresh(seen: _Seen, known: Situation) -> _Seen:
    """Return what is seen, or that nothing was heard for too long, from when that began: when somebody looks says nothing of the series."""
    silent = seen.at + timedelta(seconds=known.stale_s)
    if known.now <= silent:
        return seen
    return _Seen(silent, _GONE, (f"nothing was heard of it for {known.stale_s:g} s",))


def _told(incident: OpenIncident) -> str:
    of = f" of the category {incident.category}" if incident.category else ""
    return f"incident {incident.id}{of} since {incident.start:%Y-%m-%d %H:%M} UTC"


def _threshold(route: Route, known: Situation, n_series: int) -> float:
    if route.on == "incident":
        return 1.0
    if route.on == "anomaly" and route.threshold is None:
        return tail_threshold(route.budget_per_day, n_series, DAY_S / known.tick_s)
    return route.threshold_of(known.thresholds.get(route.name))


def _overlaid(carried: Iterable[_Moved], known: Situation, untold: Collection[str]) -> list[AlertRecord]:
    """Return alerts in the state that triggers, silences and causes come to."""
    moved_alerts, groups = list(carried), groups_by_service(known.groups)
    firing = [overlaid(alert, trigger, Overlay()) for alert, trigger in moved_alerts if trigger.firing]
    causes, silences = inhibited(firing, groups, known.calls, untold), silenced_by(known.silences, known.now)
    found: list[AlertRecord] = []
    for alert, trigger in moved_alerts:
        overlay = Overlay(silence_of(silences, alert.labels), causes.get(alert.id)) if trigger.firing else Overlay()
        group = groups.get(alert.service)
        after = overlaid(alert, trigger, overlay)
        if after.state == "firing" and after.heard_at is None:
            after = replace(after, heard_at=after.fired_at if alert.fired_at is None else known.now)
        found.append(replace(after, group_id=group.id) if group is not None and not after.over else after)
    return found


def _with_pages(found: Sequence[AlertRecord], known: Iterable[AlertRecord], routes: Mapping[str, Route]) -> list[AlertRecord]:
    """Return alerts with the page that each is part of: the newest that was opened lately, or its own."""
    pages: dict[tuple[str, str], tuple[datetime, str]] = {}

    def opened(alert: AlertRecord) -> tuple[str, str]:
        return alert.rule, routes[alert.rule].page_key(alert.service)

    for alert in known:
        if alert.rule in routes and alert.page == alert.id and alert.fired_at is not None:
            pages[opened(alert)] = max(pages.get(opened(alert), (alert.fired_at, alert.id)), (alert.fired_at, alert.id))
    placed: list[AlertRecord] = []
    for alert in sorted(found, key=lambda alert: (alert.fired_at or alert.started_at, alert.id)):
        if alert.fired_at is None or alert.page is not None:
            placed.append(alert)
            continue
        last = pages.get(opened(alert))
        if last is None or alert.fired_at - last[0] >= timedelta(seconds=routes[alert.rule].group_s):
            last = pages[opened(alert)] = (alert.fired_at, alert.id)
        placed.append(replace(alert, page=last[1]))
    return placed


def _differs(before: AlertRecord | None, after: AlertRecord, now: datetime) -> bool:
    """Return whether an alert is worth writing."""
    if before is None or now - before.updated_at >= _ANEW:
        return True
    named = ("state", "silence_id", "inhibited_by", "group_id", "page", "fired_at")
    return any(getattr(before, name) != getattr(after, name) for name in named) or abs(before.value - after.value) >= _TOLD
