"""The calendar: when something was expected, and when it will be again, at the same local time.

People say ``expected`` of incidents and intervals; `training.labels` leaves the times that follow out of what is
learned. Local time is that of one IANA time zone, so that what comes at three in the morning still does
when the clocks change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from features.series import SeriesKey
from models.feedback import Selector, Stretch

__all__ = ["RECOGNISED_FOR", "RECOGNISED_WEEKS", "Planned", "occurrences", "recognised"]

RECOGNISED_WEEKS = 3
"""Weeks in which the same was expected at the same local time before it counts as weekly. Guessed: two may be chance."""

RECOGNISED_FOR = timedelta(weeks=8)
"""How long it counts as weekly after the last of them. Guessed: nobody says when such a habit ends."""

_TOGETHER_MIN = 60  # minutes of the week that the starts of one habit lie within
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_PERIODS = {"day": _DAY, "week": _WEEK}


@dataclass(frozen=True, slots=True)
class Planned:
    """An interval in which something was expected.

    Parameters
    ----------
    stretch : Stretch
        When it was for the first time.
    repeats : str or None
        One of `models.feedback.REPEATS`; None is once.
    until : datetime or None
        After which it does not begin again; None is never.
    """

    stretch: Stretch
    repeats: str | None = None
    until: datetime | None = None


def occurrences(planned: Iterable[Planned], zone: tzinfo, begin: datetime, end: datetime) -> tuple[Stretch, ...]:
    """Return every time of some plans that meets ``[begin, end)``.

    Parameters
    ----------
    planned : iterable of Planned
        What was expected.
    zone : tzinfo
        Whose local time they keep.
    begin, end : datetime
        Aware.

    Returns
    -------
    tuple of Stretch
        In UTC, plan by plan, in order of time.

    Examples
    --------
    >>> from zoneinfo import ZoneInfo
    >>> backup = Stretch(SeriesKey("default", "db", "*"), datetime(2026, 3, 22, 2, tzinfo=UTC), datetime(2026, 3, 22, 3, tzinfo=UTC))
    >>> found = occurrences([Planned(backup, "week")], ZoneInfo("Europe/Berlin"), backup.start, backup.start + timedelta(days=8))
    >>> [one.start.isoformat() for one in found]  # three in the morning, in winter and in summer
    ['2026-03-22T02:00:00+00:00', '2026-03-29T01:00:00+00:00']
    """
    found: list[Stretch] = []
    for plan in planned:
        period = None if plan.repeats is None else _PERIODS[plan.repeats]
        found += [s for s in _repeated(plan, period, zone, begin, end) if s.end > begin and s.start < end]
    return tuple(found)


def recognised(planned: Sequence[Planned], zone: tzinfo) -> tuple[Planned, ...]:
    """Return the weekly habits in what was expected once each.

    Parameters
    ----------
    planned : sequence of Planned
        Those that repeat by themselves are left alone.
    zone : tzinfo
        Whose local time a habit keeps.

    Returns
    -------
    tuple of Planned
        One for each series or selector and hour of the week at which it was expected in `RECOGNISED_WEEKS` weeks or more,
        from the earliest start to the latest end of these, until `RECOGNISED_FOR` after the last.
    """
    by_series: defaultdict[SeriesKey | Selector, list[_Week]] = defaultdict(list)
    for plan in planned:
        once = _Week.of(plan.stretch, zone)
        if plan.repeats is None and once.end - once.start < _DAY:
            by_series[plan.stretch.series].append(once)
    found: list[Planned] = []
    for series, weeks in by_series.items():
        for habit in _together(sorted(weeks, key=lambda week: (week.start, week.monday))):
            mondays = [week.monday for week in habit]
            if len(set(mondays)) < RECOGNISED_WEEKS:
                continue
            start, end = min(week.start for week in habit), max(week.end for week in habit)
            first = _local(series, min(mondays) + start, min(mondays) + end, zone)
            found.append(Planned(first, "week", (max(mondays) + start).replace(tzinfo=zone).astimezone(UTC) + RECOGNISED_FOR))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Week:
    """An interval by its local week: the naive Monday that begins it, and how far into it start and end lie."""

    monday: datetime
    start: timedelta
    end: timedelta

    @classmethod
    def of(cls, stretch: Stretch, zone: tzinfo) -> _Week:
        start, end = (time.astimezone(zone).replace(tzinfo=None) for time in (stretch.start, stretch.end))
        monday = datetime.combine(start.date() - timedelta(days=start.weekday()), datetime.min.time())
        return cls(monday, start - monday, end - monday)


def _together(weeks: Sequence[_Week]) -> list[list[_Week]]:
    """Part intervals, by their start within the week, where the next lies too far from the first of a group."""
    groups: list[list[_Week]] = []
    for week in weeks:
        if groups and week.start - groups[-1][0].start < timedelta(minutes=_TOGETHER_MIN):
            groups[-1].append(week)
        else:
            groups.append([week])
    return groups


def _repeated(plan: Planned, period: timedelta | None, zone: tzinfo, begin: datetime, end: datetime) -> list[Stretch]:
    """Return a plan's own time, and if it comes again those from shortly before `begin` on to `end`."""
    stretch = plan.stretch
    found = [stretch]  # as it was said: taken to local time, an hour that a change of the clocks repeats would be the other one
    if period is None or stretch.start >= end:
        return found
    start_local, end_local = (t.astimezone(zone).replace(tzinfo=None) for t in (stretch.start, stretch.end))
    if end_local <= start_local:  # the clocks were set back meanwhile
        end_local = start_local + (stretch.end - stretch.start)
    number = max((begin - stretch.end) // period - 1, 1)
    while True:
        one = _local(stretch.series, start_local + number * period, end_local + number * period, zone)
        if one.start >= end or (plan.until is not None and one.start > plan.until):
            return found
        found.append(one)
        number += 1


def _local(series: SeriesKey | Selector, start: datetime, end: datetime, zone: tzinfo) -> Stretch:
    """Return an interval of naive local times; one that a change of the clocks would leave empty keeps its length."""
    begin_utc, end_utc = (time.replace(tzinfo=zone).astimezone(UTC) for time in (start, end))
    return Stretch(series, begin_utc, end_utc if end_utc > begin_utc else begin_utc + (end - start))
