"""The check of a time zone's name: settings and requests name zones, and both refuse what no zone is called in the same words."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["checked_zone"]


def checked_zone(name: str) -> str:
    """Return the name of a zone, as a validator of pydantic.

    Raises
    ------
    ValueError
        When there is no such zone.

    Examples
    --------
    >>> checked_zone("Europe/Berlin")
    'Europe/Berlin'
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:  # also a folder's name, or one that leaves it
        raise ValueError("must be an IANA time zone such as Europe/Berlin") from exc
    return name
