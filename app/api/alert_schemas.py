"""The wire models of alerts, silences and routes: what is posted, and what is answered for the OpenAPI document and the tests."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from app.api.bodies import In, UtcTime
from app.api.schemas import Horizon, Out, Probability
from app.cache.alert_records import LONGEST_SILENCE
from app.zone import checked_zone

__all__ = [
    "AcknowledgeIn",
    "AlertOut",
    "AlertRouteOut",
    "AlertState",
    "ExplanationsOut",
    "MatcherIn",
    "SilenceIn",
    "SilenceOut",
]

AlertState = Literal["pending", "firing", "acknowledged", "silenced", "inhibited", "resolved"]


class AcknowledgeIn(In):
    """Who looks after an alert."""

    who: Annotated[str, Field(min_length=1, max_length=256)] = "unknown"


class MatcherIn(In):
    """What a label must be: a pattern in which `*` stands for any characters."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    pattern: Annotated[str, Field(max_length=1024)]
    equal: bool = True
    """False: must not be."""


class SilenceIn(In):
    """Alerts that are to be told to nobody for a time. With `repeats` it is a maintenance window."""

    matchers: Annotated[list[MatcherIn], Field(min_length=1, max_length=32)]
    """All must fit. The labels of an alert are `alertname` (its route), `service`, `operation`, `tenant`, `on`, and those of the route."""
    start: UtcTime | None = None
    """Null is now."""
    end: UtcTime
    author: Annotated[str, Field(min_length=1, max_length=256)]
    comment: Annotated[str, Field(max_length=4096)] = ""
    repeats: Literal["day", "week"] | None = None
    """It comes again, at the same local time."""
    zone: Annotated[str, Field(max_length=64)] = "UTC"
    """IANA name of the zone whose local time that is."""
    repeats_until: UtcTime | None = None
    """When it comes for the last time; null is never."""

    _zone = field_validator("zone")(checked_zone)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.start is not None and (self.end <= self.start or self.end - self.start > LONGEST_SILENCE):
            raise ValueError("end must be after start, and a year later at most")
        if self.repeats is None and self.repeats_until is not None:
            raise ValueError("repeats_until needs repeats")
        return self


class AlertOut(Out):
    """One time that a series met the condition of a route."""

    id: str
    tenant: str
    rule: str
    """The route that made it."""
    state: AlertState
    shadow: bool
    """Only written down: nobody is told."""
    service: str
    operation: str
    labels: dict[str, str]
    value: float
    """What was compared with the threshold when it was last written: a probability, the score of an anomaly, or 1 for an incident."""
    probability: Probability | None
    horizon: Horizon | None
    threshold: float
    reasons: list[str]
    as_of: AwareDatetime
    started_at: AwareDatetime
    """When the threshold was met."""
    updated_at: AwareDatetime
    fired_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    acknowledged_by: str | None
    acknowledged_at: AwareDatetime | None
    silence_id: str | None
    inhibited_by: str | None
    """The alert of its cause, that keeps it quiet."""
    heard_at: AwareDatetime | None
    """Since when it was told, or would have been in shadow; null while it was kept quiet all along."""
    group_id: str | None
    """The group of incidents that its service was in."""
    page: str | None
    """The alert that opened the page which this one is part of."""


class _Matcher(Out):
    label: str
    pattern: str
    equal: bool


class SilenceOut(Out):
    """A time in which certain alerts are told to nobody."""

    id: str
    tenant: str
    matchers: list[_Matcher]
    start: AwareDatetime
    end: AwareDatetime
    author: str
    comment: str
    created_at: AwareDatetime
    repeats: Literal["day", "week"] | None
    zone: str
    repeats_until: AwareDatetime | None
    ended_at: AwareDatetime | None
    """Set where somebody ended it early."""
    ended_by: str | None
    in_force: bool


class _Step(Out):
    at: AwareDatetime
    threshold: float
    basis: Literal["history", "default"]


class _Threshold(Out):
    tenant: str
    route: str
    budget_per_day: float
    threshold: float
    resolve_below: float
    basis: Literal["history", "default"]
    """`default` while there is too little history."""
    fitted_at: AwareDatetime
    since: AwareDatetime | None
    until: AwareDatetime | None
    days: float
    """On how many days of that interval something was predicted."""
    series: int
    predictions: int
    alerts: int
    pages: int
    """What the threshold would have come to over these days."""
    steps: list[_Step]


class _Shown(Out):
    since: AwareDatetime
    alerts: int
    """That fired since then."""
    pages: int
    pages_per_day: float
    in_incident_within_hour: int
    """Of these alerts, those of a service in which an incident stood at the time or began within 60 minutes."""


class AlertRouteOut(Out):
    """A route, what its budget comes to, and what it did lately, or would have done."""

    name: str
    on: Literal["prediction", "anomaly", "incident"]
    horizon: Horizon
    matchers: list[_Matcher]
    operations: bool
    budget_per_day: float
    threshold: float | None
    """Of a prediction's route, the one that counts now; null for others, see docs."""
    threshold_basis: Literal["history", "default", "fixed"] | None
    fitted: _Threshold | None
    min_duration_s: float
    group_by: Literal["tenant", "service"]
    group_s: float
    shadow: bool
    channels: list[str]
    labels: dict[str, str]
    lately: _Shown


class _Explained(Out):
    route: str
    on: Literal["prediction", "anomaly", "incident"]
    shadow: bool
    verdict: Literal[
        "fired",
        "acknowledged",
        "silenced",
        "inhibited",
        "pending",
        "below_threshold",
        "budget",
        "held",
        "no_data",
        "not_selected",
    ]
    """`budget`: so near the threshold that a larger budget might have let it fire. `held`: in an incident, or too young."""
    text: str
    value: float | None
    threshold: float | None
    threshold_basis: Literal["history", "default", "fixed", "budget", ""]
    """`budget`: of a route on anomalies, the score that comes as often as the budget allows."""
    pending_s: float | None
    alert_id: str | None
    silence_id: str | None
    inhibited_by: str | None


class ExplanationsOut(Out):
    """Why each route told somebody of a series at an instant, or why not."""

    tenant: str
    service: str
    operation: str
    at: AwareDatetime
    routes: list[_Explained]
