"""Ids and times of OTLP records as bytes and integers, the same for protobuf and JSON.

Used by the readers of `app.ingest`; what is no valid id or time is counted and treated as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import numpy as np

from app.ingest.shapes import Int64
from features.arrays import UInt64Array

__all__ = ["INVALID_TIME", "NO_SPAN", "NO_TRACE", "Ids", "SentId", "time_ns", "trace_hash", "whole"]

INVALID_TIME = -1
"""Stands for a time outside ``[0, 2**63)``, so that arithmetic on it stays within 64 bits."""

NO_SPAN, NO_TRACE = bytes(8), bytes(16)
"""Ids of zeros, which stand for none."""

SentId: TypeAlias = str | bytes | None
"""An id as sent: hexadecimal text in JSON, bytes in protobuf."""

_NO_ID = b"\0"  # a length that no id has

_END = 2**63
_SHOWN = 100


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
        self.from_hex = from_hex
        self._read = cast("Callable[[SentId], bytes]", _bytes_of_hex if from_hex else bytes)

    def span(self, value: SentId) -> bytes:
        """Return a span id of 8 bytes, empty when there is none."""
        return self._checked(self._read(value), NO_SPAN)

    def trace(self, value: SentId) -> bytes:
        """Return a trace id of 16 bytes, empty when there is none."""
        return self._checked(self._read(value), NO_TRACE)

    def column(self, values: Sequence[SentId], none: bytes) -> UInt64Array:  # (n, len(none) / 8)
        """Return ids as big-endian words, zeros where there is none.

        Parameters
        ----------
        values : sequence
            As sent.
        none : bytes
            `NO_SPAN` or `NO_TRACE`.

        Examples
        --------
        >>> Ids(Counter(), from_hex=True).column(["00f067aa0ba902b7", None, "xyz"], NO_SPAN).tolist()
        [[67667974448284343], [0], [0]]
        """
        joined = self._joined(values, len(none))
        if joined is None:
            joined = b"".join(self._checked(self._read(value), none) or none for value in values)
        return np.frombuffer(joined, ">u8").astype(np.uint64).reshape(len(values), len(none) // 8)

    def _joined(self, values: Sequence[SentId], n_bytes: int) -> bytes | None:
        """Return the ids as one, None unless all are complete; far faster than one by one."""
        if not self.from_hex:
            return (
                b"".join(cast("Sequence[bytes]", values))
                if set(map(len, cast("Sequence[bytes]", values))) <= {n_bytes}
                else None
            )
        if not all(value and len(value) == 2 * n_bytes for value in values):
            return None
        joined = _bytes_of_hex("".join(cast("Sequence[str]", values)))
        return joined if len(joined) == n_bytes * len(values) else None

    def check_span(self, value: SentId) -> None:
        """Count a span id that is invalid and needed for nothing else."""
        if not self.from_hex and value is not None and len(value) == len(NO_SPAN):
            return
        self.span(value)

    def trace_text(self, value: SentId) -> str:
        """Return a trace id as lower-case hexadecimal, empty when there is none; one that is invalid is not counted."""
        return _text(self._read(value), NO_TRACE)

    def span_text(self, value: SentId) -> str:
        """Return a span id as lower-case hexadecimal, empty when there is none; one that is invalid is not counted."""
        return _text(self._read(value), NO_SPAN)

    def _checked(self, value: bytes, none: bytes) -> bytes:
        if len(value) == len(none):
            return b"" if value == none else value
        if value:
            self._counters["ids_invalid"] += 1
        return b""


def _bytes_of_hex(value: str | None) -> bytes:
    if not value:
        return b""
    try:
        found = bytes.fromhex(value)
    except ValueError:
        return _NO_ID
    return found if 2 * len(found) == len(value) else _NO_ID  # fromhex skips spaces


def trace_hash(trace_id: bytes) -> int:
    """Return the 64-bit hash of a trace id: its first 8 bytes XOR its second 8 bytes.

    Examples
    --------
    >>> hex(trace_hash(bytes.fromhex("00000000000000ff000000000000000f")))
    '0xf0'
    """
    return int.from_bytes(trace_id[:8], "big") ^ int.from_bytes(trace_id[8:], "big")


def _text(value: bytes, none: bytes) -> str:
    return value.hex() if len(value) == len(none) and value != none else ""


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
    if isinstance(value, str) and value.isdigit() and value.isascii():  # the rule in JSON, so without another call
        number = int(value)
    else:
        number = value if isinstance(value, int) else whole(value)
    return number if 0 <= number < _END else INVALID_TIME


def whole(value: Int64) -> int:
    """Return a whole number of 64 bits as it came in JSON.

    Raises
    ------
    ValueError
        When the text is no decimal number; of what Python takes, "1_0", " 5 " and the digits of other scripts are none.

    Examples
    --------
    >>> whole("-5"), whole(5.0), whole(None)
    (-5, 5, 0)
    """
    if not isinstance(value, str):
        return int(value or 0)
    # Looked at here and not by a pattern of the struct, which would take a quarter of the whole decoding.
    if not (value.isdigit() or (value[:1] == "-" and value[1:].isdigit())) or not value.isascii():
        raise ValueError(f"a whole number must be written in decimal digits, got {value[:_SHOWN]!r}")
    return int(value)
