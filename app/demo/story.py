"""What a troubled span or a log record tells: message, exception, stack, time.

The same words go into OTLP bodies (`app.demo.render`) and through the SDK (`app.demo.live`). A failure and its log
record share their salt, so both name the same order, request and milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.demo.attributes import Value, words
from app.demo.loglines import ERROR, INFO, WARN
from app.demo.messages import compose, info
from app.demo.minute import LogLine, Minute
from app.demo.stacks import stack
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from app.demo.traces import DEPEND, ENTRY

__all__ = ["LEVEL_NAMES", "Story", "path_of", "tell_log", "tell_span"]

LEVEL_NAMES = {INFO: "INFO", WARN: "WARN", ERROR: "ERROR"}
"""Severity texts."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of a span or in a log record.

    Parameters
    ----------
    message : str
        Status message or log body.
    time_ns : int
        Since the minute's start.
    failed : bool
        Whether it is a failure, not a handled exception or a warning.
    attributes : Mapping of str to Value
        ``exception.*`` of the event or the log record; empty for none.
    """

    message: str
    time_ns: int
    failed: bool
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])


def _salt(minute: Minute, row: int) -> int:
    return int.from_bytes(minute.span_ids[8 * row : 8 * row + 8], "big") >> 1


def tell_span(minute: Minute, row: int) -> Story:
    """Tell of a span that failed or handled an exception.

    Parameters
    ----------
    minute : Minute
        The minute.
    row : int
        Row of its span table.

    Returns
    -------
    Story
        Without attributes for the share of failures that no event reports.
    """
    spans = minute.spans
    symptom = int(spans.symptom[row])
    story = _tell(minute, row, symptom or int(spans.handled[row]), _salt(minute, row))
    # Guessed: not every library records an exception on the span that fails; the entry's does more often.
    recorded = _salt(minute, row) % 100 < (85 if spans.role[row] == ENTRY else 50)
    if symptom and not recorded:
        return Story(story.message, story.time_ns, True)
    return Story(story.message, story.time_ns, bool(symptom), story.attributes)


def _tell(minute: Minute, row: int, symptom: int, salt: int) -> Story:
    spans = minute.spans
    role, ref, cause = int(spans.role[row]), int(spans.ref[row]), int(spans.cause[row])
    service = int(TOPOLOGY.instance_service[spans.instance[row]])
    status = int(spans.status[cause] if cause >= 0 else spans.status[row])
    found = words(service, ENTRY if role == DEPEND else role, ref, int(spans.ref[cause]) if cause >= 0 else -1, status)
    language = TOPOLOGY.components[service].language
    trouble = compose(symptom, language, _variant(minute, service, symptom, salt), salt, found)
    return Story(
        trouble.message,
        max(int(spans.end_ns[row]) - 100_000, int(spans.start_ns[row])),
        True,
        {
            "exception.type": trouble.type,
            "exception.message": trouble.message,
            "exception.stacktrace": stack(language, found["svc"], found["op"], trouble.type, trouble.message),
        },
    )


def _variant(minute: Minute, service: int, symptom: int, salt: int) -> int:
    # A bug or an outage has one face; what is everyday has many.
    return minute.variants[service] if symptom in _ONE_FACE else salt >> 5


_ONE_FACE = frozenset((int(Symptom.BUG), int(Symptom.FLAP), int(Symptom.OUTAGE)))


def tell_log(minute: Minute, line: LogLine) -> Story:
    """Tell what a log record says.

    Parameters
    ----------
    minute : Minute
        The minute.
    line : LogLine
        One of its log lines.

    Returns
    -------
    Story
        With ``exception.*`` attributes for an error alone.
    """
    if line.span >= 0:
        story = _tell(minute, line.span, line.symptom, _salt(minute, line.span))
        failed = line.severity >= ERROR
        return Story(story.message, line.time_ns, failed, story.attributes if failed else {})
    service = int(TOPOLOGY.instance_service[line.instance])
    operations = TOPOLOGY.operations_of(service)
    operation = operations[line.salt % len(operations)]
    found = words(service, ENTRY, operation, -1, 503)
    if not line.symptom:
        return Story(info(line.salt, found), line.time_ns, False)
    language = TOPOLOGY.components[service].language
    return Story(compose(line.symptom, language, line.salt >> 5, line.salt, found).message, line.time_ns, False)


def path_of(role: int, ref: int, byte: int) -> str | None:
    """Return the path that an entry over HTTP was asked for, with its id filled in, or None.

    Examples
    --------
    >>> path_of(ENTRY, 1, 7), path_of(ENTRY, 5, 7)
    ('/products/1007', None)
    """
    operation = TOPOLOGY.operations[ref] if role == ENTRY else None
    if operation is None or operation.kind != "http":
        return None
    path = operation.name.split()[1]
    return path if "{" not in path else path[: path.index("{")] + str(1000 + byte) + path[path.index("}") + 1 :]
