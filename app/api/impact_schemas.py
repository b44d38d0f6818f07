"""The wire models of what feedback changed; `app.api.impact` answers with them."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from app.api.schemas import Horizon, Out, Verdict

__all__ = ["ImpactOut"]


class _LabelChanges(Out):
    """Which labels feedback changed."""

    verdicts: dict[Verdict, int]
    """Verdicts that stood."""
    taken_back: int
    incidents_added: int
    incidents_removed: int
    rows_relabelled: int
    """Rows with another outcome in some interval."""
    rows_left_out: int
    rows_shortened: int
    """Rows that are learned from in fewer intervals."""
    rows_added: int
    """Rows that are learned from in more intervals."""
    rows_weighed: int
    """Rows that count more than once."""
    heaviest: float


class _EffectScores(Out):
    log_loss: float | None
    """Mean over the rows, summed over the intervals, in nats."""
    ap: dict[Horizon, float | None]
    recall: float | None
    false_alarms_a_day: float | None


class _Effect(Out):
    """Scores on the same held-out rows, by the same labels."""

    rows: int
    incidents: int
    without: _EffectScores
    with_feedback: _EffectScores
    difference: float | None
    """Log loss with feedback minus that without; below 0 feedback made it better."""
    interval: tuple[float, float] | None
    """Its paired 90 % block-bootstrap interval."""
    kind: Literal["better", "even", "worse", "unknown"]


class _Contrast(Out):
    """Whether held-out incidents that people took away are told from those that stand."""

    stand: int
    taken_away: int
    without: float | None
    """Share of pairs, one row before an incident of each kind, in which the one that stands was forecast higher; a half is chance."""
    with_feedback: float | None
    interval: tuple[float, float] | None
    """90 % block-bootstrap interval of the difference; above 0 feedback made it better. Null where a kind has fewer than 5."""
    kind: Literal["better", "even", "worse", "unknown"]


class _EffectOn(Out):
    agreed: _Effect | None
    """On rows whose labels feedback leaves alone; this decides whether feedback is used where the contrast is unknown."""
    as_labelled: _Effect | None
    """On all rows, by the labels after feedback."""


class ImpactOut(Out):
    """What feedback changed, as the newest training run that had any measured."""

    run: str | None
    """Null where no run had any."""
    ended_at: AwareDatetime | None
    model_version: str | None
    changed: bool | None
    """Whether feedback changed any label."""
    used: bool | None
    """Whether the run's model learned from it; not where later verdicts do not bear out earlier ones, or where that made it worse beyond doubt."""
    labels: _LabelChanges | None
    scores: _EffectOn | None
    """Before and after, on time held out; null inside where no label changed."""
    contrast: _Contrast | None
    """Null where no label changed, or where an earlier release ran."""
    note: str
    """The same in words."""
    standing: int
    """Verdicts that stand now."""
    waiting: int
    """Those of them that came after the run was asked for."""
