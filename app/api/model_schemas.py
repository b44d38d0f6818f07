"""The wire models of one model version and of two side by side; `app.api.models` answers with them."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from app.api.schemas import ModelOut, Out

__all__ = ["ComparisonOut", "ModelDetailOut"]


class _Step(Out):
    action: Literal["promoted", "rolled_back", "challenged", "rejected", "kept", "refused"]
    version: str
    """Which version served from then on; of `challenged` and `rejected` which one challenges."""
    before: str | None
    """Which served until then; of `challenged` and `rejected` which one serves."""
    at: AwareDatetime | None
    """Null in what earlier releases did."""
    who: str
    why: str


class ModelDetailOut(ModelOut):
    """A fitted model, how well it did, and how it came to serve or ceased to."""

    history: list[_Step]
    """The newest last."""


class _Serves(Out):
    one: str
    other: str | None


class _ScorePair(Out):
    one: float | None
    other: float | None
    difference: float | None
    """Of the other from the one."""


class ComparisonOut(Out):
    """What tells two versions apart."""

    one: str
    other: str
    same_data: bool
    """Whether both were fitted and scored on the same rows."""
    same_schema: bool
    serves: dict[str, _Serves]
    """By horizon."""
    scores: dict[str, _ScorePair]
    """Held-out scores of the ensembles by name."""
    note: str
    """What a difference means."""
