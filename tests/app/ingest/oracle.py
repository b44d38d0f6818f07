"""What is to be counted of the table of `tests.app.ingest.truth`, and what was counted, in one shape that compares.

The rules are those of the documentation, written for one record at a time and without the code under test.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isclose

import numpy as np

from app.ingest.ids import trace_hash
from app.ingest.otlp import ENGINE, Engine, decoder
from features.batch import BUCKETS, CHANNELS, Batch, Presence
from features.event import ErrorRecord
from tests.app.ingest.servers import Ingest
from tests.app.ingest.truth import RESOURCES, Log, Span, Truth, Value
from tests.builders import same_batch

__all__ = ["Counted", "counted", "differences", "expected", "unlike"]

_ENTRY, _CALLERS = {"SERVER", "CONSUMER"}, {"CLIENT", "PRODUCER"}
_PEERS = ("peer.service", "server.address", "messaging.destination.name")
_WORDS = {"error": 17}

Group = tuple[str, str, int]
"""Service, operation, window start in seconds."""


def _sums() -> defaultdict[Group, Counter[str]]:
    return defaultdict(Counter)


@dataclass
class Counted:
    """Everything that the batches of a run say, without the order and the cut of requests."""

    groups: defaultdict[Group, Counter[str]] = field(default_factory=_sums)
    errors: list[ErrorRecord] = field(default_factory=list[ErrorRecord])
    calls: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    failed_calls: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    ends: Counter[tuple[int, int, str, int]] = field(default_factory=Counter[tuple[int, int, str, int]])
    levels: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    presences: set[Presence] = field(default_factory=set[Presence])


def expected(truth: Truth, raised: Mapping[str, Mapping[str, str]] | None = None) -> Counted:
    """Return what is to be counted.

    Parameters
    ----------
    truth : Truth
        What the client was told to send.
    raised : mapping of str to attributes
        By span id, what the SDK itself wrote of an exception that was raised.
    """
    result = Counted()
    for span in truth.spans:
        _count_span(span, result, raised or {})
    for log in truth.logs:
        _count_log(log, result)
    total: Counter[tuple[str, str, str]] = Counter()
    for point in truth.points:
        if point.kind == "sum":
            key = (point.service, point.name, repr(point.attributes))
            total[key] += point.value  # pyright: ignore[reportArgumentType] - a Counter counts floats as well
            result.levels[key[:2]] = max(result.levels.get(key[:2], 0.0), float(total[key]))
        elif point.kind == "gauge":
            result.levels[point.service, point.name] = point.value
    for service in {record.service for record in (*truth.spans, *truth.logs, *truth.points)}:
        resource = RESOURCES[service]
        result.presences.add(Presence(service, resource["service.instance.id"], resource["service.version"]))
    return result


def _weight(span: Span) -> float:
    return 4.0 if "ot=th:c" in span.trace_state else 1.0


def _count_span(span: Span, result: Counted, raised: Mapping[str, Mapping[str, str]]) -> None:
    weight, entry = _weight(span), span.kind in _ENTRY or not span.parent
    group = result.groups[span.service, span.name if entry else "*", span.end_ns // 60_000_000_000 * 60]
    status = span.attributes.get("http.response.status_code", span.attributes.get("http.status_code", 0))
    server_error = span.kind == "SERVER" and isinstance(status, int | float) and 500 <= status < 600
    failing = span.status == "ERROR" or server_error
    seconds = (span.end_ns - span.start_ns) * 1e-9
    marks = {"errors": failing, "inner": not entry, "total": entry, "failed": entry and failing}
    marks |= {"served": entry and span.kind == "SERVER", "server_errors": server_error}
    for channel, holds in marks.items():
        group[channel] += weight * holds  # pyright: ignore[reportArgumentType]
    if entry:
        group["duration_sum_s"] += weight * seconds  # pyright: ignore[reportArgumentType]
        group["duration_max_s"] = max(group["duration_max_s"], seconds)  # pyright: ignore[reportArgumentType]
        group[f"bucket {sum(seconds >= bound for bound in BUCKETS)}"] += weight  # pyright: ignore[reportArgumentType]
    exceptions = [event for event in span.events if event.name == "exception"]
    if failing:
        result.errors.append(_span_error(span, raised.get(span.span)))
    else:
        group["handled"] += weight * len(exceptions)  # pyright: ignore[reportArgumentType]
    _count_ends(span, result)
    peer = next((str(span.attributes[key]) for key in _PEERS if key in span.attributes), "")
    if span.kind in _CALLERS and peer:
        result.calls[span.service, peer] += weight  # pyright: ignore[reportArgumentType]
        result.failed_calls[span.service, peer] += weight * failing  # pyright: ignore[reportArgumentType]


def _count_ends(span: Span, result: Counted) -> None:
    hashed = trace_hash(bytes.fromhex(span.trace))
    if span.kind not in _ENTRY:
        result.ends[hashed, int(span.span, 16), span.service, 0] += 1
    elif span.parent:
        result.ends[hashed, int(span.parent, 16), span.service, 1] += 1


def _span_error(span: Span, raised: Mapping[str, str] | None) -> ErrorRecord:
    attributes = _kept(span.service) | {key: _text(value) for key, value in span.attributes.items()}
    for event in span.events:
        if event.name == "exception":
            attributes |= raised if event.raised and raised else {key: _text(value) for key, value in event.attributes.items()}
    kind, stack = attributes.pop("exception.type", ""), attributes.pop("exception.stacktrace", "")
    message = attributes.pop("exception.message", "") or span.message
    return ErrorRecord(
        "span", span.service, span.name, span.end_ns, 17, span.trace, span.span, kind, message, stack, attributes, _weight(span)
    )


def _count_log(log: Log, result: Counted) -> None:
    group = result.groups[log.service, "*", log.time_ns // 60_000_000_000 * 60]
    severity = log.severity or _WORDS[log.text]
    group["logs"] += 1
    if severity >= 17:
        group["errors"] += 1
        result.errors.append(_log_error(log, severity))
        return
    group["warnings"] += severity >= 13
    group["handled"] += "exception.type" in log.attributes


def _log_error(log: Log, severity: int) -> ErrorRecord:
    attributes = _kept(log.service) | {key: _text(value) for key, value in log.attributes.items()}
    kind, stack = attributes.pop("exception.type", ""), attributes.pop("exception.stacktrace", "")
    body = log.body if isinstance(log.body, str) else log.body["message"]
    message = attributes.pop("exception.message", "") or body
    return ErrorRecord("log", log.service, "*", log.time_ns, severity, log.trace, log.span, kind, message, stack, attributes)


def _kept(service: str) -> dict[str, str]:
    return {key: value for key, value in RESOURCES[service].items() if key != "service.name"}


def _text(value: Value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def unlike(ingest: Ingest, wanted: Counted, begin_ns: int) -> list[str]:
    """Return in which record the log differs from what is wanted, and what any engine makes of the bodies received.

    A message that is in the log twice, of a request that was sent again, counts once, as it does in the windows. Times
    past `begin_ns` are of the client's own clock.
    """
    messages = {message.batch_id: message.batch for message in ingest.messages()}
    found = differences(counted(messages.values()), wanted, begin_ns)
    bodies, limits = dict.fromkeys(ingest.bodies), ingest.receiver.limits
    engines: list[Engine] = ["python", "c"] if ENGINE == "c" else ["python"]
    made = {
        engine: [decoder(engine)(body, signal, encoding, limits=limits) for signal, encoding, body in bodies]
        for engine in engines
    }
    for engine, batches in made.items():
        found += [f"engine {engine}: {line}" for line in differences(counted(batches), wanted, begin_ns)]
        alike = [same_batch(*pair) for pair in zip(batches, made["python"], strict=True)]
        found += [f"engine {engine}: another Batch of body {place}" for place, same in enumerate(alike) if not same]
    return found


def counted(batches: Iterable[Batch]) -> Counted:
    """Return what batches say together."""
    result = Counted()
    for batch in batches:
        for row, (place, start) in enumerate(zip(batch.group_series.tolist(), batch.group_time_s.tolist(), strict=True)):
            group = result.groups[(*batch.series[place], start)]
            for name, value in zip(CHANNELS, batch.counts[row].tolist(), strict=True):
                group[name] = max(group[name], value) if name == "duration_max_s" else group[name] + value
            for bucket in np.flatnonzero(batch.histogram[row]).tolist():
                group[f"bucket {bucket}"] += batch.histogram[row, bucket].item()
        result.errors += batch.errors
        for call in batch.calls:
            result.calls[call.caller, call.callee] += call.count  # pyright: ignore[reportArgumentType]
            result.failed_calls[call.caller, call.callee] += call.failed  # pyright: ignore[reportArgumentType]
        columns = (batch.end_trace.tolist(), batch.end_span.tolist(), batch.end_service.tolist(), batch.end_role.tolist())
        for trace, span, service, role in zip(*columns, strict=True):
            result.ends[trace, span, batch.services[service], role] += 1
        for level in batch.levels:
            key = level.service, level.name
            result.levels[key] = max(result.levels.get(key, level.value), level.value)
        result.presences |= set(batch.presences)
    return result


def differences(found: Counted, wanted: Counted, begin_ns: int = 0) -> list[str]:
    """Compare record by record; times past `begin_ns` are of the client's own clock and compare as 0."""
    unlike = _differing(_groups(found, begin_ns), _groups(wanted, begin_ns))
    have, want = ([repr(_fields(error, begin_ns)) for error in _ordered(counted)] for counted in (found, wanted))
    unlike += [f"error not sent: {error}" for error in sorted((Counter(have) - Counter(want)).elements())]
    unlike += [f"error not counted: {error}" for error in sorted((Counter(want) - Counter(have)).elements())]
    for part in ("calls", "failed_calls", "ends", "levels", "presences"):
        one, other = getattr(found, part), getattr(wanted, part)
        unlike += [] if one == other else [f"{part}: {one}, not {other}"]
    return unlike


