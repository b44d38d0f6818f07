"""The wire models of the REST API: what the OpenAPI document says of its answers.

Answers are encoded straight from the dataclasses of `app.cache.documents`; the tests hold every answer
against these models, which allow no further member.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

__all__ = [
    "AdviceOut",
    "AnomalyOut",
    "ClassificationOut",
    "ErrorEventOut",
    "ErrorGroupOut",
    "ExplanationOut",
    "FeedbackOut",
    "Horizon",
    "IncidentOut",
    "Items",
    "ModelOut",
    "Out",
    "PredictionOut",
    "Probability",
    "ProblemOut",
    "RetryOut",
    "RunState",
    "SelectorOut",
    "ServiceOut",
    "ServicePredictionOut",
    "Status",
    "TrainingRunOut",
    "Verdict",
]

T = TypeVar("T")

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Horizon = Literal["5min", "15min", "60min"]
Status = Literal["warming_up", "prior", "ok", "in_incident", "stale"]
RunState = Literal["queued", "running", "succeeded", "failed"]
Verdict = Literal["confirmed", "false_alarm", "missed", "prevented", "expected", "unknown"]


class _Out(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


Out = _Out
"""What the wire models of other modules are made from."""


class Items(_Out, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None
    """The `cursor` of the next page; null on the last one."""


class ProblemOut(BaseModel):
    """An error answer, RFC 9457."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str


class _Chance(_Out):
    probability: Probability
    lower: Probability
    upper: Probability


class _Category(_Out):
    category: str
    """One of the 13, or `unknown`: an incident without errors of a known kind."""
    probability: Probability
    """That an incident is of this category, if one begins."""


class _Reason(_Out):
    text: str
    group: str
    contribution: float
    """Change of the 60-minute logit against a quiet series."""


class _Anomaly(_Out):
    score: Probability
    """One minus the tail probability of the last window."""
    value: float
    expected: float
    lower: float
    upper: float
    signal: Literal["errors", "failed", "latency", "traffic", "combination"]
    """What was the most surprising: errors, the share of requests that failed, their mean duration in seconds, requests, or how unusual
    the last three are together, in bits."""
    since: AwareDatetime | None
    """Start of the window with which an anomaly began; null once it is longer ago than an episode lasts."""


class AnomalyOut(_Anomaly):
    """An anomaly of the last hour, with what its series does now."""

    tenant: str
    service: str
    operation: str
    """`*` is the whole service."""
    as_of: AwareDatetime
    prediction_id: str


class PredictionOut(_Out):
    """The probability that an incident of the series begins within each horizon after `as_of`."""

    id: str
    tenant: str
    service: str
    operation: str
    """`*` is the whole service."""
    as_of: AwareDatetime
    status: Status
    """`stale` once `expires_at` has passed without a newer prediction, another model serves, or feedback came that it does not know of."""
    horizons: dict[Horizon, _Chance]
    categories: list[_Category]
    """At most the three likeliest of an incident, if one begins; none that is not likelier than by guessing. They need not sum to 1."""
    reasons: list[_Reason]
    anomaly: _Anomaly
    model_version: str
    age_s: Annotated[float, Field(ge=0.0)]
    expires_at: AwareDatetime
    feedback: Annotated[int, Field(ge=0)]
    """How many verdicts on the series, and withdrawals of some, had come when it was made."""


class ServicePredictionOut(PredictionOut):
    """The prediction of a whole service with those of its operations."""

    operations: list[PredictionOut]


class RetryOut(_Out):
    """Whether and how the same request may be sent again."""

    safe: Literal["yes", "if_idempotent", "no"]
    first_s: float
    """Seconds before the first retry."""
    factor: float
    """Growth of the wait."""
    max_s: float
    attempts: int
    jitter: Literal["full", "none"]


class AdviceOut(_Out):
    """What to do about a kind of failure."""

    kind: str
    now: str
    """What to do now."""
    retry: RetryOut
    check: list[str]
    """What to check."""
    fix: list[str]
    """What to fix, so that it does not come back."""


class _Group(_Out):
    group: str
    contribution: float
    text: str
    values: dict[str, float | None]


class ExplanationOut(_Out):
    """What lies behind a prediction."""

    id: str
    tenant: str
    service: str
    operation: str
    as_of: AwareDatetime
    status: Status
    age_s: Annotated[float, Field(ge=0.0)]
    model_version: str
    horizons: dict[Horizon, _Chance]
    categories: list[_Category]
    groups: list[_Group]
    """By falling absolute contribution."""
    background_probability: Probability
    """The 60-minute probability of a quiet series, from which the contributions start."""
    advice: list[AdviceOut]
    members: dict[str, Probability | None]
    """The 60-minute probability of each member of the blend."""
    weights: dict[str, float]


