"""The wire models of groups of incidents, their plans, the graph and hotspots, for the OpenAPI document and the tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from app.api.schemas import Horizon, IncidentOut, Out, Probability, RetryOut

__all__ = ["EdgeOut", "GraphOut", "GroupOut", "GroupedIncidentOut", "HotspotOut", "IncidentDetailOut", "PostedOut"]

Count = Annotated[float, Field(ge=0.0)]


class GroupedIncidentOut(IncidentOut):
    """An incident and the group that it belongs to."""

    group_id: str | None
    """Null until the tenant's home has looked at it, some seconds after its detection."""


class _Service(Out):
    service: str
    since: AwareDatetime
    """When it showed the trouble first."""
    errors: Count
    """Its ErrorEvents since then, counted by closed windows."""
    order: Annotated[int, Field(ge=1)]
    """In which the trouble spread."""


class _Reason(Out):
    kind: Literal["trace", "graph", "first", "errors", "failed", "latency", "traffic", "logs", "version", "saturation"]
    text: str
    strength: float
    """What it adds to the score."""
    operation: str
    fingerprint: str
    version: str


class _Cause(Out):
    service: str
    score: Probability
    """Its share among all candidates."""
    reasons: list[_Reason]


class _Forewarning(Out):
    service: str
    as_of: AwareDatetime
    horizon: Horizon
    probability: Probability
    lead_s: Count
    """Seconds from `as_of` to the start of the service's incident; 0 for the newest prediction before it."""


class _Happening(Out):
    time: AwareDatetime
    kind: Literal["symptom", "version", "error", "prediction", "incident", "detected", "ended", "verdict", "over"]
    service: str
    """Empty where it is about all."""
    text: str


class _BlastRadius(Out):
    """How much suffered at the worst moment so far."""

    services: int
    requests_per_minute: Count
    failing_share: Probability


class _LikeGroup(Out):
    id: str
    start: AwareDatetime
    end: AwareDatetime | None
    likeness: Probability
    """1 for the same causes, fingerprints and categories."""
    causes: list[str]
    resolved_by: list[str]
    """What people wrote beside their verdicts on its incidents."""


class _Circuit(Out):
    caller: str
    callee: str


class _Step(Out):
    step: Annotated[int, Field(ge=1)]
    service: str
    action: str
    why: str
    retry: RetryOut | None
    """Whether and how requests that failed there may be sent again."""
    circuit: _Circuit | None
    """Calls that are better not made until the callee has recovered."""


class GroupOut(Out):
    """Incidents that belong together: what began where, how it spread, and what to do."""

    id: str
    """It stays while incidents join the group. Of groups that turn out to be one the older id stays, and the others lead to it."""
    tenant: str
    start: AwareDatetime
    detected_at: AwareDatetime
    end: AwareDatetime | None
    """Null while one of its incidents lasts."""
    incidents: list[str]
    """Ids of its incidents, the first 200 by start; `GET /incidents` with `group_id` lists all of them."""
    incident_count: Annotated[int, Field(ge=1)]
    services: list[_Service]
    causes: list[_Cause]
    """The likeliest first."""
    no_causes: str | None
    """Why there are none, in words; null where there are."""
    predicted_before: list[_Forewarning]
    timeline: list[_Happening]
    blast_radius: _BlastRadius
    similar: list[_LikeGroup]
    """Groups of the past, the likest first."""
    plan: list[_Step]
    """In the order in which to take them. Nothing is executed."""
    recovery_expected_at: AwareDatetime | None
    """Its start and the median duration of those of `similar` that lasted longer than it does by now; null without any."""
    recovery_seen: int
    """How many these are."""
    merged: list[str]
    """Ids of groups that turned out to be this one."""
    updated_at: AwareDatetime | None


class IncidentDetailOut(GroupedIncidentOut):
    """An incident with all that is said of its group."""

    group: GroupOut | None


class PostedOut(Out):
    """That a step was posted."""

    id: str
    """Which the receiver got as `webhook-id`: the same for the same step of the same plan."""
    receiver: str
    """Scheme and host."""
    posted_at: AwareDatetime


class EdgeOut(Out):
    """Calls of a service to another, or to a peer outside."""

    caller: str
    callee: str
    calls: Count
    """They fade: what was a day ago counts a third. Of traces without errors a sample tells of calls, see `ingest.span_end_sample`."""
    errors: Count
    """Traces of the last five minutes that failed at both ends, of at most 32 a minute, where one node has both services; as of a quarter of an hour ago at most."""
    lag_s: float
    """Seconds by which what happens at the callee shows at the caller later, 0 where that is not known."""
    lead_bits: float
    """How much likelier it is that the callee moves first than that the caller does; below 0 where the caller does, 0 where neither is known."""


class _Node(Out):
    service: str
    external: bool
    """Whether it is a peer that sends no telemetry of its own."""
    requests_per_minute: Count
    error_ratio: Probability
    in_incident: bool
    symptoms: int
    """How many signals are not as usual."""


class GraphOut(Out):
    """Who calls whom."""

    services: list[_Node]
    edges: list[EdgeOut]
    """Those with the most calls, at most `limit`."""
    truncated: bool
    """Whether there are more."""


class HotspotOut(Out):
    """A part of a service's errors whose share grew."""

    tenant: str
    service: str
    as_of: AwareDatetime
    dimension: Literal["operation", "version", "instance", "fingerprint"]
    name: str
    """Which operation, version, instance or fingerprint."""
    state: Literal["new", "returned", "grown"]
    """Never seen before, not seen for the rest of the hour before, or seen less."""
    errors: Count
    """Of the last 15 ticks."""
    share: Probability
    """Of all errors of these ticks of which the dimension is known."""
    share_before: Probability
    """The same of the time before, faded over a day."""
    ratio: Count
    """Log-likelihood ratio of the two shares: above 15.1 by chance once in ten thousand."""
    since: AwareDatetime
    """Start of the first of these ticks with such an error."""