def _groups(counted: Counted, begin_ns: int) -> dict[str, float]:
    """Return every count that is not zero by its place in words, so that a difference reads well."""
    flat: Counter[str] = Counter()
    for (service, operation, start), group in counted.groups.items():
        window = 0 if begin_ns and (start + 60) * 10**9 > begin_ns else start
        for name, value in group.items():
            flat[f"{service} | {operation} | {window} | {name}"] += value
    return {place: float(value) for place, value in flat.items() if value}


def _differing(found: Mapping[str, float], wanted: Mapping[str, float]) -> list[str]:
    pairs = [(place, found.get(place, 0.0), wanted.get(place, 0.0)) for place in sorted({*found, *wanted})]
    # Durations are summed in another order than the one of sending.
    return [f"{place}: {have}, not {want}" for place, have, want in pairs if not isclose(have, want, rel_tol=1e-12)]


def _ordered(counted: Counted) -> list[ErrorRecord]:
    return sorted(counted.errors, key=lambda error: (error.source, error.service, error.span_id, error.message, error.time_ns))


def _fields(error: ErrorRecord, begin_ns: int) -> tuple[object, ...]:
    time_ns = 0 if begin_ns and error.time_ns >= begin_ns else error.time_ns
    place = (error.source, error.service, error.operation, time_ns, error.severity, error.trace_id, error.span_id)
    return (*place, error.exception_type, error.message, error.stack, sorted(error.attributes.items()), error.weight)
