"""Fit, score and judge: one training run from rows to a decision.

`app.jobs` runs it in a process of its own and, on a yes, adds the result to `models.registry`.
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
from training.report import Report
from training.rows import Rows

__all__ = ["Outcome", "retrain"]


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
    """

    fitted: Fitted
    report: Report
    decision: Decision

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


def retrain(rows: Rows, *, seed: int = 0, champion: Forecaster | None = None, budget: float = 2.0, jobs: int = 2) -> Outcome:
    """Fit on rows, score on their last part and decide.

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

    Raises
    ------
    InvalidValue
        When the history is too short to be split.
    """
    fitted = fit(rows, seed=seed, jobs=jobs, budget_per_day=budget)
    scored = evaluate(fitted, rows, seed=seed, champion=champion)
    decision = decide(scored)
    report = replace(scored.report, notes=(*scored.report.notes, *decision.reasons))
    return Outcome(replace(fitted, ensemble=_served(fitted, rows, report)), report, decision)


def _served(fitted: Fitted, rows: Rows, report: Report) -> Ensemble:
    """Return the ensemble as it serves, with bounds from the held-out block: the newest rows, and what it never saw."""
    ensemble = fitted.ensemble.serving(report.serves)
    test = rows.take(np.flatnonzero(fitted.record.split.test.rows))
    y, at_risk = test.targets()
    return ensemble.bounded_by(test.x, y, at_risk) if (y * at_risk).any() else ensemble
