"""One request from its body to the durable log, whatever brought it: decode, redact, stamp, cut by partition, append.

`app.ingest.http` and `app.ingest.grpc_server` call `Receiver.take` or `Receiver.receive` and answer when what they
said is durable; what is appended is read by `app.worker`. A replay stamps times of its own and appends `messages_of` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

import numpy as np
from xxhash import xxh3_128

from app.auth.doorkeeper import OPEN, Doorkeeper
from app.edge.throttle import Throttle
from app.ingest.admit import Room, admit_lag
from app.ingest.codec import BatchMessage, pack
from app.ingest.limits import Limits
from app.ingest.otlp import Decode, decode
from app.ingest.signals import Encoding, Signal
from app.redaction import Redact, Redaction
from app.store.contract import Log
from app.telemetry import Labelled, Telemetry
from features.arrays import IntArray
from features.batch import Batch
from features.pieces import split

__all__ = ["LogMessage", "Receiver", "messages_of"]

LogMessage = tuple[int, str, bytes]
"""Partition, batch id and data, as `Log.append_many` takes them."""

MAX_MESSAGE_BYTES = 4 * 2**20
"""A larger message is cut, so that one request fills no group commit alone. Guessed; an ordinary one has kilobytes."""

_REQUEST_CHARS = 28
"""Hexadecimal digits of a request's hash in the ids of its messages: 112 bits, of which no two alike come by chance.

