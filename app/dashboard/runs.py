"""Training runs and backtests as rows with their progress."""

from __future__ import annotations

from collections.abc import Sequence

from app.cache.backtests import BacktestRun
from app.cache.records import TrainingRun
from app.dashboard import words
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.tables import meter, table

__all__ = ["progress_of", "runs_table"]

_TONES = {"succeeded": "good", "failed": "bad", "running": "info", "queued": ""}


def progress_of(run: TrainingRun | BacktestRun) -> Markup:
    """Return the state of a run, and how far it is while it runs."""
    chip = h("span.chip", run.state, data_status=_TONES.get(run.state, ""))
    if run.state != "running":
        return join([chip, h("div.soft", run.error) if run.error else None])
    return join([chip, " ", words.percent(run.progress), meter(run.progress, f"Progress of {run.id}")])


def runs_table(runs: Sequence[TrainingRun]) -> Markup:
    """Return training runs, in the order in which they come."""
    return table(("State", "Asked for", "Why", "Took", "Made"), [_row(run) for run in runs])


def _row(run: TrainingRun) -> list[Child]:
    took = words.span(run.started_at, run.ended_at) if run.started_at else words.DASH
    made = h("code", run.model_version) if run.model_version else words.DASH
    return [progress_of(run), words.age(run.requested_at), run.reason, took, made]
