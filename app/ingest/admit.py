"""What is let in: the content type, the encoding, the tenant, and how many bytes.

`app.ingest.http` and `app.ingest.grpc_server` ask here before a body is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from threading import Lock

from prometheus_client import Gauge
from zlib_ng import zlib_ng

from app.ingest.otlp import Encoding
from features.errors import BodyTooLarge, InvalidValue, MalformedBody, Overloaded

__all__ = ["Hold", "Room", "UnknownContentType", "admit_encoding", "admit_tenant", "inflate"]

_ENCODINGS: dict[str, Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}

_TENANT = re.compile(r"[A-Za-z0-9_.\-]{1,128}")

_GZIP = 31  # zlib's number for a gzip frame with the largest window
_STEP = 64 * 1024
_GROWTH = 256 * 1024  # bytes that come out of a step before they are counted; a step could make 64 MiB

# Each member costs a new window of 40 KB and copies what follows it in a step. bgzip makes 1000 members of a
# body of the default largest size; this allows four times as many.
_MAX_MEMBERS = 4096


class UnknownContentType(InvalidValue):
    """A body is neither protobuf nor JSON by its content type."""


def admit_encoding(content_type: str) -> Encoding:
    """Return how a body is written, by its media type; letters' case and parameters do not matter.

    Parameters
    ----------
    content_type : str
        The header, empty when absent.

    Returns
    -------
    {"protobuf", "json"}

    Raises
    ------
    UnknownContentType
        When it is another one.

    Examples
    --------
    >>> admit_encoding("APPLICATION/JSON; charset=utf-8")
    'json'
    """
    encoding = _ENCODINGS.get(content_type.partition(";")[0].strip().lower())
    if encoding is None:
        raise UnknownContentType(f"content type must be application/x-protobuf or application/json, got {content_type[:100]!r}")
    return encoding


def admit_tenant(tenant: str, default: str) -> str:
    """Return the tenant of a request.

    Parameters
    ----------
    tenant : str
        ``X-Scope-OrgID``, empty when absent.
    default : str
        The tenant of a request without it.

    Raises
    ------
    InvalidValue
        When it is not 1 to 128 letters, digits, ``_``, ``.`` or ``-``.

    Examples
    --------
    >>> admit_tenant("", "default"), admit_tenant("team-a", "default")
    ('default', 'team-a')
    """
    if not tenant:
        return default
    if not _TENANT.fullmatch(tenant):
        raise InvalidValue(f"X-Scope-OrgID must be 1 to 128 letters, digits, '_', '.' or '-', got {tenant[:100]!r}")
    return tenant


def inflate(body: bytes, content_encoding: str, max_bytes: int, grow_to: Callable[[int], None] = lambda _: None) -> bytes:
    """Return a body without its compression.

    Parameters
    ----------
    body : bytes
        As received.
    content_encoding : str
        ``gzip``, ``identity`` or empty.
    max_bytes : int
        The most bytes that may come out; hardly more than that is ever made.
    grow_to : callable
        Told how many bytes have come out, after each quarter of a MiB; what it raises ends the work.

    Raises
    ------
    BodyTooLarge
        When more would come out.
    MalformedBody
        When the encoding is unknown, or the bytes are no gzip, or cut short.

    Examples
    --------
    >>> from gzip import compress
    >>> inflate(compress(b"one ") + compress(b"two"), "gzip", 100)
    b'one two'
    """
    name = content_encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name != "gzip":
        raise MalformedBody(f"content encoding must be gzip or identity, got {content_encoding[:100]!r}")
    parts: list[bytes] = []
    n_bytes = 0
    try:
        for part in _members(memoryview(body)):
            n_bytes += len(part)
            if n_bytes > max_bytes:
                raise BodyTooLarge(f"body must be <= {max_bytes} bytes after decompression, got more")
            grow_to(n_bytes)
            parts.append(part)
    except zlib_ng.error as exc:  # pyright: ignore[reportGeneralTypeIssues] - its stub says Exception, an instance
        raise MalformedBody(f"the body is no gzip: {exc}") from exc
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _members(view: memoryview) -> Iterator[bytes]:
    position = 0
    for _ in range(_MAX_MEMBERS):
        member = zlib_ng.decompressobj(_GZIP)
        while not member.eof:
            piece = view[position : position + _STEP]
            if not piece:
                raise MalformedBody(f"the gzip body ends early, after {len(view)} bytes")
            position += len(piece)
            part = member.decompress(piece, _GROWTH)
            yield part
            while len(part) == _GROWTH and not member.eof:  # there may be more in what was read
                part = member.decompress(member.unconsumed_tail, _GROWTH)
                yield part
        position -= len(member.unused_data)
        if position == len(view):
            return
    raise MalformedBody(f"a gzip body must have at most {_MAX_MEMBERS} members, got more")


class Room:
    """The bytes that all requests hold together, bounded.

    Parameters
    ----------
    max_bytes : int
        The bound.
    gauge : prometheus_client.Gauge
        Shows how many are held.
    """

    def __init__(self, max_bytes: int, gauge: Gauge) -> None:
        self._max_bytes = max_bytes
        self._gauge = gauge
        self._lock = Lock()
        self._held = 0

    @contextmanager
    def hold(self) -> Generator[Hold, None, None]:
        """Give a request its share, which returns when the request ends."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.move(-hold.n_bytes)

    def move(self, n_bytes: int) -> None:
        """Take bytes, or give them back when negative.

        Raises
        ------
        Overloaded
            When the bound would be passed; nothing was taken.
        """
        with self._lock:
            if n_bytes > 0 and self._held + n_bytes > self._max_bytes:
                raise Overloaded(f"bytes in flight must be <= {self._max_bytes}, got {self._held + n_bytes}")
            self._held += n_bytes
            self._gauge.set(self._held)


class Hold:
    """The bytes that one request holds.

    Parameters
    ----------
    room : Room
        Whose bytes they are.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self.n_bytes = 0

    def grow_to(self, n_bytes: int) -> None:
        """Hold at least so many bytes.

        Raises
        ------
        Overloaded
            When there is no room.
        """
        if n_bytes > self.n_bytes:
            self._room.move(n_bytes - self.n_bytes)
            self.n_bytes = n_bytes
