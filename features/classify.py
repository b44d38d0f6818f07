"""From an error as it was reported to an ErrorEvent: which kind it is, and which group it belongs to.

`app.flow.absorb` calls `classify_event` for every ErrorRecord of a Batch; ErrorEvents go on to the windows, to
the recent errors and to history. `POST /api/v1/errors:classify` calls `classify` alone.

Evidence is asked in a fixed order, and a specific answer ends it: the user's rules; ``error.type``,
``exception.type``, HTTP, RPC, database and messaging attributes; the message; the root cause that the stack
names. An answer that says where rather than what it was (RuntimeException, IOException, status 500) waits,
and counts only if nothing more specific follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Literal

from features.db_codes import kind_of_db_status
from features.event import ErrorEvent, ErrorRecord, SeverityNumber
from features.exception_types import kind_of_type
from features.fingerprint import Templates, fingerprint
from features.mask import outline, zeroed
from features.messages import MAX_CHARS, kind_alike, kind_of_message, kind_said
from features.rules import DEFAULT, Rules
from features.status_codes import kind_of_http_status, kind_of_rpc_status
from features.taxonomy import UNKNOWN

__all__ = ["Classification", "Evidence", "classify", "classify_event", "kind_of"]

Evidence = Literal["user", "error.type", "exception.type", "http", "rpc", "db", "messaging", "message", "unknown"]
"""What decided."""

_HTTP_STATUS = ("http.response.status_code", "http.status_code")
_RPC_STATUS = (
    "rpc.response.status_code",
    "rpc.status_code",
    "rpc.grpc.status_code",
    "rpc.connect_rpc.error_code",
    "rpc.jsonrpc.error_code",
    "grpc.status_code",
)
_DB_STATUS = ("db.response.status_code", "db.postgresql.state", "db.error_code")
_SERVER_SIDE = ("http.route", "url.path", "http.target", "client.address")
_PUBLISHES = ("send", "publish", "create")
_MESSAGING = ("messaging.system", "messaging.operation.type", "messaging.operation")
# Attributes that are read, and whether their values are.
_VALUED: tuple[str, ...] = (
    "error.type", "exception.type", *_HTTP_STATUS, *_RPC_STATUS, *_DB_STATUS, "db.system.name", "db.system", "span.kind", *_MESSAGING
)  # fmt: skip
_PRESENT: tuple[str, ...] = (*_SERVER_SIDE, "rpc.system", "rpc.system.name")
_READ = frozenset[str]((*_VALUED, *_PRESENT))
_CAUSED_BY = re.compile(r"^(?:Caused by:|\s*---> |\s*\[cause\]:)\s*(?P<type>[\w.$+]{1,200})", re.MULTILINE)
_HEAD = re.compile(r"(?:Exception in thread \"[^\"\n]*\" )?(?P<type>[A-Za-z_][\w.$]{1,200}(?:Exception|Error|Timeout|Fault))\b")
_PYTHON_END = re.compile(r"^(?P<type>[A-Za-z_][\w.]{1,200}): ", re.MULTILINE)
_STACK_CHARS = 20_000
_TELLING_CHARS = 8  # guessed: a shorter message may stand in a stack for another reason
_CODE = re.compile(r"-?\d{1,6}")

_Finding = tuple[Evidence, str, bool, str]  # what answered, kind, whether it is specific, the value


@dataclass(frozen=True, slots=True)
class Classification:
    """What an error is.

    Parameters
    ----------
    kind, category : str
        Of `features.taxonomy` or the user's own kinds.
    retryable, transient : bool
        Whether the same request can succeed later, and whether the cause passes by itself.
    severity : int
        OpenTelemetry severity number that the kind deserves by default.
    by : Evidence
        What decided.
    rule : str
        The value that decided, for a reader: ``exception.type=java.net.UnknownHostException``.
    """

    kind: str
    category: str
    retryable: bool
    transient: bool
    severity: SeverityNumber
    by: Evidence
    rule: str


def classify(record: ErrorRecord, rules: Rules = DEFAULT) -> Classification:
    """Return what an error is.

    Parameters
    ----------
    record : ErrorRecord
        As reported; any text is allowed in it.
    rules : Rules
        The user's rules, asked first.

    Returns
    -------
    Classification
        With kind and category ``unknown`` when nothing tells it apart.

    Examples
    --------
    >>> refused = ErrorRecord("span", "cart", "GET", 0, exception_type="ConnectException", message="Connection refused")
    >>> classify(refused).kind, classify(refused).by
    ('connection_refused', 'message')
    >>> classify(ErrorRecord("span", "cart", "GET", 0, attributes={"http.response.status_code": "429"})).rule
    'http.response.status_code=429'
    """
    own = rules.first(record)
    if own is not None:
        return _classification(rules, own[1], "user", f"rule {own[0]}")
    waiting: _Finding | None = None
    for finding in _findings(record):
        if finding[2]:
            return _classification(rules, finding[1], finding[0], finding[3])
        waiting = waiting or finding
    if waiting is not None:
        return _classification(rules, waiting[1], waiting[0], waiting[3])
    return _classification(rules, UNKNOWN, "unknown", "")


def _classification(rules: Rules, name: str, by: Evidence, rule: str) -> Classification:
    found = rules.kinds[name]
    return Classification(name, found.category, found.retryable, found.transient, found.severity, by, rule[:200])


def _findings(record: ErrorRecord) -> Iterator[_Finding]:
    """Yield every answer, the most trusted first; later ones are only computed when asked for."""
    attributes = record.attributes
    yield from _of_types(record.exception_type, attributes)
    yield from _of_status(attributes)
    if record.message:
        name, words = kind_of_message(record.message)
        if name:
            yield "message", name, True, f"message contains {words!r}"
    if record.stack:
        yield from _of_stack(_without(record.message, record.stack))
    yield from _of_messaging(attributes)


def kind_of(record: ErrorRecord, rules: Rules = DEFAULT) -> str:
    """Return the kind that `classify` does, without saying why; what like records were is remembered.

    Examples
    --------
    >>> kind_of(ErrorRecord("span", "cart", "GET", 0, attributes={"http.response.status_code": "429"}))
    'rate_limited'
    """
    if rules.rules and (own := rules.first(record)) is not None:
        return own[1]
    read, values_in = _reader(tuple(record.attributes))
    sure, guess, last = _told(record.exception_type, read, values_in(record.attributes))
    if not sure and record.message:
        sure = _read(record.message)[0]
    if not sure and record.stack:
        sure, below = _caused(_without(record.message, record.stack))
        guess = guess or below
    return sure or guess or last or UNKNOWN


def _read(message: str) -> tuple[str, tuple[str, tuple[str, ...]]]:
    """Return the kind that a message names, empty where there is none, and its outline."""
    if len(message) > MAX_CHARS or message.lstrip()[:1] == "{":
        return kind_said(message), outline(message)
    kind, shape = _read_alike(zeroed(message))
    return (kind_said(message) if kind is None else kind), shape


@lru_cache(maxsize=4096)
def _read_alike(plain: str) -> tuple[str | None, tuple[str, tuple[str, ...]]]:
    """Return the kind of all messages that differ from this one in digits only, None where it hangs on these."""
    return kind_alike(plain), outline(plain)


@lru_cache(maxsize=4096)
def _reader(names: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Mapping[str, str]], tuple[str, ...]]]:
    """Return which attributes of these are read, and what gets the values; records of one kind have the same names."""
    read = tuple(name for name in names if name in _READ)
    valued = [name for name in read if name in _VALUED]
    return read, itemgetter(*valued, valued[0]) if valued else _no_values  # of one name alone it would get no tuple


def _no_values(_: Mapping[str, str]) -> tuple[str, ...]:
    return ()


@lru_cache(maxsize=4096)
def _told(exception_type: str, read: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, str, str]:
    """Return what types and statuses say for sure and what they hint at, and what is left to say of messaging."""
    attributes = dict.fromkeys(read, "") | dict(zip((name for name in read if name in _VALUED), values, strict=False))
    sure, guess = _first_of(_of_types(exception_type, attributes))
    if not sure:
        sure, below = _first_of(_of_status(attributes))
        guess = guess or below
    return sure, guess, _first_of(_of_messaging(attributes))[1]


@lru_cache(maxsize=2048)
def _caused(stack: str) -> tuple[str, str]:
    return _first_of(_of_stack(stack))


def _first_of(findings: Iterable[_Finding]) -> tuple[str, str]:
    """Return the first specific kind, and the first that is none before it; empty where there is none."""
    guess = ""
    for _, kind, specific, _ in findings:
        if specific:
            return kind, guess
        guess = guess or kind
    return "", guess


def _of_messaging(attributes: Mapping[str, str]) -> Iterator[_Finding]:
    if attributes.get("messaging.system"):
        operation = attributes.get("messaging.operation.type") or attributes.get("messaging.operation", "")
        kind = "pipeline_failed" if operation in _PUBLISHES else "message_failed"
        yield "messaging", kind, False, f"messaging.operation.type={operation}"


def _of_types(exception_type: str, attributes: Mapping[str, str]) -> Iterator[_Finding]:
    error_type = attributes.get("error.type", "")
    if error_type not in ("", "_OTHER", exception_type):
        name, specific = _of_error_type(error_type, attributes)
        if name:
            yield "error.type", name, specific, f"error.type={error_type}"
    exception_type = exception_type or attributes.get("exception.type", "")
    if exception_type:
        name, specific = kind_of_type(exception_type)
        if name:
            yield "exception.type", name, specific, f"exception.type={exception_type}"


def _of_error_type(error_type: str, attributes: Mapping[str, str]) -> tuple[str, bool]:
    """Return what ``error.type`` says, which may be a status as well as a type."""
    if _first(attributes, _DB_STATUS)[1] == error_type or "db.system.name" in attributes:
        name, specific = kind_of_db_status(error_type, _db_system(attributes))
        if name:
            return name, specific
    if _CODE.fullmatch(error_type):
        if "rpc.system" in attributes or "rpc.system.name" in attributes:
            return kind_of_rpc_status(error_type)
        return kind_of_http_status(error_type, client=_asked(attributes))
    name, specific = kind_of_rpc_status(error_type) if error_type.isupper() else ("", False)
    return (name, specific) if name else kind_of_type(error_type)


def _of_status(attributes: Mapping[str, str]) -> Iterator[_Finding]:
    where, status = _first(attributes, _DB_STATUS)
    if status:
        name, specific = kind_of_db_status(status, _db_system(attributes))
        if name:
            yield "db", name, specific, f"{where}={status}"
    where, status = _first(attributes, _RPC_STATUS)
    if status:
        name, specific = kind_of_rpc_status(status)
        if name:
            yield "rpc", name, specific, f"{where}={status}"
    where, status = _first(attributes, _HTTP_STATUS)
    if status:
        name, specific = kind_of_http_status(status, client=_asked(attributes))
        if name:
            yield "http", name, specific, f"{where}={status}"


def _of_stack(stack: str) -> Iterator[_Finding]:
    """Yield what the root cause in a stack trace says, innermost first, and then its head."""
    text = stack[:_STACK_CHARS]
    causes = [match["type"] for match in _CAUSED_BY.finditer(text)][::-1]
    if text.startswith("Traceback"):
        causes += [match["type"] for match in _PYTHON_END.finditer(text)][-1:]
    elif head := _HEAD.match(text):
        causes.append(head["type"])
    for cause in causes:
        name, specific = kind_of_type(cause)
        if name:
            yield "exception.type", name, specific, f"stack names {cause}"


def _first(attributes: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    for name in names:
        if value := attributes.get(name):
            return name, value
    return "", ""


def _db_system(attributes: Mapping[str, str]) -> str:
    return attributes.get("db.system.name") or attributes.get("db.system", "")


def _asked(attributes: Mapping[str, str]) -> bool:
    """Return whether the record is a caller's: its attributes name a whole URL or a peer, and no route of its own."""
    kind = attributes.get("span.kind", "").lower()
    return kind == "client" if kind else not any(name in attributes for name in _SERVER_SIDE)


