"""Attributes as text, and which of them an error keeps.

The readers of spans, log records and metrics take OTLP attributes here; what is kept goes into
ErrorRecords, where `features.taxonomy` classifies by it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any, TypeVar

from app.ingest.ids import whole
from app.ingest.shapes import AnyValue, KeyValue

__all__ = [
    "EXCEPTION_MESSAGE",
    "EXCEPTION_STACK",
    "EXCEPTION_TYPE",
    "IMPORTANT",
    "MAX_KEYS",
    "RESOURCE_KEPT",
    "by_importance",
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

_STRUCTURES = frozenset({"array_value", "kvlist_value"})


def text(value: AnyValue | None, depth: int, max_chars: int) -> tuple[str, bool]:
    """Return a value as text, the same for protobuf and JSON, and whether a structure shows less than it holds.

    Parameters
    ----------
    value : AnyValue or None
        A protobuf message or the struct of the same shape.
    depth : int
        How many structures within structures are shown, `Limits.max_attribute_depth`.
    max_chars : int
        How many characters are wanted. Of a structure one more is written at most, so that it is seen that there are more.

    Returns
    -------
    shown : str
        Empty for no value.
    left_out : bool
        Whether structures were too deep, or items too many, in what is shown.

    Raises
    ------
    ValueError
        When a string that should hold a number holds none.

    Examples
    --------
    >>> [text(value, 6, 99)[0] for value in (AnyValue(int_value="42"), AnyValue(double_value="NaN"), AnyValue(bool_value=True))]
    ['42', 'nan', 'true']
    >>> from app.ingest.shapes import ArrayValue
    >>> nested = AnyValue(array_value=ArrayValue([AnyValue(array_value=ArrayValue([]))]))
    >>> text(nested, 2, 99), text(nested, 1, 99), text(nested, 2, 2)
    (('[[]]', False), ('[]', True), ('[[]', False))
    """
    if value is None:
        return "", False
    # Most values are texts, and asking which alternative is set costs more than trying.
    if value.string_value:
        return value.string_value, False
    which = value.WhichOneof("value")
    if which not in _STRUCTURES:
        return _plain(value, which, max_chars), False
    writing = _Writing(max_chars + 1)
    writing.put_value(value, depth)
    return "".join(writing.parts), writing.left_out


def _plain(value: AnyValue, which: str | None, max_chars: int) -> str:
    """Return the text of a value that is no structure."""
    if which is None:
        return ""
    found = getattr(value, which)
    match which:
        case "string_value":
            return found
        case "int_value":
            return str(whole(found))
        case "double_value":
            # A program in JavaScript has no other numbers: some SDKs send its status 503 as a double.
            return repr(float(found)).removesuffix(".0")
        case "bool_value":
            return "true" if found else "false"
        case "bytes_value":
            return found if isinstance(found, str) else b64encode(found[: max_chars + 1]).decode("ascii")
        case _:
            return ""


class _Writing:
    """The text of a structure: all but the first characters are cut, so that no more are written of millions of items."""

    def __init__(self, chars_left: int) -> None:
        self.chars_left = chars_left
        self.parts: list[str] = []
        self.left_out = False

    def put(self, part: str) -> None:
        """Write as much of a text as is wanted."""
        part = part[: self.chars_left]
        self.parts.append(part)
        self.chars_left -= len(part)

    def put_value(self, value: AnyValue | None, depth: int) -> None:
        """Write a value."""
        which = value.WhichOneof("value") if value is not None else None
        if value is None or which is None:
            return
        if which not in _STRUCTURES:
            self.put(_plain(value, which, self.chars_left))
        elif depth <= 0:
            self.left_out = True
        else:
            self.put("[" if which == "array_value" else "{")
            self._put_items(getattr(value, which).values or (), depth - 1, named=which == "kvlist_value")
            self.put("]" if which == "array_value" else "}")

    def _put_items(self, items: Iterable[Any], depth: int, *, named: bool) -> None:
        for n, item in enumerate(items):
            if not self.chars_left:
                break
            if n == _MAX_ITEMS:
                self.left_out = True
                break
            if n:
                self.put(", ")
            if named:
                self.put(f"{item.key or ''}: ")
            self.put_value(item.value if named else item, depth)


def texts(attributes: Iterable[KeyValue] | None, depth: int, max_chars: int) -> dict[str, str]:
    """Return attributes as text by key, as `text` does; the last of equal keys wins."""
    return {attribute.key or "": text(attribute.value, depth, max_chars)[0] for attribute in attributes or ()}


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
    >>> list(found), text(found["a"], 1, 99)
    (['a', 'b'], ('2', False))
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
