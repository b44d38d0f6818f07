"""Attributes as text, and which of them an error keeps.

The readers of spans, log records and metrics take OTLP attributes here; what is kept goes into
ErrorRecords, where `features.taxonomy` classifies by it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from app.ingest.shapes import AnyValue, KeyValue

__all__ = [
    "EXCEPTION_MESSAGE",
    "EXCEPTION_STACK",
    "EXCEPTION_TYPE",
    "IMPORTANT",
    "MAX_KEYS",
    "RESOURCE_KEPT",
    "by_importance",
    "leaves_out",
    "merge",
    "number",
    "text",
    "texts",
]

EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACK = "exception.stacktrace"

IMPORTANT = (
    "error.type",
    "span.kind",
    "http.response.status_code",
    "http.status_code",
    "rpc.response.status_code",
    "rpc.status_code",
    "rpc.grpc.status_code",
    "rpc.connect_rpc.error_code",
    "rpc.jsonrpc.error_code",
    "db.response.status_code",
    "db.system.name",
    "db.system",
    "messaging.system",
    "rpc.system.name",
    "rpc.system",
    "http.request.method",
    "http.method",
    "http.route",
    "url.path",
    "url.full",
    "http.target",
    "rpc.service",
    "rpc.method",
    "db.operation.name",
    "db.operation",
    "messaging.destination.name",
    "messaging.operation.type",
    "messaging.operation",
    "peer.service",
    "server.address",
    "server.port",
    "net.peer.name",
    "client.address",
    "network.protocol.name",
    "faas.name",
    "service.version",
    "service.instance.id",
    "k8s.pod.name",
    "k8s.node.name",
    "host.name",
    "thread.name",
    "code.function.name",
    "code.function",
    "code.namespace",
    "exception.escaped",
    "feature_flag.key",
    "event.name",
)
"""Keys of attributes that say what kind of failure it was, the most telling first."""

MAX_KEYS = 1024
"""Distinct keys that are looked at for one error; the specification has SDKs keep 128 of a span and 128 of an event."""

T = TypeVar("T")

_RANK = {key: rank for rank, key in enumerate(IMPORTANT)}

RESOURCE_KEPT = frozenset({"service.version", "service.instance.id", "k8s.pod.name", "k8s.node.name", "host.name", "faas.name"})
"""Attributes of the resource that an error keeps beside its own."""

# An attribute that holds a structure says little about the kind of a failure; this bound and the depth keep its
# text readable and its cost small. Guessed.
_MAX_ITEMS = 32


def text(value: AnyValue | None, depth: int) -> str:
    """Return a value as text, the same for protobuf and JSON.

    Parameters
    ----------
    value : AnyValue or None
        A protobuf message or the struct of the same shape.
    depth : int
        How many structures within structures are shown, `Limits.max_attribute_depth`.

    Returns
    -------
    str
        Empty for no value.

    Raises
    ------
    ValueError
        When a string that should hold a number holds none.

    Examples
    --------
    >>> text(AnyValue(int_value="42"), 6), text(AnyValue(double_value="NaN"), 6), text(AnyValue(bool_value=True), 6)
    ('42', 'nan', 'true')
    """
    if value is None:
        return ""
    # Most values are texts, and asking which alternative is set costs more than trying.
    if value.string_value:
        return value.string_value
    which = value.WhichOneof("value")
    if which is None:
        return ""
    found = getattr(value, which)
    match which:
        case "string_value":
            return found
        case "int_value":
            return str(int(found))
        case "double_value":
            # A program in JavaScript has no other numbers: some SDKs send its status 503 as a double.
            return repr(float(found)).removesuffix(".0")
        case "bool_value":
            return "true" if found else "false"
        case "bytes_value":
            return found if isinstance(found, str) else b64encode(found).decode("ascii")
        case "array_value" if depth > 0:
            return "[" + ", ".join(text(item, depth - 1) for item in islice(found.values or (), _MAX_ITEMS)) + "]"
        case "kvlist_value" if depth > 0:
            pairs = islice(found.values or (), _MAX_ITEMS)
            return "{" + ", ".join(f"{pair.key or ''}: {text(pair.value, depth - 1)}" for pair in pairs) + "}"
        case _:
            return ""


def leaves_out(value: AnyValue | None, depth: int) -> bool:
    """Return whether the text of a value shows less than it holds: structures too deep, or items too many.

    Examples
    --------
    >>> from app.ingest.shapes import ArrayValue
    >>> nested = AnyValue(array_value=ArrayValue([AnyValue(array_value=ArrayValue([]))]))
    >>> leaves_out(nested, 2), leaves_out(nested, 1)
    (False, True)
    """
    which = value.WhichOneof("value") if value is not None else None
    if which not in {"array_value", "kvlist_value"}:
        return False
    if depth <= 0:
        return True
    items = getattr(value, which).values or ()
    if len(items) > _MAX_ITEMS:
        return True
    return any(leaves_out(item if which == "array_value" else item.value, depth - 1) for item in items)


def texts(attributes: Iterable[KeyValue] | None, depth: int) -> dict[str, str]:
    """Return attributes as text by key; the last of equal keys wins."""
    return {attribute.key or "": text(attribute.value, depth) for attribute in attributes or ()}


def merge(found: dict[str, AnyValue | None], attributes: Iterable[KeyValue] | None) -> int:
    """Add attributes by key, the last of equal keys in the place of the first, and return how many were one too many.

    Parameters
    ----------
    found : dict of str to AnyValue
        What there is already; takes new keys up to `MAX_KEYS`.
    attributes : iterable of KeyValue
        Protobuf messages or structs of their shape.

    Examples
    --------
    >>> found = {}
    >>> merge(found, [KeyValue("a", AnyValue(int_value=1)), KeyValue("b"), KeyValue("a", AnyValue(int_value=2))])
    0
    >>> list(found), text(found["a"], 1)
    (['a', 'b'], '2')
    """
    n_dropped = 0
    for attribute in attributes or ():
        key = attribute.key or ""
        if len(found) < MAX_KEYS or key in found:
            found[key] = attribute.value
        else:
            n_dropped += 1
    return n_dropped


def number(value: str | None) -> int:
    """Return the whole number of an attribute's text, 0 when it is none.

    Examples
    --------
    >>> number("503"), number("503.0"), number("OK"), number(None)
    (503, 0, 0, 0)
    """
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else 0  # noqa: PLR2004 - a status


def by_importance(attributes: dict[str, T]) -> list[tuple[str, T]]:
    """Return attributes with those first that say what kind of failure it was, the others in their order.

    Examples
    --------
    >>> by_importance({"custom": "1", "http.route": "/", "error.type": "timeout"})
    [('error.type', 'timeout'), ('http.route', '/'), ('custom', '1')]
    """
    last = len(_RANK)
    return sorted(attributes.items(), key=lambda item: _RANK.get(item[0], last))
