"""Reads spans: traffic of entry spans, failures, calls to named peers, and the ends that join caller and callee.

`app.ingest.otlp.decode` hands over a protobuf message or the struct of the same shape.
"""

from __future__ import annotations

from app.ingest.attributes import EXCEPTION_MESSAGE, EXCEPTION_STACK, EXCEPTION_TYPE, number, text, texts
from app.ingest.ids import INVALID_TIME, time_ns
from app.ingest.sampling import weight_of
from app.ingest.shapes import Span, TracesRequest
from app.ingest.tally import CALLEE, CALLER, Source, Tally
from app.ingest.traffic import REFUSED, operation_name
from features.batch import channel
from features.event import ErrorRecord

__all__ = ["read_spans"]

_FAILED, _SERVER_ERRORS, _ERRORS = channel("failed"), channel("server_errors"), channel("errors")
_HANDLED, _INNER, _SERVED = channel("handled"), channel("inner"), channel("served")

# Numbers of opentelemetry.proto.trace.v1.
_SERVER, _CLIENT, _PRODUCER, _CONSUMER = 2, 3, 4, 5
_STATUS_ERROR = 2
_CALLEE_KINDS = frozenset({_SERVER, _CONSUMER})
_CALLER_KINDS = frozenset({_CLIENT, _PRODUCER})

_HTTP_STATUS = frozenset({"http.response.status_code", "http.status_code"})
# A guess: longer than any request or job, short enough that a broken clock adds no more than a day to a window.
_MAX_DURATION_NS = 86_400 * 10**9
_PEERS = ("peer.service", "server.address", "net.peer.name", "rpc.service", "messaging.destination.name")
_PEER_SET = frozenset(_PEERS)


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
    for resource_spans in request.resource_spans or ():
        source = tally.source(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans or ():
            for span in scope_spans.spans or ():
                _read(span, source, tally)


def _read(span: Span, source: Source, tally: Tally) -> None:  # noqa: PLR0912 - a branch for each kind of span
    traffic, kind = tally.traffic, span.kind
    parent = tally.ids.span(span.parent_span_id)
    start, end = time_ns(span.start_time_unix_nano), time_ns(span.end_time_unix_nano)
    # The root of a trace is where work enters a service, whatever its kind: a cron job, a batch, a browser.
    entry = kind in _CALLEE_KINDS or not parent
    name = span.name or ""
    group = traffic.operation(source.service, name, end) if entry else traffic.whole(source.service, end)
    if group == REFUSED:
        tally.refuse()
        return
    tally.accept(1)
    if INVALID_TIME in (start, end):
        tally.counters["times_invalid"] += 1
    weight = weight_of(span.trace_state, tally.counters) if span.trace_state else 1.0
    status = span.status
    server_error = kind == _SERVER and _answered_5xx(span)
    failing = server_error or (status is not None and status.code == _STATUS_ERROR)
    if entry:
        traffic.timed(group, _duration_ns(start, end, tally), weight)
        if kind == _SERVER:
            traffic.mark(group, _SERVED, weight)
        if failing:
            traffic.mark(group, _FAILED, weight)
        if server_error:
            traffic.mark(group, _SERVER_ERRORS, weight)
    else:
        traffic.mark(group, _INNER, weight)
    trace_id, span_id = tally.ids.trace(span.trace_id), tally.ids.span(span.span_id)
    if trace_id:
        _meet(kind, (trace_id, parent, span_id), source, tally)
    if kind in _CALLER_KINDS:
        peer = _peer(span, tally.limits.max_attribute_depth)
        if peer:
            tally.call(source.service, peer, weight, failed=failing)
    if failing:
        traffic.mark(group, _ERRORS, weight)
        _fail(span, (trace_id, span_id, end, weight), source, tally)
    else:
        for event in span.events or ():
            if event.name == "exception":
                traffic.mark(group, _HANDLED, weight)


def _duration_ns(start: int, end: int, tally: Tally) -> int:
    if 0 < start <= end <= start + _MAX_DURATION_NS:
        return end - start
    # Without both times, backwards, or by a broken clock, nothing is known of how long it took; the shortest is the
    # quietest guess.
    tally.counters["durations_invalid"] += 1
    return 0


def _answered_5xx(span: Span) -> bool:
    for attribute in span.attributes or ():
        if attribute.key in _HTTP_STATUS:
            # A status is no structure.
            return 500 <= number(text(attribute.value, 0)) < 600  # noqa: PLR2004 - RFC 9110: server errors
    return False


def _meet(kind: int | None, ids: tuple[bytes, bytes, bytes], source: Source, tally: Tally) -> None:
    """Note the span id under which the two ends of a call meet: the callee's parent, the caller's own."""
    trace_id, parent, span_id = ids
    if kind in _CALLEE_KINDS:
        if parent:
            tally.end(trace_id, parent, source.service, CALLEE)
    elif span_id:
        # Without an instrumented client library the caller of a server is an internal span.
        tally.end(trace_id, span_id, source.service, CALLER)


def _peer(span: Span, depth: int) -> str:
    found = {attribute.key: attribute.value for attribute in span.attributes or () if attribute.key in _PEER_SET}
    if found:
        for key in _PEERS:
            peer = text(found.get(key), depth)
            if peer:
                return peer
    return ""


def _fail(span: Span, found: tuple[bytes, bytes, int, float], source: Source, tally: Tally) -> None:
    trace_id, span_id, end, weight = found
    if trace_id:
        tally.error_trace(trace_id)
    if not tally.room_for_error():
        return
    depth = tally.limits.max_attribute_depth
    attributes = source.kept | texts(span.attributes, depth)
    for event in span.events or ():
        if event.name == "exception":
            # The last exception is the one that left the span.
            attributes |= texts(event.attributes, depth)
    exception_type, stack = attributes.pop(EXCEPTION_TYPE, ""), attributes.pop(EXCEPTION_STACK, "")
    message = attributes.pop(EXCEPTION_MESSAGE, "") or (span.status.message if span.status is not None else "") or ""
    tally.error(
        ErrorRecord(
            source="span",
            service=source.service,
            operation=operation_name(span.name or "", tally.limits.max_name_chars),
            time_ns=end,
            trace_id=trace_id.hex(),
            span_id=span_id.hex(),
            exception_type=exception_type,
            message=message,
            stack=stack,
            attributes=attributes,
            weight=weight,
        )
    )
