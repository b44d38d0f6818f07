"""Numbers and times as people read them: each with its unit, and each time as an age that the browser keeps up to date."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite

from app.dashboard.markup import Markup, h

__all__ = ["DASH", "age", "amount", "band", "clock", "counted", "cut", "duration", "moment", "percent", "rate", "span"]

DASH = "\N{EN DASH}"
"""Stands where nothing is known."""

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_HUNDRED = 100.0
_SIZES = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def percent(share: float | None) -> str:
    """Return a share of 1 in percent; what is not zero is never shown as zero, nor what is not all as all.

    Examples
    --------
    >>> [percent(share) for share in (0.0, 0.0004, 0.034, 0.612, 0.9996, 1.0)], percent(None) == DASH
    (['0 %', '<0.1 %', '3.4 %', '61 %', '>99 %', '100 %'], True)
    """
    if share is None or not isfinite(share):
        return DASH
    value = share * _HUNDRED
    if 0.0 < value < 0.1:  # noqa: PLR2004 - one digit behind the point
        return "<0.1 %"
    if 99.0 < value < _HUNDRED:  # noqa: PLR2004 - no digit behind the point
        return ">99 %"
    return f"{value:.1f} %" if 0.0 < value < 10.0 else f"{value:.0f} %"  # noqa: PLR2004 - two digits in all


def band(lower: float, upper: float) -> str:
    """Return an interval of shares.

    Examples
    --------
    >>> band(0.4, 0.72)
    '40 to 72 %'
    """
    low, high = percent(lower).removesuffix(" %"), percent(upper)
    return f"{low} to {high}"


def amount(value: float | None, unit: str = "") -> str:
    """Return a number in three digits with its unit.

    Examples
    --------
    >>> amount(1234.0, "requests"), amount(0.034, "errors/min"), amount(25_000_000.0, "B/s")
    ('1,234 requests', '0.034 errors/min', '25 MB/s')
    """
    if value is None or not isfinite(value):
        return DASH
    prefix = next((name for name, size in _SIZES if abs(value) >= size), "") if unit in {"B", "B/s"} else ""
    value /= dict(_SIZES).get(prefix, 1.0)
    text = f"{value:,.0f}" if abs(value) >= _HUNDRED or value == int(value) else f"{value:.3g}"
    return f"{text} {prefix}{unit}" if unit else text


def counted(number: int, noun: str) -> str:
    """Return how many of something there are.

    Examples
    --------
    >>> counted(1, "page"), counted(1200, "page")
    ('1 page', '1,200 pages')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cut(number: int, most: int, which: str = "newest") -> str:
    """Return what to say behind a number where fewer are shown than there are.

    Examples
    --------
    >>> cut(7, 5), cut(7, 5, "first"), cut(5, 5)
    (', the newest 5 of them', ', the first 5 of them', '')
    """
    return f", the {which} {most} of them" if number > most else ""


def rate(value: float | None, of: str) -> str:
    """Return how many of something there are a minute.

    Examples
    --------
    >>> rate(120.0, "requests")
    '120 requests/min'
    """
    return amount(value, f"{of}/min")


def duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it.

    Examples
    --------
    >>> [duration(seconds) for seconds in (0.0123, 2.5, 90.0, 5400.0, 200_000.0)]
    ['12.3 ms', '2.5 s', '1.5 min', '1.5 h', '2.31 d']
    """
    if seconds is None or not isfinite(seconds):
        return DASH
    size = abs(seconds)
    for limit, unit, factor in ((1.0, "ms", 1e-3), (_MINUTE, "s", 1.0), (_HOUR, "min", _MINUTE), (_DAY, "h", _HOUR)):
        if size < limit:
            return f"{_short(seconds / factor)} {unit}"
    return f"{_short(seconds / _DAY)} d"


def age(at: datetime, lasting: bool = False) -> Markup:
    """Return a time that the browser shows as an age and keeps up to date, or as a duration that goes on; the time itself shows on hover.

    Examples
    --------
    >>> from datetime import UTC
    >>> age(datetime(2026, 3, 2, 12, 5, 7, tzinfo=UTC))
    '<time class="age" datetime="2026-03-02T12:05:07+00:00" title="2026-03-02 12:05:07 UTC">2026-03-02 12:05:07 UTC</time>'
    """
    shown = clock(at)
    return h("time.lasting" if lasting else "time.age", shown, datetime=at.isoformat(), title=shown)


def clock(at: datetime) -> str:
    """Return a time in UTC.

    Examples
    --------
    >>> from datetime import UTC
    >>> clock(datetime(2026, 3, 2, 12, 5, 7, tzinfo=UTC))
    '2026-03-02 12:05:07 UTC'
    >>> clock(datetime.fromisoformat("2026-03-02T14:05:07+02:00"))
    '2026-03-02 12:05:07 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(unix_s: float) -> datetime:
    """Return the time of a unix second.

    Examples
    --------
    >>> moment(0.0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(unix_s, UTC)


def span(start: datetime, end: datetime | None) -> Markup:
    """Return how long something lasted, or how long it has lasted by now."""
    return age(start, lasting=True) if end is None else h("span", duration((end - start).total_seconds()), title=clock(end))


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < _HUNDRED else f"{value:.0f}"
