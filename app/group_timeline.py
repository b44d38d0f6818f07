"""What happened in a group of incidents, line by line, and how early any of it had been predicted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from app.cache.error_heads import ErrorHeads, KindHead
from app.cache.group_records import Forewarning, Happening
from app.cache.records import FeedbackRecord, IncidentRecord
from app.foretold import LEAST
from features.series import WHOLE
from features.symptom import Symptom, Symptoms
from models.prediction import HORIZONS

__all__ = ["forewarnings", "timeline", "verdict_lines"]

_MOST = 200  # guessed: what a person can look through; what came first stays
_BEFORE = timedelta(minutes=15)  # guessed: errors that appeared so long before an incident may have led to it
_MOST_CHARS = 200
_LAST = datetime.max.replace(tzinfo=UTC)

_SHOWN: dict[str, str] = {
    "errors": "{value:.4g} errors a minute, {expected:.3g} expected",
    "failed": "{value:.1%} of requests fail, {expected:.1%} expected",
    "latency": "requests take {value:.3g} s, {expected:.3g} s expected",
    "traffic": "{value:.4g} requests a minute, {expected:.4g} expected",
    "logs": "{value:.4g} a minute of {detail}, {expected:.3g} expected",
    "version": "new version {detail}",
    "saturation": "level {detail} at {value:.4g}, {expected:.4g} expected",
}

_ALIKE = {"": "log records", "WARN": "warnings"}
"""What `features.symptoms` counts in logs that is no fingerprint."""


def forewarnings(incidents: Iterable[IncidentRecord]) -> tuple[Forewarning, ...]:
    """Return what had been predicted of each service before its first incident.

    Of each horizon the newest prediction at the start, and the first one of 10 % or more whose horizon reached the start; what the process
    that found the incident had not predicted itself is not known.
    """
    found: list[Forewarning] = []
    for first in _first_by_service(incidents):
        for horizon, seconds in HORIZONS.items():
            for earlier in first.earlier:
                lead_s = (first.start - earlier.as_of).total_seconds()
                p = earlier.horizons.get(horizon, 0.0)
                if p >= LEAST and 0.0 < lead_s <= seconds:
                    found.append(Forewarning(first.service, earlier.as_of, horizon, p, lead_s))
                    break
            if first.predicted is not None and horizon in first.predicted:
                found.append(Forewarning(first.service, first.start, horizon, first.predicted[horizon], 0.0))
    return tuple(found)


def timeline(
    incidents: Sequence[IncidentRecord],
    evidence: Iterable[Symptoms],
    errors: Mapping[str, ErrorHeads],
    before: Iterable[Happening] = (),
) -> list[Happening]:
    """Return what happened, by time, without what people said.

    Parameters
    ----------
    incidents : sequence of IncidentRecord
        Of the group, at least one.
    evidence : iterable of Symptoms
        All that its services showed so far.
    errors : mapping of str to ErrorHeads
        Of its services, as far as they are kept.
    before : iterable of Happening
        The timeline as it was, whose errors stay when they are kept no more.
    """
    lines = [line for line in before if line.kind == "error"]
    lines += [_onset(one.service, symptom) for one in evidence for symptom in _first_of_signals(one)]
    start, end = min(one.start for one in incidents), _end(incidents)
    for service, heads in errors.items():
        lines += [
            Happening(head.first_seen, "error", service, _error_text(head))
            for head in heads.groups
            if start - _BEFORE <= head.first_seen <= (end or _LAST)
        ]
    for one in incidents:
        lines += _incident_lines(one)
    lines += _prediction_lines(forewarnings(incidents))
    if end is not None:
        lines.append(Happening(end, "over", "", "the last incident is over"))
    return _ordered(lines)


def verdict_lines(incidents: Iterable[str], verdicts: Mapping[str, Sequence[FeedbackRecord]]) -> list[Happening]:
    """Return what people said of some incidents."""
    return [
        Happening(
            one.received_at,
            "verdict",
            one.service or "",
            _cut(f"{one.who}: {one.verdict.replace('_', ' ')}. {one.why}".strip()),
        )
        for incident in incidents
        for one in verdicts.get(incident, ())
    ]


def _ordered(lines: Iterable[Happening]) -> list[Happening]:
    """Return lines by time, each once."""
    once = dict.fromkeys(lines)
    return sorted(once, key=lambda one: (one.time, _RANK[one.kind], one.service, one.text))[:_MOST]


_RANK = {
    name: place
    for place, name in enumerate(
        ("prediction", "version", "symptom", "error", "incident", "detected", "ended", "over", "verdict")
    )
}


def _first_by_service(incidents: Iterable[IncidentRecord]) -> list[IncidentRecord]:
    """Return each service's first incident, that of the whole service where it has one."""
    first: dict[str, IncidentRecord] = {}
    for one in sorted(incidents, key=lambda one: (one.operation != WHOLE, one.start, one.id)):
        first.setdefault(one.service, one)
    return sorted(first.values(), key=lambda one: (one.start, one.service))


def _first_of_signals(one: Symptoms) -> list[Symptom]:
    """Return the first symptom of every signal; each version is one of its own."""
    first: dict[tuple[str, str], Symptom] = {}
    for symptom in sorted(one.symptoms, key=lambda one: (one.since_s, -one.strength)):
        first.setdefault((symptom.signal, symptom.detail if symptom.signal == "version" else ""), symptom)
    return list(first.values())


def _onset(service: str, symptom: Symptom) -> Happening:
    detail = _ALIKE.get(symptom.detail, f"the errors {symptom.detail}") if symptom.signal == "logs" else symptom.detail
    text = _SHOWN[symptom.signal].format(value=symptom.value, expected=symptom.expected, detail=detail)
    where = "" if symptom.operation == WHOLE else f" ({symptom.operation})"
    kind = "version" if symptom.signal == "version" else "symptom"
    return Happening(datetime.fromtimestamp(symptom.since_s, UTC), kind, service, _cut(text + where))


def _error_text(head: KindHead) -> str:
    name = head.exception_type or head.kind
    return _cut(f"first {name}: {head.message}" if head.message else f"first {name}")


def _incident_lines(one: IncidentRecord) -> list[Happening]:
    where = "" if one.operation == WHOLE else f" of {one.operation}"
    lines = [
        Happening(one.start, "incident", one.service, _cut(f"incident{where} begins ({one.category}, {one.source})")),
        Happening(one.detected_at, "detected", one.service, _cut(f"incident{where} is detected")),
    ]
    return lines if one.end is None else [*lines, Happening(one.end, "ended", one.service, _cut(f"incident{where} is over"))]


def _prediction_lines(warned: Iterable[Forewarning]) -> list[Happening]:
    return [
        Happening(
            one.as_of,
            "prediction",
            one.service,
            f"{one.probability:.0%} within {one.horizon.removesuffix('min')} minutes, {one.lead_s / 60:.0f} minutes before",
        )
        for one in warned
        if one.lead_s > 0.0
    ]


def _end(incidents: Iterable[IncidentRecord]) -> datetime | None:
    ends = [one.end for one in incidents]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 3] + "..."
