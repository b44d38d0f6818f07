"""A training run from history to a version that may serve: rows, fit, judgement, registration.

`app.jobs` runs the first part in a process of its own, `app.folder` in the foreground; both register what came of it in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.history.contract import History
from app.job import Job, dataset_of
from app.succession import bring_in, champion_of
from models.ensemble import Ensemble
from models.registry import Registry
from models.version import ModelRecord
from training.dataset import Dataset
from training.retrain import Plain, retrain
from training.shadow import AT_ONCE, Patience

__all__ = ["Trained", "register", "run_job", "train"]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run came to.

    Parameters
    ----------
    promote : bool
        Whether the gate lets it serve.
    reasons : tuple of str
        Why, in words.
    report : dict
        The evaluation, as `training.report.Report.to_dict`.
    table : str
        The same for a terminal.
    incidents : int
        Incidents that the rule found.
    record : ModelRecord
        For the registry.
    ensemble : Ensemble
        The fitted model.
    """

    promote: bool
    reasons: tuple[str, ...]
    report: Mapping[str, Any]
    table: str
    incidents: int
    record: ModelRecord
    ensemble: Ensemble


def run_job(job: Job, history: History, champion: Ensemble | None, now: datetime, progress: Callable[[float], None]) -> Trained:
    """Train on history.

    Raises
    ------
    InvalidValue
        When there are too few incidents, or the history is too short to hold a part out.
    """
    dataset = dataset_of(job, history, lambda share: progress(0.6 * share))
    trained = train(job, dataset, champion, now)
    progress(1.0)
    return trained


def train(job: Job, dataset: Dataset, champion: Ensemble | None, now: datetime) -> Trained:
    """Fit on rows and judge the fit against what serves.

    Parameters
    ----------
    job : Job
        The seed, and where members are fitted.
    dataset : Dataset
        From `app.job.dataset_of`.
    champion : Ensemble or None
        What serves.
    now : datetime
        Aware UTC; when the version was made.
    """
    plain = None if dataset.plain is None or dataset.changes is None else Plain(dataset.plain, dataset.changes)
    with job.spread.entered():
        outcome = retrain(dataset.rows, seed=job.seed, champion=champion, jobs=job.spread.workers, plain=plain)
    return Trained(
        promote=outcome.decision.promote,
        reasons=outcome.decision.reasons,
        report=outcome.to_dict(),
        table=outcome.report.table(),
        incidents=len(dataset.incidents),
        record=outcome.record(dataset.rows, now),
        ensemble=outcome.fitted.ensemble,
    )


def register(registry: Registry, trained: Trained, patience: Patience = AT_ONCE) -> str:
    """Add a trained model to the registry, bring it in if the gate said so, and return its version.

    Parameters
    ----------
    registry : Registry
        The tenant's models.
    trained : Trained
        From `run_job`.
    patience : Patience
        How long it is compared with what serves; where nothing runs, there is nothing to compare it by.
    """
    why = "; ".join(trained.reasons)
    version = registry.add(trained.ensemble, trained.record, "" if trained.promote else f"the gate refused it: {why}")
    if trained.promote:
        serves = champion_of(registry)
        at = trained.record.created_at
        bring_in(registry, version, serves.version if serves else None, patience, at, f"the gate let it serve: {why}")
    return version.id
