"""Alerts, silences, notices and thresholds as they are kept: the buckets ``alerts``, ``silences``, ``notices`` and ``thresholds``.

`app.alerts` writes them at the tenant's home, `app.api` acknowledges and silences, and answers with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from features.errors import InvalidValue
from models.feedback import REPEATS, YEARS

__all__ = [
    "ACTIVE",
    "ALERT_STATES",
    "LONGEST_SILENCE",
    "AlertRecord",
    "DeliveryRecord",
    "MatcherRecord",
    "NoticeRecord",
    "SilenceRecord",
    "ThresholdRecord",
    "ThresholdStep",
]

ALERT_STATES = ("pending", "firing", "acknowledged", "silenced", "inhibited", "resolved")
"""States of an alert. It may move among the four in the middle, and never comes back from the last."""

ACTIVE = frozenset(ALERT_STATES[1:5])
"""States in which what it is about goes on."""

LONGEST_SILENCE = timedelta(days=366)
"""From start to end: a year. One that comes again may do so for ever."""


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One time that a series met a route's condition, from the first instant to the last.

    Parameters
    ----------
    id, tenant, rule : str
        Its name, whose, and the name of the route that made it.
    state : str
        One of `ALERT_STATES`.
    shadow : bool
        Whether it is only written down, and told to nobody.
    service, operation : str
        What it is about.
    labels : Mapping of str to str
        Its identity; they do not change.
    value : float
        What was compared with the threshold when this was written.
    probability, horizon : float and str, or None
        Of a prediction: the same, and of which horizon.
    threshold : float
        What it had to meet.
    reasons : tuple of str
        What a person reads.
    as_of : datetime
        Of the newest observation that it is made of; older ones change nothing.
    started_at : datetime
        When the threshold was met.
    fired_at, ended_at : datetime or None
        When that had lasted for long enough, and when it was over.
    acknowledged_by, acknowledged_at
        Who looks after it, and since when.
    silence_id, inhibited_by : str or None
        The silence, or the alert of its cause, that keeps it quiet.
    heard_at : datetime or None
        Since when it was told, or would have been in shadow: None while a silence, a cause or somebody who took it came before.
    group_id, page : str or None
        The group of incidents that its service is in, and the id of the alert that opened the page.
    updated_at : datetime
        When this was written.

    Raises
    ------
    InvalidValue
        When there is no such state.
    """

    id: str
    tenant: str
    rule: str
    state: str
    shadow: bool
    service: str
    operation: str
    labels: Mapping[str, str]
    value: float
    probability: float | None
    horizon: str | None
    threshold: float
    reasons: tuple[str, ...]
    as_of: datetime
    started_at: datetime
    updated_at: datetime
    fired_at: datetime | None = None
    ended_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    silence_id: str | None = None
    inhibited_by: str | None = None
    heard_at: datetime | None = None
    group_id: str | None = None
    page: str | None = None

    def __post_init__(self) -> None:
        if self.state not in ALERT_STATES:
            raise InvalidValue(f"state must be one of {ALERT_STATES}, got {self.state!r}")

    @property
    def active(self) -> bool:
        """Whether what it is about goes on, and has lasted for long enough."""
        return self.state in ACTIVE

    @property
    def over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state == "resolved"


@dataclass(frozen=True, slots=True)
class MatcherRecord:
    """What a label must be, or must not: a pattern in which ``*`` stands for any characters."""

    label: str
    pattern: str
    equal: bool = True


