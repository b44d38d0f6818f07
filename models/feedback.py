"""What a person says about a prediction, an incident or a stretch of time.

Comes in through the API, is appended and never rewritten; `training.labels` lays it over what the rule
found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from features.errors import InvalidValue
from features.series import SeriesKey

__all__ = ["VERDICTS", "Feedback", "Stretch"]

VERDICTS = ("confirmed", "false_alarm", "missed", "prevented", "expected", "unknown")
"""confirmed: it was an incident. false_alarm: it was none. missed: there was one that nothing named.
prevented: there would have been one, had nobody acted, so its absence teaches nothing. expected: it was
planned. unknown: nobody can say; leave it out."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """An interval ``[start, end)`` of a series, aware UTC.

    Raises
    ------
    InvalidValue
        When a time is naive or the end is not after the start.
    """

    series: SeriesKey
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidValue(f"start and end must be aware, got {self.start} and {self.end}")
        if self.end <= self.start:
            raise InvalidValue(f"end must be after start, got {self.start} and {self.end}")


@dataclass(frozen=True, slots=True)
class Feedback:
    """One verdict on exactly one target.

    Parameters
    ----------
    id : str
        Unique.
    verdict : str
        One of `VERDICTS`.
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

    Raises
    ------
    InvalidValue
        When the verdict is unknown, the target is not exactly one, or ``missed`` has no stretch.
    """

    id: str
    verdict: str
    who: str
    at: datetime
    prediction: str | None = None
    incident: str | None = None
    stretch: Stretch | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise InvalidValue(f"verdict must be one of {VERDICTS}, got {self.verdict!r}")
        if not self.id or not self.who:
            raise InvalidValue(f"id and who must not be empty, got {self.id!r} and {self.who!r}")
        if self.at.tzinfo is None:
            raise InvalidValue(f"at must be aware, got {self.at}")
        named = sum(target is not None for target in (self.prediction, self.incident))
        if named > 1 or (named == 0 and self.stretch is None):
            raise InvalidValue(
                f"the target must be one prediction, one incident or a stretch, got {self.prediction!r}, {self.incident!r}, "
                f"{self.stretch}"
            )
        if self.verdict == "missed" and self.stretch is None:
            raise InvalidValue("verdict 'missed' needs the stretch in which the incident was")
