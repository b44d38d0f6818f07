"""The wall clock, as parts are given it that take a clock as an argument."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Return the time, aware.

    Examples
    --------
    >>> utc_now().tzname()
    'UTC'
    """
    return datetime.now(UTC)
