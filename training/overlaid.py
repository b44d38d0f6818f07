"""What feedback changed: which labels, and what that does to scores on time held out.

`training.dataset` counts the labels, `training.retrain` fits with and without them and judges here whether what
people said made the forecasts worse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.incident import Incident
from models.contract import Forecaster
from models.feedback import Feedback, in_force
from models.hazard import cumulate, log_losses, reached
from training.alerting import alert_column, score_events
from training.bootstrap import Interval, average_precision, blocks_of
from training.choice import Kind, kind_of
from training.contrast import Contrast, contrast_of
from training.detail import json_of
from training.rows import Rows

__all__ = ["Effect", "Impact", "LabelChanges", "changes_between", "impact_of"]

_RESAMPLES = 200  # enough for a 90 % interval

_TELLS = {"better": "are told beyond doubt", "even": "are told no better than without", "worse": "are told worse than without"}


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """Which labels feedback changed.

    Parameters
    ----------
    verdicts : dict of str to int
        Verdicts that stand, by kind.
    taken_back : int
        Verdicts that were taken back.
    incidents_added, incidents_removed : int
        Incidents that only feedback names, and those that it took away.
    rows_relabelled : int
        Rows that are learned from in either case, with another outcome in some interval.
    rows_left_out : int
        Rows that are no longer learned from.
    rows_shortened : int
        Rows that are learned from in fewer intervals.
    rows_added : int
        Rows that are learned from only, or in more intervals, because of feedback.
    rows_weighed : int
        Rows that count more than once.
    heaviest : float
        What the heaviest row weighs.
    """

    verdicts: dict[str, int]
    taken_back: int = 0
    incidents_added: int = 0
    incidents_removed: int = 0
    rows_relabelled: int = 0
    rows_left_out: int = 0
    rows_shortened: int = 0
    rows_added: int = 0
    rows_weighed: int = 0
    heaviest: float = 1.0

    @property
    def any(self) -> bool:
        """Whether a fit can tell the difference."""
        return bool(self.rows_relabelled or self.rows_left_out or self.rows_shortened or self.rows_added or self.rows_weighed)


def changes_between(
    plain: Rows, laid: Rows, before: Sequence[Incident], after: Sequence[Incident], feedback: Sequence[Feedback]
) -> LabelChanges:
    """Count what tells rows with feedback from the same rows without.

    Parameters
    ----------
    plain, laid : Rows
        Without and with feedback, row by row of the same series and time.
    before, after : sequence of Incident
        The incidents behind each.
    feedback : sequence of Feedback
        All that was said.
    """
    y, at_risk = plain.targets()
    y_laid, at_risk_laid = laid.targets()
    lost, won = at_risk & ~at_risk_laid, at_risk_laid & ~at_risk
    relabelled = ((y != y_laid) & at_risk & at_risk_laid).any(axis=1)
    gone = at_risk.any(axis=1) & ~at_risk_laid.any(axis=1)
    weight = np.ones(len(laid)) if laid.weight is None else laid.weight
    weighed = (weight > 1.0) & at_risk_laid.any(axis=1)
    names, names_laid = {i.id for i in before}, {i.id for i in after}
    standing = in_force(feedback)
    return LabelChanges(
        verdicts=dict(Counter(said.verdict for said in standing)),
        taken_back=sum(said.undoes is not None for said in feedback),
        incidents_added=len(names_laid - names),
        incidents_removed=len(names - names_laid),
        rows_relabelled=int(relabelled.sum()),
        rows_left_out=int(gone.sum()),
        rows_shortened=int((lost.any(axis=1) & ~won.any(axis=1) & ~gone & ~relabelled).sum()),
        rows_added=int((won.any(axis=1) & ~relabelled).sum()),
        rows_weighed=int(weighed.sum()),
        heaviest=float(weight[weighed].max(initial=1.0)),
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """Scores without and with feedback on the same held-out rows, by the same labels.

    Parameters
    ----------
    rows, incidents : int
        Held-out rows, and incidents among them.
    without, with_feedback : dict
        Scores of each: `log_loss` over all intervals, `ap` by horizon, `recall` and `false_alarms_a_day` of alerts at the
        threshold that spends the budget on these rows.
    difference : float
        Mean log loss a row with feedback minus that without; below 0 feedback made it better.
    interval : tuple of float or None
        Its paired 90 % block-bootstrap interval.
    """

    rows: int
    incidents: int
    without: Mapping[str, object]
    with_feedback: Mapping[str, object]
    difference: float
    interval: Interval | None

    @property
    def kind(self) -> Kind:
        """How the model with feedback did against the one without."""
        return kind_of(self.interval)


@dataclass(frozen=True, slots=True)
class Impact:
    """What feedback did to a training run.

    Parameters
    ----------
    changes : LabelChanges
        Which labels it changed.
    agreed : Effect or None
        On held-out rows whose labels feedback leaves alone. None where nothing changed.
    as_labelled : Effect or None
        On all held-out rows, by the labels after feedback.
    contrast : Contrast or None
        On held-out rows before incidents: whether those that people took away are told from those that stand.
    """

    changes: LabelChanges
    agreed: Effect | None = None
    as_labelled: Effect | None = None
    contrast: Contrast | None = None

    @property
    def used(self) -> bool:
        """Whether the run's model learned from feedback.

        Where people took away enough held-out incidents, these decide: what was learned from earlier verdicts must tell them from those that
        stand, beyond doubt, and must not be worse beyond doubt by the labels that people gave. Verdicts by chance teach no such thing. Elsewhere
        it must not be worse beyond doubt where labels are agreed on, and enough of that must be left to tell.
        """
        if self.agreed is None or self.as_labelled is None or self.contrast is None:
            return True
        if self.contrast.kind == "unknown":
            return self.agreed.kind in {"better", "even"}
        return self.contrast.kind == "better" and self.as_labelled.kind != "worse"

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values; what is not defined is None."""
        effects = (("agreed", self.agreed), ("as_labelled", self.as_labelled))
        return {
            "changed": self.changes.any,
            "used": self.used,
            "labels": asdict(self.changes),
            "scores": {name: None if effect is None else _plain(effect) for name, effect in effects},
            "contrast": None if self.contrast is None else _told(self.contrast),
            "note": self.note,
        }

    @property
    def note(self) -> str:
        """What a reader of the run's report has to know."""
        n = sum(self.changes.verdicts.values())
        if self.agreed is None:
            return f"{n} verdicts changed no label"
        done = "are learned from" if self.used else "are not learned from"
        return f"{n} verdicts {done}: {self._because(self.agreed)}"

    def _because(self, agreed: Effect) -> str:
        verb = {"better": "better", "worse": "worse", "even": "neither better nor worse", "unknown": "not comparable"}
        if self.contrast is None or self.contrast.kind == "unknown":
            return f"with them log loss on held-out rows that they do not touch is {verb[agreed.kind]}"
        if self.contrast.kind == "better" and not self.used:
            return "with them log loss on held-out rows is worse by their own labels"
        what = f"the {self.contrast.taken_away} held-out incidents that people took away from the {self.contrast.stand} others"
        return f"with them {what} {_TELLS[self.contrast.kind]}"


