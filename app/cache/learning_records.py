"""What the worker publishes of learning; `app.learning` fills it, `app.api.learning` answers with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.progressive import Validation

__all__ = ["LearningRecord", "MemberRecord", "RivalRecord"]


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member of the blend, or what all say together.

    Parameters
    ----------
    member : str
        ``batch``, ``online`` or ``prior``; ``blend`` for all together, ``served`` for that corrected by what came of earlier ones.
    weights : Mapping of str to float
        Its share in the blend, by the interval that ends with a horizon; empty for what all say together.
    horizons : Mapping of str to Validation
        How well it forecast lately.
    """

    member: str
    weights: Mapping[str, float]
    horizons: Mapping[str, Validation]


@dataclass(frozen=True, slots=True)
class RivalRecord:
    """The model that is compared with the one that serves.

    Parameters
    ----------
    version : str
        Its version.
    hours : int
        For how long, each longest horizon counted once.
    difference : float
        Log loss a row of what serves minus the rival's.
    lower, upper : float or None
        Bounds of the difference, right at all times at once; None while hours are few.
    verdict : str
        On which side of 0 the difference is beyond doubt: ``below``, ``above`` or ``open``.
    """

    version: str
    hours: int
    difference: float
    lower: float | None
    upper: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class LearningRecord:
    """How a tenant's forecasts do, by what came true.

    Parameters
    ----------
    as_of : datetime
        Of the tick.
    model_version : str
        What serves; all that follows is about it.
    half_life_s : float
        Seconds after which a row counts half in `members`.
    members : tuple of MemberRecord
        Everyone who has forecast.
    incidents_began, incidents_forecast : float
        Since this version serves, over rows whose horizon has closed; rows of one incident count each.
    rows_waiting : int
        Forecasts whose horizon is open.
    online_rows : int
        Rows that the online learner has taken in.
    drifts : tuple of str
        Signs that the world has moved away from the model, in words.
    rival : RivalRecord or None
        Who is compared with it, if anyone.
    """

    tenant: str
    as_of: datetime
    model_version: str
    half_life_s: float
    members: tuple[MemberRecord, ...]
    incidents_began: float
    incidents_forecast: float
    rows_waiting: int
    online_rows: int
    drifts: tuple[str, ...]
    rival: RivalRecord | None
