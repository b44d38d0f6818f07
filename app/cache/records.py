"""What the worker publishes for the API, one frozen dataclass a bucket: flat, and ready to be encoded.

`app.flow` fills them, `app.cache.documents` turns them into bytes and back, `app.api` answers with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from features.errors import InvalidValue
from features.event import ErrorEvent
from features.recovery import Advice
from features.series import SeriesKey
from models.feedback import VERDICTS, Feedback, Selector, Stretch
from models.prediction import AnomalyScore, Chance, ExpectedCategory, Reason

__all__ = [
    "NOTHING",
    "RUN_STATES",
    "EarlierForecast",
    "ErrorGroup",
    "Explanation",
    "FeedbackRecord",
    "GroupContribution",
    "IncidentRecord",
    "Known",
    "PredictionRecord",
    "RecentErrors",
    "SelectorRecord",
    "ServiceSummary",
    "TrainingRun",
    "Trend",
    "check_run",
]


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a series, besides its data, when it was forecast; the members are those of `PredictionRecord`."""

    serving: str = ""
    feedback: int = 0


NOTHING = Known()
"""What is known where nothing serves and nobody said anything."""

RUN_STATES = ("queued", "running", "succeeded", "failed")
"""States of a training run, in order."""


@dataclass(frozen=True, slots=True)
class GroupContribution:
    """One feature group's share of a prediction with the values behind it.

    Parameters
    ----------
    group : str
        The feature group.
    contribution : float
        Change of the 60-minute logit against a quiet series.
    text : str
        What a person reads.
    values : Mapping[str, float or None]
        Feature values by name; None where nothing was known.
    """

    group: str
    contribution: float
    text: str
    values: Mapping[str, float | None] = field(default_factory=dict[str, float | None])


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a prediction is what it is.

    Parameters
    ----------
    groups : tuple of GroupContribution
        By falling absolute contribution.
    background_probability : float
        The 60-minute probability of a quiet series, from which the contributions start.
    advice : tuple of Advice
        What to do, by the expected kinds of failure.
    members : Mapping[str, float or None]
        The 60-minute probability of each member of the blend; None for a member that gave none.
    weights : Mapping[str, float]
        The blend's weights.
    """

    groups: tuple[GroupContribution, ...]
    background_probability: float
    advice: tuple[Advice, ...] = ()
    members: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    weights: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """A Prediction as it is stored: flat keys, with its explanation, and what was known when it was made.

    Parameters
    ----------
    serving : str
        The version that the registry let serve then, empty for none; not `model_version` where that could not be loaded.
    feedback : int
        Verdicts on the series, and withdrawals of some, that had come by then.
    """

    id: str
    tenant: str
    service: str
    operation: str
    as_of: datetime
    status: str
    horizons: dict[str, Chance]
    categories: tuple[ExpectedCategory, ...]
    reasons: tuple[Reason, ...]
    anomaly: AnomalyScore
    model_version: str
    expires_at: datetime
    explanation: Explanation | None = None
    serving: str = ""
    feedback: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through the last windows: its slope with a 90 % interval, in the unit of the field that holds it."""

    slope: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class ServiceSummary:
    """A service as it was last seen.

    Parameters
    ----------
    operations : tuple of str
        Its series; ``_other`` among them when `operations_folded`.
    requests_per_minute, error_ratio : float
        Of the last closed window.
    versions : tuple of str
        Versions that its instances named.
    instances : int
        Instances that spoke.
    operations_folded : bool
        Whether operations beyond the limit went into ``_other``.
    error_trend_per_minute : Trend or None
        By how much the errors a minute grow each minute, over the last 30 windows; None for a younger service.
    """

    tenant: str
    service: str
    operations: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    requests_per_minute: float
    error_ratio: float
    versions: tuple[str, ...] = ()
    instances: int = 0
    operations_folded: bool = False
    error_trend_per_minute: Trend | None = None


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Like errors of a service, by fingerprint.

    Parameters
    ----------
    count : int
        How many ErrorEvents since `first_seen`.
    message, exception_type : str
        Of the newest one.
    operations : tuple of str
        Where it happened.
    advice : Advice or None
        What to do.
    returned_at : datetime or None
        When it last happened again after two days without; None where it never did.
    """

    fingerprint: str
    kind: str
    category: str
    retryable: bool
    transient: bool
    count: int
    first_seen: datetime
    last_seen: datetime
    message: str = ""
    exception_type: str = ""
    operations: tuple[str, ...] = ()
    advice: Advice | None = None
    returned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecentErrors:
    """The error groups of a service and its last ErrorEvents, at most 50, newest last."""

    groups: tuple[ErrorGroup, ...] = ()
    events: tuple[ErrorEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class EarlierForecast:
    """Probability by horizon as of a time before an incident."""

    as_of: datetime
    horizons: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """An incident as the API shows it.

    Parameters
    ----------
    end : datetime or None
        None while it lasts.
    source : str
        ``rule``, or who reported it.
    predicted : Mapping[str, float] or None
        Probability by horizon that was the newest at `start`; None when there was none.
    earlier : tuple of EarlierForecast
        Those of the hour before that, where the one for 60 minutes was 10 % or more, as far as the process that found it had made them.
    """

    id: str
    tenant: str
    service: str
    operation: str
    start: datetime
    detected_at: datetime
    end: datetime | None
    source: str
    category: str
    predicted: Mapping[str, float] | None = None
    earlier: tuple[EarlierForecast, ...] = ()


@dataclass(frozen=True, slots=True)
class SelectorRecord:
    """Which series a verdict is about: an exact name, or None for any."""

    service: str | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """A person's verdict, or the withdrawal of one, as it is kept; appended, never rewritten.

    Parameters
    ----------
    id, tenant : str
        Its name.
    received_at : datetime
        When it was said.
    verdict : str
        One of `models.feedback.VERDICTS`; of a withdrawal, that of what is withdrawn.
    prediction_id, incident_id : str or None
        The target, when it is one of these; else the interval is.
    service, operation, start, end
        The series and interval that the verdict is about: as sent, or as the target had them while it was known. A
        prediction's interval is ``(as_of, as_of + 60 min]``; an incident that lasts has no end.
    category : str or None
        What kind of failure it was, if the person says so.
    who, why : str
        Who says so, and words for people.
    selector : SelectorRecord or None
        All series that the interval is of, where it is not one.
    repeats : str or None
        One of `models.feedback.REPEATS`: what was expected comes again.
    repeats_until : datetime or None
        When it has come for the last time.
    undoes : str or None
        Id of the verdict that this record takes back.

    Raises
    ------
    InvalidValue
        When the verdict is unknown.
    """

    id: str
    tenant: str
    received_at: datetime
    verdict: str
    prediction_id: str | None = None
    incident_id: str | None = None
    service: str | None = None
    operation: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    category: str | None = None
    who: str = "unknown"
    why: str = ""
    selector: SelectorRecord | None = None
    repeats: str | None = None
    repeats_until: datetime | None = None
    undoes: str | None = None

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise InvalidValue(f"verdict must be one of {VERDICTS}, got {self.verdict!r}")

    def feedback(self) -> Feedback:
        """Return the Feedback that labels are made with."""
        stretch, series = None, self._series()
        if series is not None and self.start and self.end and self.start < self.end:
            stretch = Stretch(series, self.start, self.end)
        return Feedback(
            id=self.id,
            verdict=self.verdict,
            who=self.who,
            at=self.received_at,
            prediction=self.prediction_id,
            incident=self.incident_id,
            stretch=stretch,
            why=self.why,
            undoes=self.undoes,
            repeats=self.repeats,
            until=self.repeats_until,
        )

    def _series(self) -> SeriesKey | Selector | None:
        if self.selector is not None:
            return Selector(self.tenant, self.selector.service, self.selector.operation)
        return SeriesKey(self.tenant, self.service, self.operation) if self.service and self.operation else None


def check_run(state: str, progress: float) -> None:
    """Check the state and the progress of a run.

    Raises
    ------
    InvalidValue
        When the state is none of `RUN_STATES` or the progress outside [0, 1].
    """
    if state not in RUN_STATES:
        raise InvalidValue(f"state must be one of {RUN_STATES}, got {state!r}")
    if not 0.0 <= progress <= 1.0:
        raise InvalidValue(f"progress must be in [0, 1], got {progress}")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run of the training, from the request to its outcome.

    Parameters
    ----------
    state : str
        One of `RUN_STATES`.
    progress : float
        Share done, in [0, 1].
    reason : str
        Why it was asked for.
    model_version : str or None
        What it registered, once it succeeded.
    report : Mapping[str, object] or None
        The evaluation's report, as `training` writes it.
    error : str or None
        Why it failed.
    tenant : str
        Whose data it learned from.
    node : str
        Which node works on it; empty where an earlier release wrote it.

    Raises
    ------
    InvalidValue
        When the state is unknown or the progress outside [0, 1].
    """

    id: str
    state: str
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: float = 0.0
    reason: str = ""
    model_version: str | None = None
    report: Mapping[str, object] | None = None
    error: str | None = None
    tenant: str = "default"
    node: str = ""

    def __post_init__(self) -> None:
        check_run(self.state, self.progress)
