"""Fit, score and judge: one training run from rows to a decision.

`app.trained` runs it, in a process of its own under a service, and adds the result to `models.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from models.contract import Forecaster
from models.ensemble import Ensemble
from models.version import ModelRecord
from training.evaluate import evaluate
from training.fit import Fitted, fit
from training.gate import Decision, decide
from training.overlaid import Impact, LabelChanges, impact_of
from training.report import Report
from training.rows import Rows

__all__ = ["Outcome", "Plain", "retrain"]


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """The rows of a run as if nobody had given feedback.

    Parameters
    ----------
    rows : Rows
        Row by row of the same series and time.
    changes : LabelChanges
        What tells them from those with feedback.
    """

    rows: Rows
    changes: LabelChanges


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training run came to.

    Parameters
    ----------
    fitted : Fitted
        Its ensemble serves what the report says.
    report : Report
        Held-out scores.
    decision : Decision
        Whether to promote.
    impact : Impact or None
        What feedback did; None where there was none.
    """

    fitted: Fitted
    report: Report
    decision: Decision
    impact: Impact | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON values, with what feedback did as ``feedback`` where there was any."""
        told = self.report.to_dict()
        return told if self.impact is None else told | {"feedback": self.impact.to_dict()}

    def record(self, rows: Rows, created_at: datetime) -> ModelRecord:
        """Return the record that `models.registry.Registry.add` takes.

        Parameters
        ----------
        rows : Rows
            The rows of the run.
        created_at : datetime
            Aware UTC.
        """
        block = self.fitted.record.split.refit
        return ModelRecord(
            schema_version=rows.schema.version,
            schema_sha256=rows.schema.sha256,
            trained_from=datetime.fromtimestamp(block.begin_s, UTC),
            trained_to=datetime.fromtimestamp(block.end_s, UTC),
            data_sha256=self.fitted.record.data_sha256,
            seed=self.fitted.record.seed,
            serves=self.report.serves,
            created_at=created_at,
            scores=self.report.flat(),
        )


def retrain(
    rows: Rows,
    *,
    seed: int = 0,
    champion: Forecaster | None = None,
    budget: float = 2.0,
    jobs: int = 2,
    plain: Plain | None = None,
) -> Outcome:
    """Fit on rows, score on their last part and decide.

    Where feedback changed labels it is fitted without feedback too, from the same seed, and both are scored on the held-out
    rows whose labels feedback leaves alone. What is worse there beyond doubt is refused, and the run goes on without feedback:
    wrong verdicts must not make forecasts worse.

    Parameters
    ----------
    rows : Rows
        From `training.dataset`.
    seed : int
        Same rows and seed, same outcome.
    champion : Forecaster, optional
        What serves now, of the same schema.
    budget : float
        Alerts a day over all series.
    jobs : int
        Members fitted at a time.
    plain : Plain, optional
        The same rows without the feedback that is in `rows`.

    Raises
    ------
    InvalidValue
        When the history is too short to be split.
    """
    run = _Run(seed, champion, budget, jobs)
    if plain is None:
        return run.of(rows)
    if not plain.changes.any:
        return _noted(run.of(rows), Impact(plain.changes))
    with_feedback, without = run.of(rows), run.of(plain.rows)
    models = without.fitted.ensemble, with_feedback.fitted.ensemble
    held_out = without.fitted.record.split.test.rows
    impact = impact_of(plain.changes, (plain.rows, rows), models, held_out, budget_per_day=budget, seed=seed)
    return _noted(with_feedback if impact.used else without, impact)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What does not change between a fit with feedback and one without."""

    seed: int
    champion: Forecaster | None
    budget: float
    jobs: int

    def of(self, rows: Rows) -> Outcome:
        fitted = fit(rows, seed=self.seed, jobs=self.jobs, budget_per_day=self.budget)
        scored = evaluate(fitted, rows, seed=self.seed, champion=self.champion)
        decision = decide(scored)
        report = replace(scored.report, notes=(*scored.report.notes, *decision.reasons))
        return Outcome(replace(fitted, ensemble=_served(fitted, rows, report)), report, decision)


def _noted(outcome: Outcome, impact: Impact) -> Outcome:
    report = replace(outcome.report, notes=(*outcome.report.notes, impact.note))
    return replace(outcome, report=report, impact=impact)


def _served(fitted: Fitted, rows: Rows, report: Report) -> Ensemble:
    """Return the ensemble as it serves, with bounds from the held-out block: the newest rows, and what it never saw."""
    ensemble = fitted.ensemble.serving(report.serves)
    test = rows.take(np.flatnonzero(fitted.record.split.test.rows))
    y, at_risk = test.targets()
    return ensemble.bounded_by(test.x, y, at_risk) if (y * at_risk).any() else ensemble