def impact_of(
    changes: LabelChanges,
    rows: tuple[Rows, Rows],
    models: tuple[Forecaster, Forecaster],
    held_out: BoolArray,
    *,
    budget_per_day: float,
    seed: int = 0,
) -> Impact:
    """Score a model that learned from feedback beside one that did not, and say whether it may be used.

    Parameters
    ----------
    changes : LabelChanges
        Of the same rows.
    rows : tuple of Rows
        Without and with feedback.
    models : tuple of Forecaster
        What would be served of each.
    held_out : BoolArray
        Shape (n,), rows that neither has seen.
    budget_per_day : float
        False alarms a day that both may spend.
    seed : int
        Of the resamples.
    """
    plain, laid = rows
    (y, at_risk), (y_laid, at_risk_laid) = plain.targets(), laid.targets()
    same = ((y == y_laid) & (at_risk == at_risk_laid)).all(axis=1)
    agreed = _effect(plain.take(np.flatnonzero(held_out & same & at_risk.any(axis=1))), models, budget_per_day, seed)
    labelled = _effect(laid.take(np.flatnonzero(held_out & at_risk_laid.any(axis=1))), models, budget_per_day, seed)
    shown = np.flatnonzero(held_out)
    return Impact(changes, agreed, labelled, contrast_of(plain.take(shown), laid.take(shown), models, seed=seed))


def _effect(test: Rows, models: tuple[Forecaster, Forecaster], budget_per_day: float, seed: int) -> Effect:
    test = replace(test, weight=None)
    y, at_risk = test.targets()
    hit, known = reached(y, at_risk)
    hazards = [model.hazards(test.x) for model in models]
    losses = [(log_losses(h, y) * at_risk).sum(axis=1) for h in hazards]
    difference: FloatArray = losses[1] - losses[0]
    blocks = blocks_of(test.as_of_s, block_s=2 * max(test.horizons.values()), n_resamples=_RESAMPLES, seed=seed)
    without, with_feedback = (
        _scores(cumulate(h), loss, test, (hit, known), budget_per_day) for h, loss in zip(hazards, losses, strict=True)
    )
    return Effect(
        rows=len(test),
        incidents=test.events() if len(test) else 0,
        without=without,
        with_feedback=with_feedback,
        difference=float(difference.mean()) if len(test) else float("nan"),
        interval=blocks.interval(blocks.mean(difference)) if len(test) else None,
    )


def _scores(
    p: FloatArray, losses: FloatArray, test: Rows, outcome: tuple[FloatArray, BoolArray], budget_per_day: float
) -> dict[str, object]:
    if not len(test):
        return {"log_loss": None, "ap": dict.fromkeys(test.horizons), "recall": None, "false_alarms_a_day": None}
    hit, known = outcome
    ap = {
        horizon: json_of(average_precision(p[known[:, j], j], hit[known[:, j], j])) for j, horizon in enumerate(test.horizons)
    }
    events = score_events(p[:, alert_column(test.horizons)], test, known[:, -1], budget_per_day)
    return {
        "log_loss": float(losses.mean()),
        "ap": ap,
        "recall": json_of(events.recall),
        "false_alarms_a_day": json_of(events.false_alarms_a_day),
    }


def _told(contrast: Contrast) -> dict[str, object]:
    told = {"stand": contrast.stand, "taken_away": contrast.taken_away, "kind": contrast.kind}
    scores = {name: json_of(getattr(contrast, name)) for name in ("without", "with_feedback", "interval")}
    return told | scores


def _plain(effect: Effect) -> dict[str, object]:
    told = {name: getattr(effect, name) for name in ("rows", "incidents", "without", "with_feedback")}
    return told | {"difference": json_of(effect.difference), "interval": json_of(effect.interval), "kind": effect.kind}