def _without(message: str, stack: str) -> str:
    """Return a stack without the message that its header repeats, so that stacks of like errors are equal."""
    return stack.replace(f": {message}", ":", 1) if len(message) >= _TELLING_CHARS else stack


def classify_event(
    record: ErrorRecord, *, tenant: str, time: datetime, received_at: datetime, templates: Templates, rules: Rules = DEFAULT
) -> ErrorEvent:
    """Classify a record, learn its template and name its group.

    Parameters
    ----------
    record : ErrorRecord
        As reported.
    tenant : str
        Whose error it is.
    time, received_at : datetime
        Aware UTC; `time` with impossible ones replaced.
    templates : Templates
        The store of the tenant and partition; it learns the message.
    rules : Rules
        The user's rules.

    Returns
    -------
    ErrorEvent
        Its severity is a log record's own, and for a span the kind's default but at least 17.

    Examples
    --------
    >>> from datetime import UTC
    >>> now, templates = datetime(2026, 1, 1, tzinfo=UTC), Templates()
    >>> records = [ErrorRecord("log", "cart", "*", 0, message=f"disk full on node {n}") for n in (1, 2)]
    >>> one, two = (classify_event(r, tenant="default", time=now, received_at=now, templates=templates) for r in records)
    >>> one.kind, one.fingerprint == two.fingerprint
    ('disk_full', True)
    """
    name = kind_of(record, rules)
    kind = rules.kinds[name]
    key = templates.learn(*_read(record.message)[1])
    return ErrorEvent(
        time,
        received_at,
        tenant,
        record.service,
        record.operation,
        kind.category,
        name,
        record.severity if record.source == "log" else max(kind.severity, 17),
        kind.retryable,
        kind.transient,
        fingerprint(record.service, name, record.exception_type, key, _without(record.message, record.stack)),
        record.trace_id,
        record.span_id,
        record.exception_type,
        record.message,
        record.stack,
        record.attributes,
        record.weight,
    )