class _Trend(_Out):
    slope: float
    lower: float
    upper: float
    """`lower` and `upper` cover 90 % if windows are independent."""


class ServiceOut(_Out):
    """A service as it was last seen."""

    tenant: str
    service: str
    operations: list[str]
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    requests_per_minute: float
    error_ratio: Probability
    versions: list[str]
    instances: int
    operations_folded: bool
    """Whether operations beyond the limit were put together in `_other`."""
    error_trend_per_minute: _Trend | None
    """By how much the errors a minute grow each minute, over the last 30 windows; null for a younger service."""


class ErrorGroupOut(_Out):
    """Like errors of a service."""

    tenant: str
    service: str
    fingerprint: str
    kind: str
    category: str
    retryable: bool
    transient: bool
    count: int
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    message: str
    exception_type: str
    operations: list[str]
    advice: AdviceOut | None
    new: bool
    """First seen within the last 24 hours, at a service that had been known for an hour then."""
    regressed: bool
    """Back within the last 24 hours, after two days or more without it."""
    since: AwareDatetime | None
    """Since when it is new or back; null for others."""


class ErrorEventOut(_Out):
    """One error occurrence."""

    time: AwareDatetime
    received_at: AwareDatetime
    tenant: str
    service: str
    operation: str
    category: str
    kind: str
    severity: int
    retryable: bool
    transient: bool
    fingerprint: str
    trace_id: str
    span_id: str
    exception_type: str
    message: str
    stack: str
    attributes: dict[str, str]
    weight: float
    """How many failures it stands for, where spans are sampled."""


class ClassificationOut(_Out):
    """What kind of failure an error is."""

    kind: str
    category: str
    severity: int
    retryable: bool
    transient: bool
    fingerprint: str
    """Of the group of like errors, as long as no template has generalised over the message."""
    by: Literal["user", "error.type", "exception.type", "http", "rpc", "db", "messaging", "message", "unknown"]
    """What kind of evidence decided."""
    rule: str
    """The value that decided."""
    advice: AdviceOut


class _Earlier(_Out):
    as_of: AwareDatetime
    horizons: dict[Horizon, Probability]


class IncidentOut(_Out):
    """An incident that was observed or reported."""

    id: str
    tenant: str
    service: str
    operation: str
    start: AwareDatetime
    detected_at: AwareDatetime
    end: AwareDatetime | None
    source: str
    category: str
    predicted: dict[Horizon, Probability] | None
    """The newest probabilities at its start."""
    earlier: list[_Earlier]
    """Those of the hour before, where the one for 60 minutes was 10 % or more."""


class SelectorOut(_Out):
    """Which series are meant; null stands for any."""

    service: str | None
    operation: str | None


class FeedbackOut(_Out):
    """A verdict as it was kept, or the withdrawal of one."""

    id: str
    tenant: str
    received_at: AwareDatetime
    verdict: Verdict
    prediction_id: str | None
    incident_id: str | None
    service: str | None
    """Null for a prediction that is no longer kept, and where a selector names many series."""
    operation: str | None
    start: AwareDatetime | None
    end: AwareDatetime | None
    category: str | None
    who: str
    why: str
    selector: SelectorOut | None
    repeats: Literal["day", "week"] | None
    repeats_until: AwareDatetime | None
    undoes: str | None
    """The verdict that this record takes back."""
    undone_by: str | None
    """The record that took this verdict back; it no longer counts."""


class TrainingRunOut(_Out):
    """A training run."""

    id: str
    state: RunState
    requested_at: AwareDatetime
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    progress: Probability
    reason: str
    model_version: str | None
    report: dict[str, object] | None
    error: str | None
    tenant: str
    node: str
    """The node of a cluster that works on it; empty before it is known."""


class ModelOut(_Out):
    """A fitted model and how well it did."""

    id: str
    sha256: str
    alias: Literal["candidate", "challenger", "champion", "retired"]
    schema_version: int
    schema_sha256: str
    trained_from: AwareDatetime
    trained_to: AwareDatetime
    data_sha256: str
    seed: int
    serves: dict[str, str]
    """By horizon, who serves the interval that ends there: `ensemble`, or the baseline that it did not beat."""
    scores: dict[str, float | None]
    """Held-out scores of the ensemble by name, such as `60min.ap`; also where a baseline serves."""
    created_at: AwareDatetime
    sklearn: str
    river: str
    numpy: str
