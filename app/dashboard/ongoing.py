"""What goes on in a service by now, beside what is forecast of it: an open incident, an anomaly; the first page and a service's page say it.

While an incident of the whole service is open, the chance that one begins is no question: no model learned from such times, alerts
(`app.alerts.evaluation.HELD`) and metrics (`app.exports.chances.FORESEEN`) pass it over, and these pages show no chance either.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.cache.records import IncidentRecord
from app.dashboard import words
from features.series import WHOLE
from models.anomaly import ANOMALY
from models.prediction import AnomalyScore

__all__ = ["IN_INCIDENT", "abnormal", "by_service", "foretold", "status_of"]

IN_INCIDENT = "in_incident"
"""Status of a prediction whose probability says nothing, since what it is about has begun."""

_NAMES = {
    "errors": "errors",
    "failed": "failed share",
    "latency": "mean duration",
    "traffic": "traffic",
    "combination": "errors, failures, durations and traffic together",
}


def by_service(records: Iterable[IncidentRecord]) -> dict[str, IncidentRecord]:
    """Return of each service its open incident: of those of the whole service, else of its operations, the one that began first."""
    found: dict[str, IncidentRecord] = {}
    for record in records:
        known = found.get(record.service)
        if record.end is None and (known is None or _before(record, known)):
            found[record.service] = record
    return found


def _before(one: IncidentRecord, other: IncidentRecord) -> bool:
    return (one.operation != WHOLE, one.start, one.id) < (other.operation != WHOLE, other.start, other.id)


def foretold(status: str, incident: IncidentRecord | None) -> bool:
    """Return whether a prediction of a whole service says something: not while an incident of it is open, be it found or reported.

    Examples
    --------
    >>> foretold("ok", None), foretold("in_incident", None)
    (True, False)
    """
    return status != IN_INCIDENT and (incident is None or incident.operation != WHOLE)


def status_of(status: str, incident: IncidentRecord | None, stale: bool) -> str:
    """Return what a page says of a prediction: what is out of date before all else, then that an incident goes on.

    Examples
    --------
    >>> status_of("in_incident", None, True), status_of("ok", None, False)
    ('stale', 'ok')
    """
    return "stale" if stale else status if foretold(status, incident) else IN_INCIDENT


def abnormal(found: AnomalyScore, tick_s: float) -> str:
    """Return what is unusual of the last window in words, empty where there is no anomaly of the last hour.

    Examples
    --------
    >>> abnormal(AnomalyScore(0.9995, 23.0, 0.2, 0.0, 1.0), 60.0)
    'unusual: errors of 23/min, normal is 0 to 1/min'
    >>> abnormal(AnomalyScore(0.4, 1.0, 0.2, 0.0, 1.0), 60.0)
    ''
    """
    if found.since is None and found.score < 1.0 - ANOMALY:
        return ""
    value, lower, upper = (_shown(one, found.signal, tick_s) for one in (found.value, found.lower, found.upper))
    normal = f"normal is {lower.rpartition('/')[0] or lower} to {upper}" if lower != upper else f"normal is {lower}"
    when = "unusual:" if found.score >= 1.0 - ANOMALY else "an anomaly within the last hour, by now"
    return f"{when} {_NAMES[found.signal]} of {value}, {normal}"


def _shown(value: float, signal: str, tick_s: float) -> str:
    if signal == "failed":
        return words.percent(value)
    if signal == "latency":
        return words.duration(value)
    return f"{words.amount(value)} bits" if signal == "combination" else f"{words.amount(value * 60.0 / tick_s)}/min"
