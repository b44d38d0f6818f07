"""The wire models of learning; `app.api.learning` answers with them."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from app.api.schemas import Out

__all__ = ["LearningOut"]


class _Validation(Out):
    rows: float
    """Rows with known outcome, the older the less."""
    base_rate: float
    """Share of them before incidents."""
    forecast_rate: float
    """Mean probability that was given."""
    log_loss: float
    """Nats a row."""
    base_log_loss: float
    """Of always saying the base rate, which is known only afterwards."""
    brier: float


class _Member(Out):
    member: str
    """`batch`, `online` or `prior`; `blend` is what they say together, `served` the same corrected."""
    weights: dict[str, float]
    """Share in the blend, by the interval that ends with the horizon; empty for what all say together."""
    horizons: dict[str, _Validation]


class _Rival(Out):
    version: str
    hours: int
    difference: float
    """Log loss a row of what serves minus the rival's; below 0 what serves is better."""
    lower: float | None
    upper: float | None
    verdict: Literal["below", "above", "open"]


class LearningOut(Out):
    """How the forecasts of a tenant do, by what came true."""

    tenant: str
    as_of: AwareDatetime
    age_s: float
    model_version: str
    """All that follows is about what it said."""
    half_life_s: float
    """Seconds after which a row counts half."""
    members: list[_Member]
    incidents_began: float
    """Since this version serves, over rows whose horizon has closed; rows before one incident count each."""
    incidents_forecast: float
    rows_waiting: int
    """Forecasts whose horizon is open."""
    online_rows: int
    """Rows that the online learner has taken in."""
    drifts: list[str]
    """Signs that the world has moved away from the model."""
    rival: _Rival | None
