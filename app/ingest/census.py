"""How many records a body holds, and resources and scopes around them, before anything is made of them.

Parsing into objects takes up to 200 times the bytes of a body of empty records, and a second for each 300,000 of
them (measured), and no less of empty resources; `app.ingest.otlp` asks here before it parses, of bodies that are large enough to hold too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from app.ingest.signals import Encoding, Signal
from features.errors import BodyTooLarge

__all__ = ["TooManyRecords", "admit_census", "admit_records"]

_Path: TypeAlias = Sequence[tuple[frozenset[int], int]]
"""Numbers of the fields that lead down to what is counted, and what each field counts."""

_RESOURCES, _SCOPES, _RECORD, _DATA, _POINT = map(frozenset[int], ({1}, {2}, {2}, {5, 7, 9, 10, 11}, {1}))
_HOLDERS: _Path = ((_RESOURCES, 1), (_SCOPES, 1))
_RECORDS: _Path = ((_RESOURCES, 0), (_SCOPES, 0), (_RECORD, 1))
_POINTS: _Path = ((_RESOURCES, 0), (_SCOPES, 0), (_RECORD, 0), (_DATA, 0), (_POINT, 1))

_FEWEST_BYTES = 2  # of a record in either encoding

# JSON objects for one record: a span with 14 attributes has 30. Guessed; 33 bytes of text for each is less than SDKs write.
_OBJECTS = 32

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)


class TooManyRecords(BodyTooLarge):
    """A request brings more records than one may; the sender is to make its batches smaller."""


def admit_records(n_records: int, max_records: int) -> None:
    """Refuse a request that brings too many records, whole: which of them to keep is the sender's to say.

    Parameters
    ----------
    n_records : int
        Spans, log records or data points.
    max_records : int
        The bound.

    Raises
    ------
    TooManyRecords
        When there are more.
    """
    if n_records > max_records:
        raise TooManyRecords(f"records in one request must be <= {max_records}, got {n_records}; make the batches smaller")


def admit_census(body: bytes, signal: Signal, encoding: Encoding, max_records: int) -> None:
    """Refuse a body that holds too many records, at the price of hardly more than those that may be.

    What is no OTLP passes; whatever reads it afterwards says so.

    Parameters
    ----------
    body : bytes
        Decompressed.
    signal, encoding
        As for `decode`.
    max_records : int
        Spans, log records, data points, and as many resources and scopes; of JSON 32 objects each, which count as a
        record's own and its attributes'.

    Raises
    ------
    TooManyRecords
        When there are more.

    Examples
    --------
    >>> admit_census(bytes([10, 6, 18, 4, 18, 0, 18, 0]), "traces", "protobuf", 2)
    >>> admit_census(bytes([10, 6, 18, 4, 18, 0, 18, 0]), "traces", "protobuf", 1)
    Traceback (most recent call last):
    app.ingest.census.TooManyRecords: records in one request must be <= 1, got 2; make the batches smaller
    """
    if len(body) <= _FEWEST_BYTES * max_records:
        return
    if encoding == "json":
        n_objects, most = body.count(b"{"), _OBJECTS * max_records
        if n_objects > most:
            raise TooManyRecords(f"JSON objects in one request must be <= {most}, got {n_objects}; make the batches smaller")
        return
    for path in (_HOLDERS, _RECORDS, _POINTS) if signal == "metrics" else (_HOLDERS, _RECORDS):
        admit_records(_count(body, (0, len(body)), path, max_records), max_records)


def _count(body: bytes, span: tuple[int, int], path: _Path, most: int) -> int:
    """Return how many fields of a path there are, or the number above `most` once there are more."""
    position, end = span
    (numbers, counts), rest = path[0], path[1:]
    n = n_groups = 0
    try:
        while position < end and n <= most:
            tag, position = _varint(body, position)
            wire = tag & 7
            if wire == _LENGTH:
                length, position = _varint(body, position)
                if tag >> 3 in numbers and not n_groups:
                    n += counts
                    n += _count(body, (position, min(position + length, end)), rest, most - n) if rest and n <= most else 0
                position += length
            elif wire == _VARINT:
                _, position = _varint(body, position)
            elif wire in {_FIXED64, _FIXED32}:
                position += 8 if wire == _FIXED64 else 4
            elif wire == _GROUP:  # an unknown field, which decoders skip to its end
                n_groups += 1
            elif wire == _END_GROUP and n_groups:
                n_groups -= 1
            else:
                break
    except IndexError:  # cut short; the decoder says so
        pass
    return n


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = body[position]
    if value < 128:  # noqa: PLR2004 - the bit that says more follows
        return value, position + 1
    value &= 127
    shift = 7
    while True:
        position += 1
        byte = body[position]
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128 or shift > 63:  # noqa: PLR2004 - ten bytes at most
            return value, position + 1
