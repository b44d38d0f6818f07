"""Ids and times of OTLP records as bytes and integers, the same for protobuf and JSON.

Used by the readers of `app.ingest`; what is no valid id or time is counted and treated as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import cast

from app.ingest.shapes import Id, Int64

__all__ = ["INVALID_TIME", "Ids", "time_ns", "trace_hash"]

INVALID_TIME = -1
"""Stands for a time outside ``[0, 2**63)``, so that arithmetic on it stays within 64 bits."""

_END = 2**63
_LOW = 2**64 - 1
_NO_SPAN, _NO_TRACE = bytes(8), bytes(16)


class Ids:
    """Reads trace and span ids of one encoding.

    Parameters
    ----------
    counters : Counter of str
        Takes ``ids_invalid``.
    from_hex : bool
        Whether ids come as hexadecimal text (JSON) or as bytes (protobuf).

    Examples
    --------
    >>> counters: Counter[str] = Counter()
    >>> ids = Ids(counters, from_hex=True)
    >>> ids.span("00f067AA0BA902B7").hex(), ids.span("0000000000000000"), ids.span("xyz"), counters["ids_invalid"]
    ('00f067aa0ba902b7', b'', b'', 1)
    """

    def __init__(self, counters: Counter[str], *, from_hex: bool) -> None:
        self._counters = counters
        self._read = cast("Callable[[Id], bytes]", _bytes_of_hex if from_hex else bytes)

    def span(self, value: Id) -> bytes:
        """Return a span id of 8 bytes, empty when there is none."""
        return self._checked(self._read(value), _NO_SPAN)

    def trace(self, value: Id) -> bytes:
        """Return a trace id of 16 bytes, empty when there is none."""
        return self._checked(self._read(value), _NO_TRACE)

    def _checked(self, value: bytes, none: bytes) -> bytes:
        if len(value) == len(none):
            return b"" if value == none else value
        if value:
            self._counters["ids_invalid"] += 1
        return b""


def _bytes_of_hex(value: Id) -> bytes:
    try:
        return bytes.fromhex(value or "")
    except ValueError:
        return b"\0"  # a length that no id has


def trace_hash(trace_id: bytes) -> int:
    """Return the 64-bit hash of a trace id: its first 8 bytes XOR its second 8 bytes.

    Examples
    --------
    >>> hex(trace_hash(bytes.fromhex("00000000000000ff000000000000000f")))
    '0xf0'
    """
    whole = int.from_bytes(trace_id, "big")
    return (whole >> 64) ^ (whole & _LOW)


def time_ns(value: Int64) -> int:
    """Return a time in unix nanoseconds, `INVALID_TIME` outside ``[0, 2**63)``.

    Raises
    ------
    ValueError
        When the text holds no number.

    Examples
    --------
    >>> time_ns(5), time_ns("5"), time_ns(None), time_ns("-6795364578871345152"), time_ns(2**63)
    (5, 5, 0, -1, -1)
    """
    number = value if isinstance(value, int) else int(value or 0)
    return number if 0 <= number < _END else INVALID_TIME
