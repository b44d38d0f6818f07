"""The bytes of a log message: a Batch of one partition, or a tick marker.

`app.ingest.receive` packs Batches and the worker's clock packs ticks; both are appended to the durable
log, and `app.worker` unpacks what it reads. The first byte is the version of the layout; the rest is
MessagePack: arrays as little-endian bytes, records by columns, and each stack trace once, since errors that
come together mostly share it. The version before is read too: a log outlives the release that wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.arrays import FloatArray, IntArray, UInt64Array
from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, DurationPoint, Level, Presence
from features.errors import InvalidValue, NewerVersion
from features.event import ErrorRecord
from features.upgrade import with_family
from features.values import hot_value

__all__ = ["READS", "VERSION", "BatchMessage", "Message", "TickMessage", "pack", "unpack"]

VERSION = 3
"""The layout that is written. A release that brings another one reads it and still writes this; the next one writes it
(docs/operations.md, Upgrade): so nodes of two releases can share a log."""

READS = (2, 3)
"""The layouts that are read. In 2 a DurationPoint had no family."""

_NO_VERSION = 32  # from here on a first byte is that of a text, not of a version that is to come


@hot_value()
class BatchMessage:
    """What one request said about one partition, stamped when it was received.

    Parameters
    ----------
    tenant : str
        From ``X-Scope-OrgID``.
    batch_id : str
        Names the request and the partition, so that a request sent twice counts once.
    received_at_ns : int
        Unix nanoseconds, stamped once by the receiver.
    batch : Batch
        The part of the request that belongs to the partition.
    """

    tenant: str
    batch_id: str
    received_at_ns: int
    batch: Batch


@hot_value()
class TickMessage:
    """That time has passed: windows that end by then may close.

    Parameters
    ----------
    tick_s : int
        Unix seconds of the window's end.
    """

    tick_s: int


Message = BatchMessage | TickMessage

_Strings = tuple[str, ...]
_Ints = tuple[int, ...]
_Floats = tuple[float, ...]
_Bools = tuple[bool, ...]

# Columns in the order of the fields, so that `map(ErrorRecord, *columns)` makes the records again.
_Errors = tuple[
    tuple[Literal["span", "log"], ...], _Strings, _Strings, _Ints, _Ints, _Strings, _Strings, _Strings, _Strings, _Ints,
    tuple[dict[str, str], ...], _Floats,
]  # fmt: skip
_Levels = tuple[_Strings, _Strings, _Ints, _Floats]
_Calls = tuple[_Strings, _Strings, _Floats, _Floats]
_Presences = tuple[_Strings, _Strings, _Strings]
_Durations = tuple[
    _Strings, _Strings, _Ints, _Ints, _Ints, _Ints, _Bools, _Bools, _Bools, _Floats, _Floats, tuple[_Floats, ...]
]  # fmt: skip


class _TickWire(msgspec.Struct, array_like=True, tag="tick", frozen=True):
    tick_s: int


_DurationsOf2 = tuple[
    _Strings, _Strings, _Ints, _Ints, _Ints, _Bools, _Bools, _Bools, _Floats, _Floats, tuple[_Floats, ...]
]  # fmt: skip
_D = TypeVar("_D")


class _BatchWire(msgspec.Struct, Generic[_D], array_like=True, tag="batch", frozen=True):
    tenant: str
    batch_id: str
    received_at_ns: int
    signal: str
    n_records: int
    series: tuple[tuple[str, str], ...]
    group_series: bytes
    group_time_s: bytes
    counts: bytes
    histogram: bytes
    errors: _Errors | None
    stacks: tuple[str, ...]  # the errors' column of stacks points into it
    levels: _Levels | None
    calls: _Calls | None
    end_trace: bytes
    end_span: bytes
    end_service: bytes
    end_role: bytes
    services: tuple[str, ...]
    presences: _Presences | None
    durations: _D | None
    counters: dict[str, int]
    rejected: int
    reason: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_TickWire | _BatchWire[_Durations])
_decoder_of_2 = msgspec.msgpack.Decoder(_TickWire | _BatchWire[_DurationsOf2])


def pack(message: Message) -> bytes:
    """Return the bytes of a message.

    Parameters
    ----------
    message : BatchMessage or TickMessage
        What the log is to carry.

    Returns
    -------
    bytes
        The version byte and MessagePack.

    Examples
    --------
    >>> unpack(pack(TickMessage(60)))
    TickMessage(tick_s=60)
    """
    wire = _TickWire(message.tick_s) if isinstance(message, TickMessage) else _wire(message)
    return bytes([VERSION]) + _encoder.encode(wire)


def unpack(data: bytes) -> Message:
    """Return the message of bytes that `pack` made.

    Parameters
    ----------
    data : bytes
        One message of the log. The arrays of the result are read-only views of it.

    Returns
    -------
    BatchMessage or TickMessage

    Raises
    ------
    InvalidValue
        When the version is an older one than are read, or the bytes are no message.
    NewerVersion
        When a newer release wrote the message: it must not be passed over.
    """
    version = data[0] if data else 0
    if version not in READS:
        if VERSION < version < _NO_VERSION:
            raise NewerVersion(
                f"log message has version {version}, this release reads {READS}: a newer one wrote it; upgrade this node"
            )
        raise InvalidValue(f"log message must start with a version of {READS}, got {data[:1]!r}")
    try:
        wire = (_decoder if version == VERSION else _decoder_of_2).decode(memoryview(data)[1:])
        if isinstance(wire, _TickWire):
            return TickMessage(wire.tick_s)
        return _message(wire, with_family(wire.durations) if version != VERSION and wire.durations else wire.durations)
    except (msgspec.MsgspecError, ValueError, IndexError) as exc:
        raise InvalidValue(f"log message of {len(data)} bytes cannot be read: {exc}") from exc


_F8, _I8, _U8 = np.dtype("<f8"), np.dtype("<i8"), np.dtype("<u8")


def _bytes(array: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.uint64], dtype: np.dtype[Any]) -> bytes:
    return array.tobytes() if array.dtype is dtype else array.astype(dtype).tobytes()


def _columns(of: type[Level | Call | Presence | DurationPoint]) -> Callable[[Sequence[object]], Any]:
    """Return what takes records of a class apart into the columns of its fields; None when there are none."""
    getters = [attrgetter(field.name) for field in fields(of)]

    def columns(records: Sequence[object]) -> Any:
        return [list(map(get, records)) for get in getters] if records else None

    return columns


_levels, _calls, _presences, _durations = map(_columns, (Level, Call, Presence, DurationPoint))


def _wire(message: BatchMessage) -> _BatchWire[Any]:
    batch = message.batch
    stacks: dict[str, int] = {}
    return _BatchWire(
        message.tenant,
        message.batch_id,
        message.received_at_ns,
        batch.signal,
        batch.n_records,
        batch.series,
        _bytes(batch.group_series, _I8),
        _bytes(batch.group_time_s, _I8),
        _bytes(batch.counts, _F8),
        _bytes(batch.histogram, _F8),
        _error_columns(batch.errors, stacks) if batch.errors else None,
        tuple(stacks),
        _levels(batch.levels),
        _calls(batch.calls),
        _bytes(batch.end_trace, _U8),
        _bytes(batch.end_span, _U8),
        _bytes(batch.end_service, _I8),
        _bytes(batch.end_role, _I8),
        batch.services,
        _presences(batch.presences),
        _durations(batch.durations),
        dict(batch.counters),
        batch.rejected,
        batch.reason,
    )


def _error_columns(errors: Sequence[ErrorRecord], stacks: dict[str, int]) -> Any:
    """Return the columns of errors; their stacks are added to a table of distinct ones."""
    columns: list[Any] = [list(map(get, errors)) for get in _ERROR_FIELDS]
    columns[_STACK] = [stacks.setdefault(stack, len(stacks)) for stack in columns[_STACK]]
    columns[_ATTRIBUTES] = [a if isinstance(a, dict) else dict(a) for a in columns[_ATTRIBUTES]]
    return columns


_ERROR_FIELDS = [attrgetter(field.name) for field in fields(ErrorRecord)]
_STACK, _ATTRIBUTES = ([field.name for field in fields(ErrorRecord)].index(name) for name in ("stack", "attributes"))


def _message(wire: _BatchWire[Any], durations: Any) -> BatchMessage:
    batch = Batch(
        wire.signal,
        wire.n_records,
        wire.series,
        *(_groups(wire) if wire.group_series else _NO_GROUPS),
        _errors(wire.errors, wire.stacks) if wire.errors else (),
        tuple(map(Level, *wire.levels)) if wire.levels else (),
        tuple(map(Call, *wire.calls)) if wire.calls else (),
        *(_ends(wire) if wire.end_trace else _NO_ENDS),
        wire.services,
        tuple(map(Presence, *wire.presences)) if wire.presences else (),
        tuple(map(DurationPoint, *durations)) if durations else (),
        wire.counters,
        wire.rejected,
        wire.reason,
    )
    return BatchMessage(wire.tenant, wire.batch_id, wire.received_at_ns, batch)


def _groups(wire: _BatchWire[Any]) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    return (
        np.frombuffer(wire.group_series, _I8),
        np.frombuffer(wire.group_time_s, _I8),
        np.frombuffer(wire.counts, _F8).reshape(-1, N_CHANNELS),
        np.frombuffer(wire.histogram, _F8).reshape(-1, N_BUCKETS),
    )


def _ends(wire: _BatchWire[Any]) -> tuple[UInt64Array, UInt64Array, IntArray, IntArray]:
    return (
        np.frombuffer(wire.end_trace, _U8),
        np.frombuffer(wire.end_span, _U8),
        np.frombuffer(wire.end_service, _I8),
        np.frombuffer(wire.end_role, _I8),
    )


_EMPTY = Batch("")
_NO_GROUPS = _EMPTY.group_series, _EMPTY.group_time_s, _EMPTY.counts, _EMPTY.histogram
_NO_ENDS = _EMPTY.end_trace, _EMPTY.end_span, _EMPTY.end_service, _EMPTY.end_role


def _errors(columns: _Errors, stacks: Sequence[str]) -> tuple[ErrorRecord, ...]:
    whole: list[Any] = list(columns)
    whole[_STACK] = map(stacks.__getitem__, whole[_STACK])
    return tuple(map(ErrorRecord, *whole))
