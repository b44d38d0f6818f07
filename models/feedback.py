"""What a person says about a prediction, an incident or a stretch of time.

Comes in through the API, is appended and never rewritten; `in_force` says what of it still stands, and
`training.labels` lays that over what the rule found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from features.errors import InvalidValue
from features.series import SeriesKey

__all__ = ["REPEATS", "VERDICTS", "YEARS", "Feedback", "Selector", "Stretch", "in_force"]

VERDICTS = ("confirmed", "false_alarm", "missed", "prevented", "expected", "unknown")
"""confirmed: it was an incident. false_alarm: it was none. missed: there was one that nothing named.
prevented: there would have been one, had nobody acted, so its absence teaches nothing. expected: it was
planned. unknown: nobody can say; leave it out."""

REPEATS = ("day", "week")
"""How often what was expected comes again, at the same local time."""

YEARS = range(1900, 3000)
"""Years that an interval may lie in: far from where a calendar of any zone ends."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series of a tenant are meant.

    Parameters
    ----------
    tenant : str
        Whose series.
    service, operation : str or None
        An exact name; None stands for any.

    Raises
    ------
    InvalidValue
        When a name is empty.

    Examples
    --------
    >>> checkout = Selector("default", "checkout", None)
    >>> checkout.covers(SeriesKey("default", "checkout", "POST /pay")), checkout.covers(SeriesKey("default", "cart", "*"))
    (True, False)
    """

    tenant: str
    service: str | None = None
    operation: str | None = None

    def __post_init__(self) -> None:
        if not self.tenant or self.service == "" or self.operation == "":
            raise InvalidValue(
                f"tenant, service and operation must not be empty, got {self.tenant!r}, {self.service!r}, {self.operation!r}"
            )

    def covers(self, key: SeriesKey) -> bool:
        """Return whether a series is one of those meant."""
        return key.tenant == self.tenant and self.service in (None, key.service) and self.operation in (None, key.operation)


@dataclass(frozen=True, slots=True)
class Stretch:
    """An interval ``[start, end)`` of a series, or of all that a selector names, aware UTC.

    Raises
    ------
    InvalidValue
        When a time is naive or out of `YEARS`, or the end is not after the start.
    """

    series: SeriesKey | Selector
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidValue(f"start and end must be aware, got {self.start} and {self.end}")
        if self.start.year not in YEARS or self.end.year not in YEARS:
            raise InvalidValue(f"start and end must be in the years {YEARS[0]} to {YEARS[-1]}, got {self.start} and {self.end}")
        if self.end <= self.start:
            raise InvalidValue(f"end must be after start, got {self.start} and {self.end}")

    def covers(self, key: SeriesKey) -> bool:
        """Return whether it speaks of a series."""
        return self.series == key if isinstance(self.series, SeriesKey) else self.series.covers(key)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One verdict on exactly one target, or the withdrawal of one.

    Parameters
    ----------
    id : str
        Unique.
    verdict : str
        One of `VERDICTS`; of a withdrawal, what is withdrawn.
    who : str
        Who says so.
    at : datetime
        When it was said, aware UTC.
    prediction : str or None
        Id of the prediction it is about.
    incident : str or None
        Id of the incident it is about.
    stretch : Stretch or None
        The time it is about. ``missed`` needs one; with a prediction or an incident it may say when.
    why : str
        Words for people.
    undoes : str or None
        Id of the verdict that this one takes back.
    repeats : str or None
        One of `REPEATS`: what was expected comes again at the same local time. Only with ``expected`` and a stretch.
    until : datetime or None
        When it has come for the last time, aware UTC; None is never.

    Raises
    ------
    InvalidValue
        When the verdict is unknown, the target is not exactly one, ``missed`` has no stretch, or it repeats and cannot.
    """

    id: str
    verdict: str
    who: str
    at: datetime
    prediction: str | None = None
    incident: str | None = None
    stretch: Stretch | None = None
    why: str = ""
    undoes: str | None = None
    repeats: str | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise InvalidValue(f"verdict must be one of {VERDICTS}, got {self.verdict!r}")
        if not self.id or not self.who:
            raise InvalidValue(f"id and who must not be empty, got {self.id!r} and {self.who!r}")
        if self.at.tzinfo is None or (self.until is not None and self.until.tzinfo is None):
            raise InvalidValue(f"at and until must be aware, got {self.at} and {self.until}")
        if self.undoes is not None:
            return
        named = sum(target is not None for target in (self.prediction, self.incident))
        if named > 1 or (named == 0 and self.stretch is None):
            raise InvalidValue(
                f"the target must be one prediction, one incident or a stretch, got {self.prediction!r}, {self.incident!r}, "
                f"{self.stretch}"
            )
        if self.verdict == "missed" and self.stretch is None:
            raise InvalidValue("verdict 'missed' needs the stretch in which the incident was")
        if self.repeats is not None and (self.repeats not in REPEATS or self.verdict != "expected" or self.stretch is None):
            raise InvalidValue(
                f"repeats must be one of {REPEATS} of an expected stretch, got {self.repeats!r} with {self.verdict!r}, {self.stretch}"
            )

    @property
    def target(self) -> object:
        """What it is about: two verdicts on the same are one said anew."""
        return self.prediction or self.incident or self.stretch


def in_force(feedback: Iterable[Feedback]) -> tuple[Feedback, ...]:
    """Return the verdicts that stand: not taken back, and of those on one target the last.

    Parameters
    ----------
    feedback : iterable of Feedback
        All that was ever said, in any order.

    Returns
    -------
    tuple of Feedback
        In the order in which they were said.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> said = [Feedback("1", "false_alarm", "ann", noon, incident="i"), Feedback("2", "false_alarm", "ann", noon, undoes="1")]
    >>> in_force(said), [one.id for one in in_force(said[:1])]
    ((), ['1'])
    """
    said = sorted(feedback, key=lambda one: one.at)
    undone = {one.undoes for one in said}
    last: dict[object, Feedback] = {}
    for one in said:
        if one.undoes is None and one.id not in undone:
            last.pop(one.target, None)  # so that it takes its place anew
            last[one.target] = one
    return tuple(last.values())
