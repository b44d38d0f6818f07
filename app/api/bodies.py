"""The wire models of what is posted to the REST API; a fault becomes a problem that names value and bound.

Routes turn them into the dataclasses of the layers below.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.api.schemas import Verdict
from models.feedback import YEARS

__all__ = ["ClassifyIn", "FeedbackBatchIn", "FeedbackIn", "In", "SelectorIn", "StepIn", "TrainingIn", "UtcTime"]

_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?|[-+]?\.\d+")


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("a time must be in the years 1 to 9999 in UTC") from exc


def _written_out(time: object) -> object:
    """Refuse a bare number, which pydantic would read as seconds or milliseconds, as it sees fit."""
    if isinstance(time, int | float) or (isinstance(time, str) and _NUMBER.fullmatch(time.strip())):
        raise ValueError("a time must be written as in RFC 3339, such as 2026-03-02T12:00:00Z")
    return time


UtcTime: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""A time with its zone, written as in RFC 3339 and taken to UTC."""


class In(BaseModel):
    """What is said in a body: no member that is not named."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class ClassifyIn(In):
    """One error to classify; say what is known of it."""

    exception_type: Annotated[str, Field(max_length=1024)] = ""
    message: Annotated[str, Field(max_length=65_536)] = ""
    stack: Annotated[str, Field(max_length=262_144)] = ""
    attributes: Annotated[dict[str, str | int | float | bool], Field(max_length=256)] = {}
    """OpenTelemetry attributes such as `http.response.status_code`."""
    service: Annotated[str, Field(min_length=1, max_length=1024)] = "unknown_service"
    operation: Annotated[str, Field(min_length=1, max_length=4096)] = "*"
    severity: Annotated[int, Field(ge=1, le=24)] | None = None
    """OpenTelemetry severity number; null takes the kind's."""

    @model_validator(mode="after")
    def _says_something(self) -> ClassifyIn:
        if not (self.exception_type or self.message or self.stack or self.attributes):
            raise ValueError("one of exception_type, message, stack and attributes must be given")
        return self


class SelectorIn(In):
    """Which series are meant: an exact name, or `*` or null for any."""

    service: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    operation: Annotated[str, Field(min_length=1, max_length=4096)] | None = None


class FeedbackIn(In):
    """A verdict on exactly one of a prediction, an incident, an interval of a series, or an interval of all series that a selector names."""

    verdict: Verdict
    prediction_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    incident_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    service: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    operation: Annotated[str, Field(min_length=1, max_length=4096)] = "*"
    """Beside `service`: one series, of which `*` is the whole service."""
    selector: SelectorIn | None = None
    """Instead of `service`: many series."""
    start: UtcTime | None = None
    end: UtcTime | None = None
    """Behind the interval, which is half-open."""
    repeats: Literal["day", "week"] | None = None
    """What was expected in the interval comes again, at the same local time."""
    repeats_until: UtcTime | None = None
    """When it has come for the last time; null is never."""
    category: Annotated[str, Field(max_length=64)] | None = None
    who: Annotated[str, Field(min_length=1, max_length=256)] = "unknown"
    """Who says so."""
    why: Annotated[str, Field(max_length=4096)] = ""
    """Words for people."""

    @model_validator(mode="after")
    def _one_target(self) -> FeedbackIn:
        named = ("prediction_id", "incident_id", "service", "selector")
        targets = [name for name in named if getattr(self, name) is not None]
        interval = [name for name in ("start", "end") if getattr(self, name) is not None]
        if len(targets) != 1 or (interval and targets[0].endswith("_id")):
            raise ValueError(
                "exactly one of prediction_id, incident_id, (service, start, end) and (selector, start, end) must be given, "
                f"got {targets + interval}"
            )
        if not targets[0].endswith("_id") and len(interval) < 2:  # noqa: PLR2004 - both ends
            raise ValueError(f"an interval needs service, start and end, or selector, start and end, got {targets + interval}")
        if self.verdict == "missed" and not interval:
            raise ValueError("verdict 'missed' needs service, start and end: when nothing named the incident")
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise ValueError(f"end must be after start {self.start.isoformat()}, got {self.end.isoformat()}")
        for time in (self.start, self.end):
            if time is not None and time.year not in YEARS:
                raise ValueError(f"an interval must be in the years {YEARS[0]} to {YEARS[-1]}, got {time.isoformat()}")
        return self

    @model_validator(mode="after")
    def _can_repeat(self) -> FeedbackIn:
        if self.repeats is not None and (self.verdict != "expected" or self.end is None):
            raise ValueError(f"repeats needs an interval that was expected, got {self.repeats!r} with {self.verdict!r}")
        if self.repeats is not None and self.start is not None and self.end is not None:
            period = timedelta(days=1 if self.repeats == "day" else 7)
            if self.end - self.start >= period:
                raise ValueError(f"what repeats every {self.repeats} must be shorter than that, got {self.end - self.start}")
        if self.repeats_until is not None and self.repeats is None:
            raise ValueError(f"repeats_until needs repeats, got {self.repeats_until.isoformat()} alone")
        return self


class FeedbackBatchIn(In):
    """Verdicts that are kept together or not at all."""

    items: Annotated[list[FeedbackIn], Field(min_length=1, max_length=1000)]


class StepIn(In):
    """Who takes a step, and why: a verdict is taken back, a model serves."""

    who: Annotated[str, Field(min_length=1, max_length=256)] = "unknown"
    why: Annotated[str, Field(max_length=4096)] = ""


class TrainingIn(In):
    """Which part of history to train on; everything has a default."""

    reason: Annotated[str, Field(max_length=1024)] = "asked for over REST"
    since: UtcTime | None = None
    """Null is `models.history_days` before the end."""
    until: UtcTime | None = None
    """Behind the interval of history that is read; null is now."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None
    """Null takes the configured one."""

    @model_validator(mode="after")
    def _not_empty(self) -> TrainingIn:
        if self.since is not None and self.until is not None and not self.since < self.until:
            raise ValueError(f"until must be after since {self.since.isoformat()}, got {self.until.isoformat()}")
        return self


class BacktestIn(TrainingIn):
    """Which part of history to walk through; everything has a default."""