@dataclass(frozen=True, slots=True)
class SilenceRecord:
    """A time in which alerts with certain labels are told to nobody; one that comes again is a maintenance window.

    Parameters
    ----------
    id, tenant : str
        Its name.
    matchers : tuple of MatcherRecord
        All must fit.
    start, end : datetime
        When it is in force for the first time, half-open.
    author, comment : str
        Who says so and why.
    created_at : datetime
        When.
    repeats : str or None
        One of `models.feedback.REPEATS`: it comes again at the same local time.
    zone : str
        IANA name of the zone whose local time it keeps.
    repeats_until : datetime or None
        When it comes for the last time; None is never.
    ended_at, ended_by
        Set where somebody ended it early.

    Raises
    ------
    InvalidValue
        When it is empty, longer than a year or in no year that a calendar knows, or cannot come again as it says.
    """

    id: str
    tenant: str
    matchers: tuple[MatcherRecord, ...]
    start: datetime
    end: datetime
    author: str
    comment: str
    created_at: datetime
    repeats: str | None = None
    zone: str = "UTC"
    repeats_until: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    def __post_init__(self) -> None:
        if not self.start < self.end or self.end - self.start > LONGEST_SILENCE:
            raise InvalidValue(
                f"end must be after start {self.start.isoformat()}, and a year later at most, got {self.end.isoformat()}"
            )
        if self.start.year not in YEARS or self.end.year not in YEARS:
            raise InvalidValue(f"start and end must be in the years {YEARS[0]} to {YEARS[-1]}, got {self.start} and {self.end}")
        if self.repeats is not None and self.repeats not in REPEATS:
            raise InvalidValue(f"repeats must be one of {REPEATS} or none, got {self.repeats!r}")
        if not self.matchers:
            raise InvalidValue("matchers must name at least one label, got none")


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """What a channel's receiver was told last.

    Parameters
    ----------
    seq : int
        Of what it has.
    at : datetime
        When it was told.
    refused : str
        Why it will never take that, empty where it has it.
    """

    seq: int
    at: datetime
    refused: str = ""


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """What is to be told of an alert, and who has it.

    Parameters
    ----------
    id, tenant : str
        Those of the alert.
    page : str
        Notices of one page are sent together.
    channels : tuple of str
        Who is to be told.
    seq : int
        1 that it fires, 2 that it is over; on from there if its id comes again.
    firing : bool
        Which of the two.
    labels, annotations, starts_at, ends_at, link
        As `app.alerts.contract.Notice` has them.
    delivered : Mapping of str to DeliveryRecord
        By channel.
    """

    id: str
    tenant: str
    page: str
    channels: tuple[str, ...]
    seq: int
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    link: str = ""
    delivered: Mapping[str, DeliveryRecord] = field(default_factory=dict[str, DeliveryRecord])

    @property
    def settled(self) -> bool:
        """Whether all have the last word."""
        return not self.firing and all(
            channel in self.delivered and self.delivered[channel].seq >= self.seq for channel in self.channels
        )


@dataclass(frozen=True, slots=True)
class ThresholdStep:
    """A threshold, and from when it counted."""

    at: datetime
    threshold: float
    basis: str


@dataclass(frozen=True, slots=True)
class ThresholdRecord:
    """What a route's budget comes to for a tenant, and what that is based on.

    Parameters
    ----------
    tenant, route : str
        Whose.
    budget_per_day : float
        Pages a day.
    threshold, resolve_below : float
        From where alerts fire and below which they are over.
    basis : str
        ``history``, or ``default`` while there is too little of it.
    fitted_at : datetime
        When it was found.
    since, until : datetime or None
        The predictions that were looked at.
    days : float
        On how many days there were some.
    series, predictions : int
        Of how many series, and how many.
    alerts, pages : int
        What the threshold would have come to over these days; an alert that lasts for long costs several pages.
    steps : tuple of ThresholdStep
        This one and those before it, newest last.
    asked : str
        Names everything of the route that the threshold depends on; not shown over REST.
    """

    tenant: str
    route: str
    budget_per_day: float
    threshold: float
    resolve_below: float
    basis: str
    fitted_at: datetime
    since: datetime | None = None
    until: datetime | None = None
    days: float = 0.0
    series: int = 0
    predictions: int = 0
    alerts: int = 0
    pages: int = 0
    steps: tuple[ThresholdStep, ...] = ()
    asked: str = ""

    def at(self, when: datetime) -> ThresholdStep | None:
        """Return the threshold that counted at a time; None before the first."""
        return next((step for step in reversed(self.steps) if step.at <= when), None)
