"""What leaves the line: a probability for three horizons, with its reasons and its age.

`models.blend` gives the numbers, `models.explain` the reasons, `app.flow.forecast` joins them, and
`app.api` reads them from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from features.errors import InvalidValue
from features.series import SeriesKey

__all__ = ["HORIZONS", "SIGNALS", "STATUSES", "AnomalyScore", "Chance", "ExpectedCategory", "Prediction", "Reason"]

HORIZONS = {"5min": 300, "15min": 900, "60min": 3600}
"""Horizons by name, in seconds, ascending."""

SIGNALS = ("errors", "failed", "latency", "traffic", "combination")
"""What an anomaly is of: errors, the share of requests that failed, their mean duration in seconds, requests, and how unusual the last
three are together, in bits."""

STATUSES = ("warming_up", "prior", "ok", "in_incident", "stale")


@dataclass(frozen=True, slots=True)
class Chance:
    """A probability with its interval, all in [0, 1].

    Raises
    ------
    InvalidValue
        Unless ``0 <= lower <= probability <= upper <= 1``.
    """

    probability: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.lower <= self.probability <= self.upper <= 1.0:
            raise InvalidValue(
                f"0 <= lower <= probability <= upper <= 1 must hold, got {self.lower}, {self.probability}, {self.upper}"
            )


@dataclass(frozen=True, slots=True)
class ExpectedCategory:
    """The probability that an incident, if one begins, is of a category."""

    category: str
    probability: float


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature group's share of a prediction.

    Parameters
    ----------
    text : str
        What a person reads, with the values behind it.
    group : str
        The feature group.
    contribution : float
        Change of the 60-minute logit that the group makes against a quiet series.
    """

    text: str
    group: str
    contribution: float


@dataclass(frozen=True, slots=True)
class AnomalyScore:
    """How unlikely the last window was, with what was expected.

    Parameters
    ----------
    score : float
        One minus the tail probability, in [0, 1].
    value, expected, lower, upper : float
        The signal in the window, and what was expected of it with its bounds.
    since : datetime or None
        Aware UTC: start of the window with which an anomaly began that is less than an episode old. However long it goes on, one
        episode is one anomaly.
    signal : str
        The most surprising one of `SIGNALS`; of an episode whose signals became calm, the one it began with.
    """

    score: float
    value: float
    expected: float
    lower: float
    upper: float
    since: datetime | None = None
    signal: str = "errors"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The probability that an incident of the series begins in ``(as_of, as_of + horizon]``.

    Parameters
    ----------
    id : str
        Unique and the same when the log is read again.
    series : SeriesKey
        Whose incident.
    as_of, expires_at : datetime
        Aware UTC: what was known when, and when a newer one is due.
    status : str
        One of `STATUSES`.
    horizons : dict of str to Chance
        Keys of `HORIZONS`; never decreasing with the horizon.
    categories : tuple of ExpectedCategory
        By falling probability.
    reasons : tuple of Reason
        By falling absolute contribution.
    anomaly : AnomalyScore
        Of the last closed window.
    model_version : str
        ``prior`` before any model exists.

    Raises
    ------
    InvalidValue
        When a longer horizon is less likely than a shorter one, or the status is unknown.
    """

    id: str
    series: SeriesKey
    as_of: datetime
    expires_at: datetime
    status: str
    horizons: dict[str, Chance]
    categories: tuple[ExpectedCategory, ...]
    reasons: tuple[Reason, ...]
    anomaly: AnomalyScore
    model_version: str

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise InvalidValue(f"status must be one of {STATUSES}, got {self.status!r}")
        chances = [self.horizons[name].probability for name in HORIZONS]
        if chances != sorted(chances):
            raise InvalidValue(f"a longer horizon must not be less likely, got {chances}")
