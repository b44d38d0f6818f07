"""Takes the compression off a body, whatever its bytes, and never makes more than a bound of them.

`app.ingest.http` names the content encoding; `app.ingest.grpc_server` hands messages over as they came.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from zlib_ng import zlib_ng

from features.errors import BodyTooLarge, MalformedBody

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

__all__ = ["CONTENT_ENCODINGS", "InflatedTooLarge", "expected_bytes", "inflate"]

# zlib's numbers for frames with the largest window: 16 more is gzip, below zero is no frame at all.
_GZIP, _ZLIB, _RAW = 31, 15, -15
_STEP = 64 * 1024
_GROWTH = 256 * 1024  # bytes that come out of a step before they are counted; a step could make 64 MiB
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31  # RFC 1950, 2.2: the method in the low bits, and what two bytes are a multiple of

# Each member costs a new window of 40 KB and copies what follows it in a step. bgzip makes 1000 members of a
# body of the default largest size; this allows four times as many.
_MAX_MEMBERS = 4096

# RFC 9659: a sender must not need a window of more than 8 MiB; without a bound a frame could ask for 2 GiB.
_ZSTD: dict[int, int] = {DecompressionParameter.window_log_max: 23}

_GZIP_NAMES = ("gzip", "x-gzip")
_ZLIB_NAMES = ("deflate", "zlib")

CONTENT_ENCODINGS = ("gzip", "x-gzip", "zstd", "deflate", "zlib", "identity")
"""What a body may be encoded with; `x-gzip` and `zlib` are other names of `gzip` and `deflate`."""


class InflatedTooLarge(BodyTooLarge):
    """More came out of a compressed body than may."""


class _Member(Protocol):
    """One frame on its way out, as zlib and zstd have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def inflate(body: bytes, content_encoding: str, max_bytes: int, grow_to: Callable[[int], None] = lambda _: None) -> bytes:
    """Return a body without its compression.

    Parameters
    ----------
    body : bytes
        As received.
    content_encoding : str
        One of `CONTENT_ENCODINGS` in any case, or empty. `deflate` is taken with and without the frame that
        RFC 9110 asks for, since senders differ.
    max_bytes : int
        The most bytes that may come out; hardly more than that is ever made.
    grow_to : callable
        Told how many bytes have come out, after each quarter of a MiB; what it raises ends the work.

    Raises
    ------
    InflatedTooLarge
        When more would come out.
    MalformedBody
        When the encoding is unknown or more than one, or the bytes are no such frames, or cut short.

    Examples
    --------
    >>> from gzip import compress
    >>> inflate(compress(b"one ") + compress(b"two"), "gzip", 100)
    b'one two'
    """
    name = content_encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in CONTENT_ENCODINGS:
        known = ", ".join(CONTENT_ENCODINGS)
        raise MalformedBody(f"content encoding must be one of {known}, got {content_encoding[:100]!r}")
    parts: list[bytes] = []
    n_bytes = 0
    try:
        for part in _inflated(memoryview(body), name):
            n_bytes += len(part)
            if n_bytes > max_bytes:
                raise InflatedTooLarge(f"body must be <= {max_bytes} bytes after decompression, got more")
            grow_to(n_bytes)
            parts.append(part)
    except (zlib_ng.error, ZstdError) as exc:  # pyright: ignore[reportGeneralTypeIssues] - zlib_ng's stub says an instance
        raise MalformedBody(f"the body is no {name}: {exc}") from exc
    return parts[0] if len(parts) == 1 else b"".join(parts)


def expected_bytes(body: bytes, content_encoding: str) -> int:
    """Return how many bytes will come out of a body if it tells the truth: what work to expect, no bound.

    gzip says so in its last four bytes (RFC 1952, of its last member). Of others eight times as many are
    expected, as telemetry has it.

    Examples
    --------
    >>> from gzip import compress
    >>> expected_bytes(compress(bytes(5000)), "gzip"), expected_bytes(b"plain", "")
    (5000, 5)
    """
    name = content_encoding.strip().lower()
    if name in _GZIP_NAMES:
        return int.from_bytes(body[-4:], "little")
    return len(body) if name in {"", "identity"} else 8 * len(body)


def _inflated(view: memoryview, name: str) -> Iterator[bytes]:
    if name == "zstd":
        return _members(view, name, _zstd_member)
    if name in _ZLIB_NAMES:
        bits = _ZLIB if _has_zlib_frame(view) else _RAW
        return _members(view, name, lambda steps: _zlib_member(steps, bits), most=1)
    return _members(view, name, lambda steps: _zlib_member(steps, _GZIP))


def _has_zlib_frame(view: memoryview) -> bool:
    head = bytes(view[:2])
    return len(head) == 2 and head[0] & 15 == _ZLIB_METHOD and int.from_bytes(head, "big") % _ZLIB_CHECK == 0  # noqa: PLR2004


class _Steps:
    """A body in steps, so that what follows a member is copied only within its step."""

    def __init__(self, view: memoryview, name: str) -> None:
        self.view, self.name, self.position = view, name, 0

    def __call__(self) -> memoryview:
        piece = self.view[self.position : self.position + _STEP]
        if not piece:
            raise MalformedBody(f"the {self.name} body ends early, after {len(self.view)} bytes")
        self.position += len(piece)
        return piece


def _members(
    view: memoryview, name: str, read: Callable[[_Steps], Iterator[bytes | _Member]], most: int = _MAX_MEMBERS
) -> Iterator[bytes]:
    steps = _Steps(view, name)
    for _ in range(most):
        for part in read(steps):
            if isinstance(part, bytes):
                yield part
            else:
                steps.position -= len(part.unused_data)
        if steps.position == len(view):
            return
    raise MalformedBody(f"a body in {name} must have at most {most} members, got more")


def _zlib_member(steps: _Steps, bits: int) -> Iterator[bytes | _Member]:
    member = zlib_ng.decompressobj(bits)
    while not member.eof:
        part = member.decompress(steps(), _GROWTH)
        yield part
        while len(part) == _GROWTH and not member.eof:  # there may be more in what was read
            part = member.decompress(member.unconsumed_tail, _GROWTH)
            yield part
    yield member


def _zstd_member(steps: _Steps) -> Iterator[bytes | _Member]:
    member = ZstdDecompressor(options=_ZSTD)
    while not member.eof:
        yield member.decompress(steps(), _GROWTH)
        while not member.needs_input and not member.eof:
            yield member.decompress(b"", _GROWTH)
    yield member
