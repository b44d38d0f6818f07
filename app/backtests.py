"""A backtest over a tenant's own history: the report as numbers, as a table and as a page.

`app.jobs` runs it in a process of its own and keeps the page; `foreshock backtest` runs it in the foreground.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.history.contract import History
from app.job import Job, dataset_of
from training.page import page
from training.walkforward import WalkPlan, walk_forward

__all__ = ["Backtested", "run_backtest"]


@dataclass(frozen=True, slots=True)
class Backtested:
    """What a backtest came to.

    Parameters
    ----------
    report : dict
        As `training.report.Report.to_dict`.
    table : str
        The same for a terminal.
    page : str
        The same in HTML, without scripts and without anything from the network.
    """

    report: Mapping[str, Any]
    table: str
    page: str


def run_backtest(job: Job, history: History, progress: Callable[[float], None]) -> Backtested:
    """Walk through history, training on what lay before each fold and forecasting it.

    Raises
    ------
    InvalidValue
        When there are too few incidents, or the history is too short for folds.
    """
    dataset = dataset_of(job, history, lambda share: progress(0.5 * share))
    plan = WalkPlan(seed=job.seed, jobs=job.spread.workers, folds_at_once=job.spread.folds_at_once)
    with job.spread.entered():
        report = walk_forward(dataset.rows, plan, lambda share: progress(0.5 + 0.5 * share))
    return Backtested(report.to_dict(), report.table(), page(report))