XXH3 is no secret hash: who makes two bodies of one hash on purpose loses the second one, of the own tenant. SHA-256
took 0.1 ms a request of 512 spans with the processor's help and 0.4 ms without, a tenth to a third of all of it; XXH3 0.006 ms.
"""

T = TypeVar("T")


class Receiver:
    """Takes requests of every transport.

    Parameters
    ----------
    log : Log
        Where messages become durable.
    telemetry : Telemetry
        Where it is counted.
    limits : Limits
        Bounds of one request.
    now : callable
        The time in unix nanoseconds.
    decode : Decode
        The engine that reads bodies.
    redact : Redact, optional
        Takes secrets out of what an engine read; by default by the rules that are on by default.
    """

    def __init__(
        self,
        log: Log,
        telemetry: Telemetry,
        limits: Limits,
        now: Callable[[], int],
        decode: Decode = decode,
        redact: Redact | None = None,
    ) -> None:
        self.lag: Callable[[], int] = lambda: 0
        """How many log messages wait for the worker; nothing waits where none reads."""
        self.doorkeeper: Doorkeeper = OPEN
        """Who sends; everybody may where no token is demanded."""
        self.logins: Throttle | None = None
        """Counts wrong tokens by address."""
        self.limits = limits
        self.telemetry = telemetry
        self.room = Room(limits.max_in_flight_bytes, telemetry.request_bytes_held, limits.max_tenant_in_flight_bytes)
        self._log = log
        self._now = now
        self._decode = decode
        self._redact = redact or Redaction(cut_chars=limits.max_attribute_chars).batch
        self._records = Labelled(telemetry.records)
        self._limited = Labelled(telemetry.limited)

    def admit(self) -> None:
        """Let a request in, before its body is read.

        Raises
        ------
        FallenBehind
            When too much waits for the worker already.
        """
        admit_lag(self.lag(), self.limits.max_lag)

    def take(self, tenant: str, signal: Signal, encoding: Encoding, body: bytes) -> tuple[Batch, Future[list[int]]]:
        """Take one request and return before it is durable, for callers that must not block.

        Parameters
        ----------
        tenant : str
            Admitted by `app.ingest.admit.admit_tenant`.
        signal, encoding
            As for `decode`.
        body : bytes
            Decompressed.

        Returns
        -------
        batch : Batch
            The whole request; `rejected` and `reason` belong into the answer.
        durable : Future of list of int
            Done once what the request said survives a crash; only then it may be answered. Raises StoreFailed
            when the log failed: the same request sent again counts once, whatever became of this one. Its
            callbacks run on a thread of the log (`app.ingest.wakes.Wakes` brings them to an event loop).

        Raises
        ------
        MalformedBody
            When the body cannot be decoded.
        TooManyRecords
            When it brings more than a request may; nothing was appended.
        Overloaded
            When the log takes no more at the moment; nothing was appended.
        """
        batch, durable = self._append(tenant, signal, encoding, body)
        durable.add_done_callback(lambda done: None if _failed(done) else self._count(batch, len(body)))
        return batch, durable

    @property
    def throttle(self) -> Throttle | None:
        """How often one may send, None where that is not limited."""
        return self.logins if self.logins is not None and self.logins.is_on else None

    def receive(self, tenant: str, signal: Signal, encoding: Encoding, body: bytes) -> Batch:
        """Take one request; when this returns, what it said survives a crash.

        Parameters and exceptions are those of `take` and of its future.
        """
        batch, durable = self._append(tenant, signal, encoding, body)
        durable.result()
        self._count(batch, len(body))
        return batch

    def _append(self, tenant: str, signal: Signal, encoding: Encoding, body: bytes) -> tuple[Batch, Future[list[int]]]:
        batch = self._redact(self._decode(body, signal, encoding, limits=self.limits))
        messages = messages_of(batch, tenant, body, self._now(), self._log.n_partitions)
        return batch, self._log.append_later(messages) if messages else _nothing()

    def _count(self, batch: Batch, n_bytes: int) -> None:
        self._records[batch.signal].inc(batch.n_records)
        self.telemetry.body_bytes.inc(n_bytes)
        if batch.rejected:
            self.telemetry.rejected.labels(reason="rows").inc(batch.rejected)
        for reason, count in batch.counters.items():
            self._limited[reason].inc(count)


def _nothing() -> Future[list[int]]:
    done: Future[list[int]] = Future()
    done.set_result([])
    return done


def _failed(done: Future[list[int]]) -> bool:
    return done.cancelled() or done.exception() is not None


def messages_of(batch: Batch, tenant: str, body: bytes, received_at_ns: int, n_partitions: int) -> list[LogMessage]:
    """Return the log messages of one request, the same for the same request but for the stamp.

    Parameters
    ----------
    batch : Batch
        What `decode` made of the body.
    tenant : str
        Whose it is.
    body : bytes
        Decompressed; its hash with tenant and signal, and the partition in the last four digits, name each message.
    received_at_ns : int
        Unix nanoseconds.
    n_partitions : int
        Of the log.

    Returns
    -------
    list of LogMessage
        At least one a partition that receives something; more where one would be too large.
    """
    request = xxh3_128(f"{tenant}\0{batch.signal}\0".encode())
    request.update(body)
    name = request.hexdigest()[:_REQUEST_CHARS]
    messages: list[LogMessage] = []
    for partition, piece in split(batch, tenant, n_partitions).items():
        whole = BatchMessage(tenant, f"{name}{partition:04x}", received_at_ns, piece)
        data = pack(whole)
        if len(data) <= MAX_MESSAGE_BYTES:
            messages.append((partition, whole.batch_id, data))
        else:
            messages.extend((partition, part.batch_id, data) for part, data in _cut(whole, data))
    return messages


def _cut(message: BatchMessage, data: bytes) -> Iterator[tuple[BatchMessage, bytes]]:
    """Cut a message in halves until each fits, or until it can be cut no more."""
    halves = _halves(message.batch) if len(data) > MAX_MESSAGE_BYTES else ()
    if not halves:
        yield message, data
    for place, half in enumerate(halves):
        part = replace(message, batch_id=f"{message.batch_id}.{place}", batch=_compact(half))
        yield from _cut(part, pack(part))


def _halves(batch: Batch) -> tuple[Batch, ...]:
    n_groups, n_ends = len(batch.group_series), len(batch.end_trace)
    tuples = (batch.errors, batch.levels, batch.calls, batch.presences, batch.durations)
    columns = (n_groups, n_ends, *map(len, tuples))
    if max(columns) < 2:  # noqa: PLR2004 - one cannot be halved
        return ()
    lower = [slice(0, (n + 1) // 2) for n in columns]
    upper = [slice((n + 1) // 2, n) for n in columns]
    return _part(batch, lower), _part(batch, upper)


def _part(batch: Batch, columns: list[slice]) -> Batch:
    groups, ends, errors, levels, calls, presences, durations = columns
    return replace(
        batch,
        group_series=batch.group_series[groups],
        group_time_s=batch.group_time_s[groups],
        counts=batch.counts[groups],
        histogram=batch.histogram[groups],
        end_trace=batch.end_trace[ends],
        end_span=batch.end_span[ends],
        end_service=batch.end_service[ends],
        end_role=batch.end_role[ends],
        errors=batch.errors[errors],
        levels=batch.levels[levels],
        calls=batch.calls[calls],
        presences=batch.presences[presences],
        durations=batch.durations[durations],
    )


def _compact(batch: Batch) -> Batch:
    """Leave out of the tables what a part does not point into."""
    series, group_series = _used(batch.series, batch.group_series)
    services, end_service = _used(batch.services, batch.end_service)
    return replace(batch, series=series, group_series=group_series, services=services, end_service=end_service)


def _used(table: tuple[T, ...], places: IntArray) -> tuple[tuple[T, ...], IntArray]:
    used, where = np.unique(places, return_inverse=True)
    return tuple(table[place] for place in used.tolist()), where.astype(np.int64).reshape(-1)
