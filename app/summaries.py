"""Summaries of partitions on their way between nodes: a document a partition and tick, short-lived.

`app.flow` publishes those of its partitions with the documents of a tick, where other nodes hold partitions too; `app.worker` asks
before each tick for the newest ones of the others and hands them to the flow.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection, Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.chunks import CHUNK_BYTES
from app.store.contract import Output, Watch
from features.afar import HEARD_WINDOWS, OLDEST_TICKS, SIGNALS, SUMS, Summary
from features.errors import InvalidValue

__all__ = ["BUCKET", "Summaries", "pack", "summary_output", "unpack"]

logger = logging.getLogger(__name__)

BUCKET = "summaries"
"""Where they lie, by partition."""

VERSION = 1
"""Raised whenever the layout changes; nodes of another version are not heard."""

_LIFE = 4  # times `OLDEST_TICKS` that a document stays, so that the metric of the age shows what is no longer used
_MAX_BYTES = 64 * 2**20  # guessed: of one that is unpacked; a hundred times what any partition comes to
_LEVEL = 1  # of zlib: the next ones take half as long again for 3 % less (measured with 1,000 services)


class _Wire(msgspec.Struct, array_like=True, frozen=True):
    version: int
    partition: int
    tick: int
    names: tuple[str, ...]  # of tenants and services, each once; the columns below are places in it
    services: bytes
    signals: bytes
    tenants: bytes
    got: bytes
    sums: bytes
    edges: bytes
    calls: bytes
    numbers: bytes


def pack(summary: Summary, max_bytes: int = CHUNK_BYTES) -> bytes:
    """Return the bytes of a summary, less of it where it would be too much for one message.

    Parameters
    ----------
    summary : Summary
        What a partition's services showed.
    max_bytes : int
        The most bytes. Until it fits, half of the edges and calls are left out, those with fewest; when there are none any more,
        half of the services, the calmest; at last half of the tenants.

    Returns
    -------
    bytes
        Compressed MessagePack; numbers have 32 bits.

    Examples
    --------
    >>> one = Summary(3, 100, [("a", "web")], np.ones((1, 5)), ["a"], np.full((1, 12), 4.0), np.ones((1, 8)))
    >>> unpack(pack(one)).services
    [('a', 'web')]
    """
    while True:
        data = _packed(summary)
        if len(data) <= max_bytes or not (summary.services or summary.tenants):
            return data
        summary = _halved(summary)


def unpack(data: bytes) -> Summary:
    """Return the summary of bytes that `pack` made.

    Parameters
    ----------
    data : bytes
        A document.

    Returns
    -------
    Summary
        With numbers of 32 bits.

    Raises
    ------
    InvalidValue
        When it is not one, or of another version.
    """
    try:
        stream = zlib.decompressobj()
        unpacked = stream.decompress(data, _MAX_BYTES)
        if not stream.eof:
            raise InvalidValue(f"a summary must end within {_MAX_BYTES} bytes, got {len(unpacked)} and no end")
        wire = msgspec.msgpack.decode(unpacked, type=_Wire)
        if wire.version != VERSION:
            raise InvalidValue(f"version of a summary must be {VERSION}, got {wire.version}")
        return _summary(wire)
    except (zlib.error, msgspec.DecodeError, ValueError, IndexError) as exc:
        raise InvalidValue(f"a summary of {len(data)} bytes cannot be read: {exc}") from exc


def summary_output(summary: Summary, tick_s: int) -> tuple[int, Output]:
    """Return the document of a summary with the partition whose commit carries it."""
    life_s = float(_LIFE * OLDEST_TICKS * tick_s)
    return summary.partition, Output(BUCKET, _key(summary.partition), pack(summary), life_s)


class Summaries:
    """The newest summaries of all partitions, read from memory.

    Parameters
    ----------
    watch : Watch
        Of the bucket `BUCKET`.
    n_partitions : int
        How many partitions there are.
    """

    def __init__(self, watch: Watch, n_partitions: int) -> None:
        self._watch = watch
        self._n_partitions = n_partitions
        self._read: dict[str, tuple[int, Summary | None]] = {}  # revision and what it says, by key

    def of_others(self, held: Collection[int]) -> list[Summary] | None:
        """Return the newest summary of every partition that is not held; None where all are, since then nobody else is there."""
        if len(held) >= self._n_partitions:
            return None
        own = {_key(partition) for partition in held}
        live = [document for document in self._watch.items() if document.key not in own]
        for document in live:
            if self._read.get(document.key, (0, None))[0] != document.revision:
                self._read[document.key] = document.revision, _readable(document.key, document.value)
        self._read = {document.key: self._read[document.key] for document in live}
        return [summary for _, summary in self._read.values() if summary is not None]


def _key(partition: int) -> str:
    return f"{partition:06d}"


def _readable(key: str, data: bytes) -> Summary | None:
    """Return a summary, None where this node cannot read it: a node of another version must not stop this one."""
    try:
        return unpack(data)
    except InvalidValue as exc:
        logger.warning("summary %s is left out: %s", key, exc)
        return None


def _halved(summary: Summary) -> Summary:
    if summary.edges or summary.calls:
        edges, calls = summary.edges[: len(summary.edges) // 2], summary.calls[: len(summary.calls) // 2]
        return replace(summary, edges=edges, calls=calls)
    if summary.services:
        worst_first = np.argsort(-summary.signals.max(1), kind="stable")
        kept = np.sort(worst_first[: len(worst_first) // 2])
        return replace(summary, services=[summary.services[i] for i in kept.tolist()], signals=summary.signals[kept])
    half = len(summary.tenants) // 2
    return replace(summary, tenants=summary.tenants[:half], got=summary.got[:half], sums=summary.sums[:half])


def _packed(summary: Summary) -> bytes:
    names: dict[str, int] = {}
    wire = _Wire(
        VERSION,
        summary.partition,
        summary.tick,
        (),
        _places(summary.services, names),
        _bytes(summary.signals, "<f4"),
        _places([(name,) for name in summary.tenants], names),
        _bytes(summary.got, "<f4"),
        _bytes(summary.sums, "<f4"),
        _places(summary.edges, names),
        _places([call[:3] for call in summary.calls], names),
        _bytes(np.array([call[3] for call in summary.calls]), "<f4"),
    )
    wire = msgspec.structs.replace(wire, names=tuple(names))
    return zlib.compress(msgspec.msgpack.encode(wire), _LEVEL)


def _places(rows: Sequence[tuple[str, ...]], names: dict[str, int]) -> bytes:
    """Return the places of names, entering those that are new."""
    return _bytes(np.array([[names.setdefault(name, len(names)) for name in row] for row in rows]), "<u4")


def _bytes(values: NDArray[np.generic], dtype: DTypeLike) -> bytes:
    """Return values column by column: what is alike is then together, and packs to half."""
    return values.T.astype(dtype).tobytes()


def _summary(wire: _Wire) -> Summary:
    names = wire.names
    services, tenants, edges, calls = (
        [tuple(names[place] for place in row) for row in _array(data, "<u4", width).tolist()]
        for data, width in ((wire.services, 2), (wire.tenants, 1), (wire.edges, 3), (wire.calls, 3))
    )
    signals, got, sums, numbers = (
        _array(data, "<f4", width).astype(float)
        for data, width in ((wire.signals, len(SIGNALS)), (wire.got, HEARD_WINDOWS), (wire.sums, SUMS), (wire.numbers, 1))
    )
    if len(services) != len(signals) or not len(tenants) == len(got) == len(sums) or len(calls) != len(numbers):
        raise InvalidValue(f"columns of a summary must be as long as each other, got {len(services)}, {len(signals)}, ...")
    return Summary(
        wire.partition,
        wire.tick,
        [(tenant, service) for tenant, service in services],
        signals,
        [name for (name,) in tenants],
        got,
        sums,
        [(tenant, caller, callee) for tenant, caller, callee in edges],
        [(*call, number) for call, (number,) in zip(((t, a, b) for t, a, b in calls), numbers.tolist(), strict=True)],
    )


def _array(data: bytes, dtype: str, width: int) -> NDArray[np.generic]:
    return np.frombuffer(data, dtype).reshape(width, -1).T
