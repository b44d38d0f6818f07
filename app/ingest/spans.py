"""Reads spans: traffic of entry spans, failures, calls to named peers, and the ends that join caller and callee.

`app.ingest.otlp.decode` hands over a protobuf message or the struct of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter, methodcaller
from typing import TypeAlias, cast

from app.ingest.attributes import number, text
from app.ingest.ids import NO_SPAN, Ids, SentId, time_ns
from app.ingest.rows import MAX_DURATION_NS
from app.ingest.sampling import weight_of
from app.ingest.shapes import Span, TracesRequest
from app.ingest.tally import Source, Tally
from app.ingest.traffic import CALLEE, ENTRY, FAILED, N_FLAGS, REFUSED, SERVED, SERVER_ERROR, operation_name
from features.batch import channel
from features.event import ErrorRecord

__all__ = ["read_spans"]

_HANDLED = channel("handled")

# Numbers of opentelemetry.proto.trace.v1.
_SERVER, _CLIENT, _PRODUCER, _CONSUMER = 2, 3, 4, 5
_FLAGS: dict[float | None, int] = {_SERVER: CALLEE | SERVED, _CONSUMER: CALLEE}
_CALLER_KINDS = frozenset({_CLIENT, _PRODUCER})
_STATUS_ERROR = 2
_MAX_TIME = 2**63 - 1
_SPAN_BYTES = len(NO_SPAN)

_STATUS_CHARS = 9  # as many as `number` reads
_HTTP_STATUS = frozenset({"http.response.status_code", "http.status_code"})
_PEERS = ("peer.service", "server.address", "net.peer.name", "rpc.service", "messaging.destination.name")
_PEER_SET = frozenset(_PEERS)

_Fields: TypeAlias = tuple[float | None, bytes, int, int, SentId, SentId, str | None]
"""Kind, parent, start, end, trace id, span id, trace state; the last three as sent."""

_fields_of_message = cast(
    "Callable[[Span], _Fields]",
    attrgetter("kind", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano", "trace_id", "span_id", "trace_state"),
)
_has_status = cast("Callable[[Span], object]", methodcaller("HasField", "status"))
_status = cast("Callable[[Span], object]", attrgetter("status"))


def read_spans(request: TracesRequest, tally: Tally) -> None:
    """Count every span of a request.

    Parameters
    ----------
    request : TracesRequest
        A protobuf ExportTraceServiceRequest, or the struct of its shape.
    tally : Tally
        Where it is counted.

    Raises
    ------
    ValueError
        When a text that should hold a number holds none.
    """
    if tally.ids.from_hex:
        # A message makes the object of a status that it does not hold, so it is asked first.
        fields_of, status_of = partial(_fields_of_struct, tally.ids), _status
    else:
        fields_of, status_of = _fields_of_message, _has_status
    for resource_spans in request.resource_spans or ():
        source = tally.source(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans or ():
            spans = scope_spans.spans or ()
            _read(zip(spans, map(fields_of, spans), map(status_of, spans), strict=True), source, tally)


def _fields_of_struct(ids: Ids, span: Span) -> _Fields:
    parent = ids.span(span.parent_span_id)
    start, end = time_ns(span.start_time_unix_nano), time_ns(span.end_time_unix_nano)
    return span.kind, parent, start, end, span.trace_id, span.span_id, span.trace_state


def _read(found: Iterable[tuple[Span, _Fields, object]], source: Source, tally: Tally) -> None:  # noqa: PLR0912 - hot
    # Hot: half of what a request costs is spent here. What every span needs comes as a tuple made in C, what can wait
    # for NumPy becomes a row, and a status, an attribute or an event, costly objects all, is touched only where it counts.
    service, traffic, tick_ns = source.service, tally.traffic, tally.limits.tick_s * 10**9
    rows, known = tally.rows, traffic.known(service)
    from_hex, places, traces, meetings = tally.ids.from_hex, rows.places, rows.traces, rows.meetings
    for span, (kind, parent, start, end, trace_id, span_id, trace_state), has_status in found:
        if parent and (len(parent) != _SPAN_BYTES or parent == NO_SPAN):
            parent = tally.ids.span(parent)  # noqa: PLW2901 - what is no id is none
        if start > _MAX_TIME or end > _MAX_TIME:
            start, end = time_ns(start), time_ns(end)  # noqa: PLW2901 - what is no time is marked
        flags = _FLAGS.get(kind, 0)
        # The root of a trace is where work enters a service, whatever its kind: a cron job, a batch, a browser.
        name = span.name or "" if flags or not parent else None
        group = known.get((name, end // tick_ns))
        if group is None:
            group = traffic.group(service, name, end)
            if group == REFUSED:
                tally.refuse()
                continue
        weight = weight_of(trace_state, tally.counters) if trace_state else 1.0
        if has_status and (status := span.status) is not None and status.code == _STATUS_ERROR:
            flags |= FAILED
        if kind == _SERVER:
            if _answered_5xx(span):
                flags |= SERVER_ERROR | FAILED
        elif kind in _CALLER_KINDS:
            peer = _peer(span, tally)
            if peer:
                tally.call(service, peer, weight, failed=flags & FAILED != 0)
        if flags & CALLEE:
            tally.ids.check_span(span_id)
            # Both ends meet under the span id of the caller.
            span_id = (parent or NO_SPAN).hex() if from_hex else parent or NO_SPAN  # noqa: PLW2901
        if name is not None:
            flags |= ENTRY
            rows.entries.append(len(places))
            rows.durations_ns.append(_duration_ns(start, end, tally))
        if weight != 1.0:
            rows.weights[len(places)] = weight
        if start < 0 or end < 0:
            tally.counters["times_invalid"] += 1
        places.append(group * N_FLAGS + flags)
        traces.append(trace_id)
        meetings.append(span_id)
        if flags & FAILED:
            _fail(span, end, weight, source, tally)
        elif span.events:
            traffic.mark(group, _HANDLED, weight * sum(event.name == "exception" for event in span.events))
    rows.belong(service)


def _duration_ns(start: int, end: int, tally: Tally) -> int:
    if 0 < start <= end <= start + MAX_DURATION_NS:
        return end - start
    # Without both times, backwards, or by a broken clock, nothing is known of how long it took; the shortest is the
    # quietest guess.
    tally.counters["durations_invalid"] += 1
    return 0


def _answered_5xx(span: Span) -> bool:
    for attribute in span.attributes or ():
        if attribute.key in _HTTP_STATUS:
            value = attribute.value
            status = value.int_value if value is not None else None
            # A whole number is the rule and needs no text; a status is no structure, so no depth.
            if not isinstance(status, int) or not status:
                status = number(text(value, 0, _STATUS_CHARS)[0])
            return 500 <= status < 600  # noqa: PLR2004 - RFC 9110: server errors
    return False


def _peer(span: Span, tally: Tally) -> str:
    found = {attribute.key: attribute.value for attribute in span.attributes or () if attribute.key in _PEER_SET}
    for key in _PEERS if found else ():
        if key in found and (peer := tally.text(found[key], tally.limits.max_name_chars)):
            return peer
    return ""


def _fail(span: Span, end: int, weight: float, source: Source, tally: Tally) -> None:
    if not tally.room_for_error():
        return
    # The last exception is the one that left the span.
    exceptions = (event.attributes for event in span.events or () if event.name == "exception")
    tally.error(
        ErrorRecord(
            source="span",
            service=source.service,
            operation=operation_name(span.name or "", tally.limits.max_name_chars),
            time_ns=end,
            trace_id=tally.ids.trace_text(span.trace_id),
            span_id=tally.ids.span_text(span.span_id),
            message=(span.status.message if span.status is not None else "") or "",
            weight=weight,
        ),
        tally.attributes(source, span.attributes, *exceptions),
    )
