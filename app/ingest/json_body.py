"""What a JSON body is checked for and mended in before msgspec reads it, called by `app.ingest.otlp`."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["MAX_NESTING", "nests_too_deep", "without_lone_surrogates"]

MAX_NESTING = 100
"""Brackets within brackets, as many as protobuf has messages within messages; a request without structured values has 12."""

_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OTHER = bytes(set(range(256)) - set(b"[{]}"))
_HIGH, _LOW = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][c-fC-F][0-9a-fA-F]{2}"
# Every escape matches, so that a backslash that is escaped itself begins none.
_ESCAPE = re.compile(rb"\\(?:%b\\%b|%b|%b|.)" % (_HIGH, _LOW, _HIGH, _LOW), re.DOTALL)
_LONE_LENGTH = len(rb"\ud83d")


def nests_too_deep(body: bytes) -> bool:
    r"""Return whether brackets nest deeper than `MAX_NESTING`.

    Brackets inside of texts count at first, and are taken out only if that comes to too many. Closing
    brackets in texts can therefore hide some depth, up to what msgspec bounds itself (about 1000, by the
    interpreter's recursion limit): the exact count would cost a third of the whole decoding.

    Examples
    --------
    >>> nests_too_deep(b"[" * 100 + b"]" * 100), nests_too_deep(b"[" * 101), nests_too_deep(b'["' + b"[" * 101 + b'"]')
    (False, True, False)
    """
    if len(body) <= MAX_NESTING or _depth(body) <= MAX_NESTING:
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return _depth(b"".join(unescaped.split(b'"')[::2])) > MAX_NESTING


def _depth(body: bytes) -> int:
    steps = np.frombuffer(body.translate(_STEPS, _OTHER), np.int8)
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def without_lone_surrogates(body: bytes) -> tuple[bytes, int]:
    r"""Return a JSON body with U+FFFD for every escaped half of a surrogate pair, and how many there were.

    JavaScript writes them where it cut a text in the middle of a character, as SDKs do at their own limit on
    attributes; RFC 8259 (8.2) leaves open what they mean, and msgspec refuses them.

    Examples
    --------
    >>> without_lone_surrogates(rb'["\ud83d", "\ud83d\ude00", "\\ud83d"]')
    (b'["\\ufffd", "\\ud83d\\ude00", "\\\\ud83d"]', 1)
    """
    n_lone = 0

    def mended(match: re.Match[bytes]) -> bytes:
        nonlocal n_lone
        if len(match[0]) != _LONE_LENGTH:
            return match[0]
        n_lone += 1
        return rb"\ufffd"

    return _ESCAPE.sub(mended, body), n_lone
