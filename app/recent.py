"""The recent errors of each service: groups by fingerprint and the last events, bounded.

`app.flow.absorb` adds ErrorEvents; `app.publish` writes a service's document when it changed; the API
serves it. Part of a partition's checkpointed state.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from zlib import compress, decompress

import msgspec

from app.cache.documents import decode_document, encode_document
from app.cache.records import ErrorGroup, RecentErrors
from features.event import ErrorEvent
from features.recovery import advise

__all__ = ["Recent"]

_MAX_EVENTS = 50
_MAX_OPEN = 2  # guessed: groups that are kept as objects, in twice the room
_MAX_LOOSE = 4  # guessed: events that wait to be compressed with the others, which takes a millisecond
_MAX_GROUPS = 200  # guessed: what a person can look through; the least recent group makes room
_MAX_OPERATIONS = 16
_MAX_SERVICES = 2_000  # guessed: a full service takes up to 300 KB; the least recent one makes room
_MAX_CHARS = 1024  # of a stack or attribute; history keeps what the ingest limits leave
_MAX_ATTRIBUTES = 16
_GONE = timedelta(
    days=2
)  # guessed: what has not happened for so long was thought to be repaired; what fails nightly comes sooner

_encoder = msgspec.msgpack.Encoder()
_group_decoder = msgspec.msgpack.Decoder(ErrorGroup)
_decoder = msgspec.msgpack.Decoder(list[ErrorEvent])


@dataclass(slots=True)
class _Group:
    """An ErrorGroup whose numbers grow."""

    began: ErrorGroup
    count: int
    first_seen: datetime
    last_seen: datetime
    message: str
    operations: tuple[str, ...]
    returned_at: datetime | None

    def grow(self, event: ErrorEvent) -> None:
        self.count += 1
        if event.time - self.last_seen >= _GONE:
            self.returned_at = event.time
        if not self.first_seen <= event.time <= self.last_seen:
            self.first_seen = min(self.first_seen, event.time)
            self.last_seen = max(self.last_seen, event.time)
        self.message = event.message or self.message
        if len(self.operations) < _MAX_OPERATIONS and event.operation not in self.operations:
            self.operations = (*self.operations, event.operation)

    def record(self) -> ErrorGroup:
        return replace(
            self.began,
            count=self.count,
            first_seen=self.first_seen,
            last_seen=self.last_seen,
            message=self.message,
            operations=self.operations,
            returned_at=self.returned_at,
        )


@dataclass(slots=True)
class _Service:
    groups: dict[str, _Group | bytes] = field(default_factory=dict[str, _Group | bytes])  # encoded but for the newest
    loose: deque[ErrorEvent] = field(default_factory=lambda: deque[ErrorEvent](maxlen=_MAX_EVENTS))  # the newest
    packed: bytes = b""  # those before them, compressed: like errors take a twelfth of their room
    uncut: int = 0  # how many of the newest events are as they came

    def events(self) -> tuple[ErrorEvent, ...]:
        older = _decoder.decode(decompress(self.packed)) if self.packed else []
        return (*older, *self.loose)[-_MAX_EVENTS:]

    def cut(self) -> None:
        """Bound what the newest events hold; most of what comes in a rush of errors is gone before."""
        if not self.uncut:
            return
        for _ in range(min(self.uncut, len(self.loose))):
            self.loose.rotate(1)  # the newest comes to the front
            self.loose[0] = _cut(self.loose[0])
        self.loose.rotate(-min(self.uncut, len(self.loose)))
        self.uncut = 0
        for fingerprint, group in reversed(list(self.groups.items())[:-_MAX_OPEN]):
            if isinstance(group, bytes):  # and so are all before it
                break
            self.groups[fingerprint] = _closed(group.record())
        if len(self.loose) > _MAX_LOOSE:
            self.packed = compress(_encoder.encode(self.events()), 1)
            self.loose.clear()


class Recent:
    """Recent errors of the services of one partition.

    Examples
    --------
    >>> Recent().take_changed()
    {}
    """

    def __init__(self) -> None:
        self._services: dict[tuple[str, str], _Service] = {}
        self._newest: tuple[tuple[str, str], _Service] | None = None  # the last of them: errors come many at a time
        self._changed: set[tuple[str, str]] = set()

    def add(self, event: ErrorEvent) -> bool:
        """Take an event and return whether its fingerprint is new to its service."""
        key = (event.tenant, event.service)
        newest = self._newest
        service = newest[1] if newest is not None and newest[0] == key else self._last(key)
        self._changed.add(key)
        service.loose.append(event)
        service.uncut += 1
        known = service.groups.pop(event.fingerprint, None)
        if known is None:
            known = _begun(_first(event))
            if len(service.groups) >= _MAX_GROUPS:
                del service.groups[next(iter(service.groups))]
            service.groups[event.fingerprint] = known
            return True
        known = _opened(known)
        known.grow(event)
        service.groups[event.fingerprint] = known
        return False

    def _last(self, key: tuple[str, str]) -> _Service:
        """Return a service, which is now the last; the least recent one makes room."""
        service = self._services[key] = self._services.pop(key, None) or _Service()
        if len(self._services) > _MAX_SERVICES:
            oldest = next(iter(self._services))
            del self._services[oldest]
            self._changed.discard(oldest)
        self._newest = key, service
        return service

    def cut(self) -> None:
        """Bound what the newest events hold: at the end of a tick, and before they are shown."""
        for key in self._changed:
            self._services[key].cut()

    def kinds(self, tenant: str, service: str, most: int = 3) -> tuple[str, ...]:
        """Return the kinds of error that a service showed last, the latest first."""
        known = self._services.get((tenant, service))
        kinds: dict[str, None] = {}
        for group in reversed(list(known.groups.values()) if known else ()):
            kinds.setdefault(_opened(group).began.kind)
            if len(kinds) == most:
                break
        return tuple(kinds)

    def take_changed(self) -> dict[tuple[str, str], bytes]:
        """Return the documents of the services that changed since the last call, by (tenant, service)."""
        changed = {key: encode_document(self._document(key)) for key in sorted(self._changed)}
        self._changed.clear()
        return changed

    def snapshot(self) -> dict[str, bytes]:
        """Return the documents of all services by tenant and service, the least recent one first."""
        return {"\0".join(key): encode_document(self._document(key)) for key in self._services}

    def restore(self, documents: dict[str, bytes]) -> None:
        """Put a snapshot back."""
        self._newest = None
        for key, value in documents.items():
            tenant, service = key.split("\0", 1)
            record = decode_document(value, RecentErrors)
            restored = _Service({group.fingerprint: _closed(group) for group in record.groups})
            restored.packed = compress(_encoder.encode(record.events), 1)
            self._services[tenant, service] = restored

    def _document(self, key: tuple[str, str]) -> RecentErrors:
        service = self._services[key]
        service.cut()
        return RecentErrors(tuple(_opened(group).record() for group in service.groups.values()), service.events())


def _cut(event: ErrorEvent) -> ErrorEvent:
    attributes = event.attributes
    if len(attributes) > _MAX_ATTRIBUTES or any(len(value) > _MAX_CHARS for value in attributes.values()):
        attributes = {name: value[:_MAX_CHARS] for name, value in islice(attributes.items(), _MAX_ATTRIBUTES)}
    elif len(event.stack) <= _MAX_CHARS:
        return event
    return replace(event, stack=event.stack[:_MAX_CHARS], attributes=attributes)


def _begun(group: ErrorGroup) -> _Group:
    return _Group(group, group.count, group.first_seen, group.last_seen, group.message, group.operations, group.returned_at)


def _closed(group: ErrorGroup) -> bytes:
    return _encoder.encode(replace(group, advice=None))  # which its kind says again


def _opened(group: _Group | bytes) -> _Group:
    if not isinstance(group, bytes):
        return group
    record = _group_decoder.decode(group)
    return _begun(replace(record, advice=advise(record.kind)))


def _first(event: ErrorEvent) -> ErrorGroup:
    return ErrorGroup(
        fingerprint=event.fingerprint,
        kind=event.kind,
        category=event.category,
        retryable=event.retryable,
        transient=event.transient,
        count=1,
        first_seen=event.time,
        last_seen=event.time,
        message=event.message,
        exception_type=event.exception_type,
        operations=(event.operation,),
        advice=advise(event.kind),
    )
