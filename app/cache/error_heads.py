"""Of a service's recent errors what groups of incidents are made with: much less than the API shows, and decoded in a fraction of the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["ErrorHeads", "EventHead", "KindHead"]


@dataclass(frozen=True, slots=True)
class KindHead:
    """A group of like errors; the members are those of `app.cache.records.ErrorGroup`."""

    fingerprint: str
    kind: str
    category: str
    count: int
    first_seen: datetime
    last_seen: datetime
    message: str = ""
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class EventHead:
    """One error; the members are those of `features.event.ErrorEvent`."""

    time: datetime
    kind: str
    category: str
    fingerprint: str
    trace_id: str = ""
    message: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ErrorHeads:
    """A document of the bucket ``errors``, as `app.cache.records.RecentErrors` was encoded."""

    groups: tuple[KindHead, ...] = ()
    events: tuple[EventHead, ...] = ()
