"""The bytes of a log message: a Batch of one partition, or a tick marker.

`app.ingest.receive` packs Batches and the worker's clock packs ticks; both are appended to the durable
log, and `app.worker` unpacks what it reads. The first byte is the version of the layout; the rest is
MessagePack with the arrays as little-endian bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, DurationPoint, Level, Presence
from features.errors import InvalidValue
from features.event import ErrorRecord

__all__ = ["BatchMessage", "Message", "TickMessage", "pack", "unpack"]

VERSION = 2


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class TickMessage:
    """That time has passed: windows that end by then may close.

    Parameters
    ----------
    tick_s : int
        Unix seconds of the window's end.
    """

    tick_s: int


Message = BatchMessage | TickMessage

_Record = tuple[Literal["span", "log"], str, str, int, int, str, str, str, str, str, dict[str, str], float]

_Duration = tuple[str, str, int, int, int, bool, bool, bool, float, float, tuple[float, ...]]


class _TickWire(msgspec.Struct, array_like=True, tag="tick", frozen=True):
    tick_s: int


class _BatchWire(msgspec.Struct, array_like=True, tag="batch", frozen=True):
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
    errors: tuple[_Record, ...]
    levels: tuple[tuple[str, str, int, float], ...]
    calls: tuple[tuple[str, str, float, float], ...]
    end_trace: bytes
    end_span: bytes
    end_service: bytes
    end_role: bytes
    services: tuple[str, ...]
    presences: tuple[tuple[str, str, str], ...]
    durations: tuple[_Duration, ...]
    counters: dict[str, int]
    rejected: int
    reason: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_TickWire | _BatchWire)


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
        When the version is another one, or the bytes are no message.
    """
    if not data or data[0] != VERSION:
        raise InvalidValue(f"log message must start with version {VERSION}, got {data[:1]!r}")
    try:
        wire = _decoder.decode(memoryview(data)[1:])
        return TickMessage(wire.tick_s) if isinstance(wire, _TickWire) else _message(wire)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise InvalidValue(f"log message of {len(data)} bytes cannot be read: {exc}") from exc


def _bytes(array: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.uint64], dtype: str) -> bytes:
    return array.astype(dtype, copy=False).tobytes()


def _wire(message: BatchMessage) -> _BatchWire:
    batch = message.batch
    return _BatchWire(
        tenant=message.tenant,
        batch_id=message.batch_id,
        received_at_ns=message.received_at_ns,
        signal=batch.signal,
        n_records=batch.n_records,
        series=batch.series,
        group_series=_bytes(batch.group_series, "<i8"),
        group_time_s=_bytes(batch.group_time_s, "<i8"),
        counts=_bytes(batch.counts, "<f8"),
        histogram=_bytes(batch.histogram, "<f8"),
        errors=tuple(_row(record) for record in batch.errors),
        levels=tuple((level.service, level.name, level.time_ns, level.value) for level in batch.levels),
        calls=tuple((call.caller, call.callee, call.count, call.failed) for call in batch.calls),
        end_trace=_bytes(batch.end_trace, "<u8"),
        end_span=_bytes(batch.end_span, "<u8"),
        end_service=_bytes(batch.end_service, "<i8"),
        end_role=_bytes(batch.end_role, "<i8"),
        services=batch.services,
        presences=tuple((presence.service, presence.instance, presence.version) for presence in batch.presences),
        durations=tuple(_duration_row(point) for point in batch.durations),
        counters=dict(batch.counters),
        rejected=batch.rejected,
        reason=batch.reason,
    )


def _row(record: ErrorRecord) -> _Record:
    return (
        record.source,
        record.service,
        record.operation,
        record.time_ns,
        record.severity,
        record.trace_id,
        record.span_id,
        record.exception_type,
        record.message,
        record.stack,
        dict(record.attributes),
        record.weight,
    )


def _duration_row(point: DurationPoint) -> _Duration:
    return (
        point.service,
        point.operation,
        point.stream,
        point.start_ns,
        point.time_ns,
        point.cumulative,
        point.failed,
        point.server_error,
        point.count,
        point.seconds,
        point.histogram,
    )


def _message(wire: _BatchWire) -> BatchMessage:
    batch = Batch(
        signal=wire.signal,
        n_records=wire.n_records,
        series=wire.series,
        group_series=np.frombuffer(wire.group_series, "<i8"),
        group_time_s=np.frombuffer(wire.group_time_s, "<i8"),
        counts=np.frombuffer(wire.counts, "<f8").reshape(-1, N_CHANNELS),
        histogram=np.frombuffer(wire.histogram, "<f8").reshape(-1, N_BUCKETS),
        errors=tuple(ErrorRecord(*row) for row in wire.errors),
        levels=tuple(Level(*row) for row in wire.levels),
        calls=tuple(Call(*row) for row in wire.calls),
        end_trace=np.frombuffer(wire.end_trace, "<u8"),
        end_span=np.frombuffer(wire.end_span, "<u8"),
        end_service=np.frombuffer(wire.end_service, "<i8"),
        end_role=np.frombuffer(wire.end_role, "<i8"),
        services=wire.services,
        presences=tuple(Presence(*row) for row in wire.presences),
        durations=tuple(DurationPoint(*row) for row in wire.durations),
        counters=wire.counters,
        rejected=wire.rejected,
        reason=wire.reason,
    )
    return BatchMessage(wire.tenant, wire.batch_id, wire.received_at_ns, batch)
