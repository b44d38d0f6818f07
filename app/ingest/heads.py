"""What the head of a request says of its body: whose it is, what it holds and how it is written.

`app.ingest.http` reads it; of heads that say nothing unusual it is remembered, since exporters send the same one
with every request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from app.ingest.admit import UnknownContentType, admit_encoding, admit_tenant
from app.ingest.signals import SIGNALS, Encoding, Signal
from features.errors import InvalidValue
from features.values import hot_value

__all__ = ["SIGNAL_OF", "Head", "encoding_of", "head_of", "ordinary_head", "read_headers", "read_shown"]

SIGNAL_OF: dict[str, Signal] = {f"/v1/{signal}": signal for signal in SIGNALS}
"""The signal that a path takes."""

Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]

_READ = frozenset({b"content-type", b"content-encoding", b"accept-encoding", b"x-scope-orgid"})

# Each may hold as many bytes as a head may have: 64 KiB.
_MAX_HEADS = 64


@hot_value()
class Head:
    """What is known of a request before its body.

    Parameters
    ----------
    tenant : str
        Whose it is.
    signal : {"traces", "logs", "metrics"}
        What it holds.
    encoding : {"protobuf", "json"}
        How that is written.
    content_encoding : str
        How it is compressed, in lower case; may be unknown.
    accept_encoding : str
        How an answer may be compressed.
    """

    tenant: str
    signal: Signal
    encoding: Encoding
    content_encoding: str
    accept_encoding: str


def encoding_of(content_type: str) -> Encoding:
    """Return how an answer is written: as the request, in JSON where that names no encoding of OTLP.

    Examples
    --------
    >>> encoding_of("application/x-protobuf"), encoding_of("text/plain")
    ('protobuf', 'json')
    """
    try:
        return admit_encoding(content_type)
    except UnknownContentType:
        return "json"


def read_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return headers by their name in lower case; values of one that came twice are joined (RFC 9110, 5.3).

    Examples
    --------
    >>> read_headers([(b"accept", b"a"), (b"accept", b"b")])
    {b'accept': 'a, b'}
    """
    headers: dict[bytes, str] = {}
    for name, value in pairs:
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def ordinary_head(path: str, pairs: Iterable[tuple[bytes, bytes]], default_tenant: str) -> Head | None:
    """Return what the head of a POST says, None when anything about it asks for a closer look.

    Parameters
    ----------
    path : str
        Of the request.
    pairs : iterable of (name, value)
        The headers, names in lower case.
    default_tenant : str
        The tenant of a request without ``X-Scope-OrgID``.

    Examples
    --------
    >>> ordinary_head("/v1/logs", [(b"content-type", b"application/json")], "a").encoding
    'json'
    >>> ordinary_head("/v1/logs", [(b"content-type", b"text/plain")], "a")
    """
    if path not in SIGNAL_OF:
        return None
    return _ordinary(path, tuple([pair for pair in pairs if pair[0] in _READ]), default_tenant)


def head_of(signal: Signal, headers: Mapping[bytes, str], default_tenant: str) -> Head:
    """Return what the head of a POST says.

    Raises
    ------
    UnknownContentType
        When the body is neither protobuf nor JSON.
    InvalidValue
        When ``X-Scope-OrgID`` is no name.
    """
    encoding = admit_encoding(headers.get(b"content-type", ""))
    tenant = admit_tenant(headers.get(b"x-scope-orgid", ""), default_tenant)
    content_encoding = headers.get(b"content-encoding", "").strip().lower()
    return Head(tenant, signal, encoding, content_encoding, headers.get(b"accept-encoding", ""))


def read_shown(pairs: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the header ``Authorization``, None when absent; of one that came twice something that shows no token.

    Examples
    --------
    >>> read_shown([(b"authorization", b"Bearer a")]), read_shown([])
    ('Bearer a', None)
    """
    shown = [value for name, value in pairs if name == b"authorization"]
    return ", ".join([value.decode("latin-1") for value in shown]) if shown else None


@lru_cache(_MAX_HEADS)
def _ordinary(path: str, pairs: Pairs, default_tenant: str) -> Head | None:
    headers = read_headers(pairs)
    try:
        return head_of(SIGNAL_OF[path], headers, default_tenant)
    except InvalidValue:
        return None
