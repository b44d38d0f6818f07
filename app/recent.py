"""The recent errors of each service: groups by fingerprint and the last events, bounded.

`app.flow.absorb` adds ErrorEvents; `app.publish` writes a service's document when it changed; the API
serves it. Part of a partition's checkpointed state.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import islice

from app.cache.documents import decode_document, encode_document
from app.cache.records import ErrorGroup, RecentErrors
from features.event import ErrorEvent
from features.recovery import advise

__all__ = ["Recent"]

_MAX_EVENTS = 50
_MAX_GROUPS = 200  # guessed: what a person can look through; the least recent group makes room
_MAX_OPERATIONS = 16
_MAX_SERVICES = 2_000  # guessed: a full service takes up to 300 KB; the least recent one makes room
_MAX_CHARS = 1024  # of a stack or attribute; history keeps what the ingest limits leave
_MAX_ATTRIBUTES = 16


@dataclass(slots=True)
class _Service:
    groups: dict[str, ErrorGroup] = field(default_factory=dict[str, ErrorGroup])
    events: deque[ErrorEvent] = field(default_factory=lambda: deque[ErrorEvent](maxlen=_MAX_EVENTS))


class Recent:
    """Recent errors of the services of one partition.

    Examples
    --------
    >>> Recent().take_changed()
    {}
    """

    def __init__(self) -> None:
        self._services: dict[tuple[str, str], _Service] = {}
        self._changed: set[tuple[str, str]] = set()

    def add(self, event: ErrorEvent) -> bool:
        """Take an event and return whether its fingerprint is new to its service."""
        key = (event.tenant, event.service)
        service = self._services[key] = self._services.pop(key, None) or _Service()
        if len(self._services) > _MAX_SERVICES:
            oldest = next(iter(self._services))
            del self._services[oldest]
            self._changed.discard(oldest)
        self._changed.add(key)
        service.events.append(_cut(event))
        known = service.groups.pop(event.fingerprint, None)
        service.groups[event.fingerprint] = _grown(known, event) if known else _first(event)
        if len(service.groups) > _MAX_GROUPS:
            del service.groups[next(iter(service.groups))]
        return known is None

    def kinds(self, tenant: str, service: str, most: int = 3) -> tuple[str, ...]:
        """Return the kinds of error that a service showed last, the latest first."""
        known = self._services.get((tenant, service))
        newest = reversed(list(known.groups.values())) if known else ()
        return tuple(dict.fromkeys(group.kind for group in newest))[:most]

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
        for key, value in documents.items():
            tenant, service = key.split("\0", 1)
            record = decode_document(value, RecentErrors)
            self._services[tenant, service] = _Service(
                {group.fingerprint: group for group in record.groups}, deque(record.events, maxlen=_MAX_EVENTS)
            )

    def _document(self, key: tuple[str, str]) -> RecentErrors:
        service = self._services[key]
        return RecentErrors(tuple(service.groups.values()), tuple(service.events))


def _cut(event: ErrorEvent) -> ErrorEvent:
    attributes = {name: value[:_MAX_CHARS] for name, value in islice(event.attributes.items(), _MAX_ATTRIBUTES)}
    return replace(event, stack=event.stack[:_MAX_CHARS], attributes=attributes)


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


def _grown(group: ErrorGroup, event: ErrorEvent) -> ErrorGroup:
    operations = group.operations
    if event.operation not in operations and len(operations) < _MAX_OPERATIONS:
        operations = (*operations, event.operation)
    return replace(
        group,
        count=group.count + 1,
        first_seen=min(group.first_seen, event.time),
        last_seen=max(group.last_seen, event.time),
        message=event.message or group.message,
        operations=operations,
    )
