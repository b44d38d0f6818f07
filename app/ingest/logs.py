"""Reads log records: how many, how many warned, and which report a failure.

`app.ingest.otlp.decode` hands over a protobuf message or the struct of the same shape.
"""

from __future__ import annotations

from app.ingest.attributes import EXCEPTION_MESSAGE, EXCEPTION_STACK, EXCEPTION_TYPE
from app.ingest.ids import INVALID_TIME, time_ns
from app.ingest.shapes import AnyValue, LogRecord, LogsRequest
from app.ingest.tally import Source, Tally
from app.ingest.traffic import REFUSED
from features.batch import channel
from features.event import ErrorRecord, SeverityNumber
from features.series import WHOLE

__all__ = ["read_logs", "severity_of"]

_ERRORS, _WARNINGS, _HANDLED, _LOGS = channel("errors"), channel("warnings"), channel("handled"), channel("logs")

_WARN, _ERROR, _HIGHEST = 13, 17, 24

# Words for severities in common logging libraries, with the lowest number of the range they map to
# (OpenTelemetry log data model, appendix B).
_WORDS = {
    "TRACE": 1,
    "FINEST": 1,
    "DEBUG": 5,
    "FINE": 5,
    "INFO": 9,
    "INFORMATION": 9,
    "NOTICE": 10,
    "WARN": 13,
    "WARNING": 13,
    "ERR": 17,
    "ERROR": 17,
    "SEVERE": 17,
    "CRIT": 21,
    "CRITICAL": 21,
    "ALERT": 21,
    "FATAL": 21,
    "EMERG": 21,
    "EMERGENCY": 21,
    "PANIC": 21,
}

_EXCEPTION = frozenset({EXCEPTION_TYPE, EXCEPTION_MESSAGE, EXCEPTION_STACK})
_MESSAGE_KEYS = frozenset({"message", "msg"})


def read_logs(request: LogsRequest, tally: Tally) -> None:
    """Count every log record of a request.

    Parameters
    ----------
    request : LogsRequest
        A protobuf ExportLogsServiceRequest, or the struct of its shape.
    tally : Tally
        Where it is counted.

    Raises
    ------
    ValueError
        When a text that should hold a number holds none.
    """
    for resource_logs in request.resource_logs or ():
        source = tally.source(resource_logs.resource)
        for scope_logs in resource_logs.scope_logs or ():
            for record in scope_logs.log_records or ():
                _read(record, source, tally)


def severity_of(number: int, text: str) -> SeverityNumber:
    """Return the severity number, from the text where the number is unspecified.

    A text with anything beyond ASCII is unknown: no library writes one, and capitals beyond it are another matter
    in C than in Python.

    Examples
    --------
    >>> severity_of(17, ""), severity_of(0, "error"), severity_of(0, "WARN2"), severity_of(0, "?"), severity_of(99, "")
    (17, 17, 13, 0, 24)
    """
    if number > 0:
        return min(number, _HIGHEST)
    return _WORDS.get(text.strip().rstrip("1234").upper(), 0) if text.isascii() else 0


def _read(record: LogRecord, source: Source, tally: Tally) -> None:
    time = time_ns(record.time_unix_nano) or time_ns(record.observed_time_unix_nano)
    traffic = tally.traffic
    group = traffic.group(source.service, None, time)
    if group == REFUSED:
        tally.refuse()
        return
    tally.accept(1)
    if time == INVALID_TIME:
        tally.counters["times_invalid"] += 1
    traffic.mark(group, _LOGS)
    severity = severity_of(int(record.severity_number or 0), record.severity_text or "")
    if severity >= _ERROR:
        traffic.mark(group, _ERRORS)
        _fail(record, time, severity, source, tally)
        return
    if severity >= _WARN:
        traffic.mark(group, _WARNINGS)
    for attribute in record.attributes or ():
        if attribute.key in _EXCEPTION:
            traffic.mark(group, _HANDLED)
            break


def _fail(record: LogRecord, time: int, severity: SeverityNumber, source: Source, tally: Tally) -> None:
    if not tally.room_for_error():
        return
    tally.error(
        ErrorRecord(
            source="log",
            service=source.service,
            operation=WHOLE,
            time_ns=time,
            severity=severity,
            trace_id=tally.ids.trace(record.trace_id).hex(),
            span_id=tally.ids.span(record.span_id).hex(),
            message=_message(record.body, tally),
        ),
        tally.attributes(source, record.attributes),
    )


def _message(body: AnyValue | None, tally: Tally) -> str:
    """Return the text of a body; of a structured one its message, so that equal failures read alike."""
    if body is not None and body.WhichOneof("value") == "kvlist_value" and body.kvlist_value is not None:
        for pair in body.kvlist_value.values or ():
            if pair.key in _MESSAGE_KEYS:
                return tally.text(pair.value, tally.limits.max_attribute_chars)
    return tally.text(body, tally.limits.max_attribute_chars)
