"""Silences and maintenance windows: whether one is in force, and whom it keeps quiet.

A maintenance window is a silence that comes again at the same local time; the calendar is that of feedback
(`training.expected`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.alerts.labels import admits
from app.cache.alert_records import SilenceRecord
from models.feedback import Selector, Stretch
from training.expected import Planned, occurrences

__all__ = ["in_force", "silence_of", "silenced_by"]

_MOMENT = timedelta(microseconds=1)


def in_force(silence: SilenceRecord, at: datetime) -> bool:
    """Return whether a silence is in force at a time.

    Examples
    --------
    >>> from datetime import UTC
    >>> from app.cache.alert_records import MatcherRecord
    >>> noon = datetime(2026, 3, 22, 12, tzinfo=UTC)
    >>> every = (MatcherRecord("service", "*"),)
    >>> nightly = SilenceRecord("1", "default", every, noon, noon + timedelta(hours=1), "ann", "backup", noon, "day", "Europe/Berlin")
    >>> [in_force(nightly, noon + timedelta(days=7, hours=h)) for h in (-1, 0, 1)]  # the clocks went forward meanwhile
    [True, False, False]
    """
    if at < silence.start or (silence.ended_at is not None and at >= silence.ended_at):
        return False
    planned = Planned(Stretch(Selector(silence.tenant), silence.start, silence.end), silence.repeats, silence.repeats_until)
    return bool(occurrences([planned], ZoneInfo(silence.zone), at, at + _MOMENT))


def silenced_by(silences: Iterable[SilenceRecord], at: datetime) -> list[SilenceRecord]:
    """Return the silences in force at a time, by id, so that whoever looks names the same one."""
    return sorted((silence for silence in silences if in_force(silence, at)), key=lambda silence: silence.id)


def silence_of(silences: Sequence[SilenceRecord], labels: Mapping[str, str]) -> str | None:
    """Return the id of the first silence that keeps alerts with these labels quiet, if one does."""
    return next((silence.id for silence in silences if admits(silence.matchers, labels)), None)
