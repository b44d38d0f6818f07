"""The wire models of trends, for the OpenAPI document and the tests, as in `app.api.schemas`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from app.api.schemas import Out, Probability

__all__ = ["TrendOut"]


class _Slope(Out):
    slope: float
    lower: float
    upper: float
    """`lower` and `upper` cover 90 %."""


class _Change(Out):
    at: AwareDatetime
    before: float
    after: float


class _Point(Out):
    at: AwareDatetime
    """The end of the five minutes whose mean is forecast."""
    expected: float
    lower: float
    upper: float
    """90 % of outcomes lie from `lower` to `upper`, by the series' own past errors."""
    usual: float
    """At this hour of the week, of latency at this hour of the day."""
    limit: float


class _LimitMet(Out):
    probability: Probability
    """That the mean of any five minutes of the next hour is at the limit or above."""
    earliest: AwareDatetime | None
    """When the upper bound is at the limit; null where it is not within the hour."""
    expected: AwareDatetime | None
    latest: AwareDatetime | None
    """When even the lower bound is."""


class _Measure(Out):
    level: float
    usual: float
    """At this hour."""
    usual_at_any_hour: float
    limit: float
    """Of errors, what breaks the incident rule when it lasts; of latency, what is improbable at this hour and twice the usual at least."""
    slope_per_hour: _Slope
    change: _Change | None
    """When the level last changed by more than chance and hour of the day explain."""
    forecast: list[_Point]
    meets_limit: _LimitMet


class TrendOut(Out):
    """Where the errors and the latency of a series are going."""

    tenant: str
    service: str
    operation: str
    """`*` is the whole service."""
    as_of: AwareDatetime
    expires_at: AwareDatetime
    age_s: Annotated[float, Field(ge=0.0)]
    status: Literal["warming_up", "ok", "in_incident", "stale"]
    """`stale` once `expires_at` has passed, or where nothing was heard for an hour."""
    errors_per_minute: _Measure
    p95_s: _Measure | None
    """The duration that one request in twenty exceeds, over five minutes; null where no request was timed yet."""
