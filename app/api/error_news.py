"""Which groups of errors are news: new to a service that is known, or back after days without.

`app.api.errors` answers with it, `app.dashboard.errors` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.cache.records import ErrorGroup, ServiceSummary

__all__ = ["ErrorNews", "news_of"]

_NEWS = timedelta(days=1)
_ACQUAINTED = timedelta(hours=1)  # guessed: what a service shows in its first hour is what it shows


@dataclass(frozen=True, slots=True)
class ErrorNews:
    """What is news about a group of errors, and since when."""

    new: bool = False
    regressed: bool = False
    since: datetime | None = None


def news_of(group: ErrorGroup, service: ServiceSummary | None, now: datetime) -> ErrorNews:
    """Return what is news about a group.

    Parameters
    ----------
    group : ErrorGroup
        Which.
    service : ServiceSummary or None
        Of the service that it is of.
    now : datetime
        Aware.
    """
    if group.returned_at is not None and now - group.returned_at <= _NEWS:
        return ErrorNews(regressed=True, since=group.returned_at)
    # Everything is new to a service that is: only what came up later is worth a look.
    known_since = group.first_seen if service is None else service.first_seen
    if now - group.first_seen <= _NEWS and group.first_seen - known_since >= _ACQUAINTED:
        return ErrorNews(new=True, since=group.first_seen)
    return ErrorNews()
