"""``foreshock train``: one training run in the foreground, on a folder that nobody serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from app.api.parts import TrainingRequest
from app.cache.records import TrainingRun
from app.jobs import Trained, put_run, register, run_job
from app.main import Node
from app.said import said_of
from app.settings import Settings
from app.succession import champion_of

__all__ = ["train"]


def train(settings: Settings, tenant: str, progress: Callable[[float, str], None]) -> tuple[dict[str, Any], str]:
    """Train, register and, if the gate says so, promote.

    Returns
    -------
    report : dict
        The evaluation, the version and whether it serves.
    table : str
        The same for a terminal.

    Raises
    ------
    InvalidValue
        When history does not suffice.
    """
    node = Node(settings)
    with closing(node):
        now = datetime.now(UTC)
        until = newest_s(node, tenant)
        job = node.job(TrainingRequest(tenant, "foreshock train", None, until, None, now))
        job = replace(job, said=said_of(node.store.documents, tenant, job.said.plan))
        champion = champion_of(node.registry(tenant))
        trained = run_job(
            job, node.history, champion.ensemble if champion else None, now, lambda share: progress(share, "training")
        )
        version = register(node.registry(tenant), trained)
        put_run(node.store.documents, _run(trained, version, tenant, now))
    summary = {"model_version": version, "promoted": trained.promote, "incidents": trained.incidents, "report": trained.report}
    return summary, f"{trained.table}\nmodel {version}: {'serves' if trained.promote else 'kept as candidate'}"


def _run(trained: Trained, version: str, tenant: str, now: datetime) -> TrainingRun:
    """Return the record of a run that was done in the foreground, beside those that the service does."""
    return TrainingRun(
        id=uuid4().hex,
        state="succeeded",
        requested_at=now,
        started_at=now,
        ended_at=datetime.now(UTC),
        progress=1.0,
        reason="foreshock train",
        model_version=version,
        report=dict(trained.report),
        tenant=tenant,
    )


def newest_s(node: Node, tenant: str) -> datetime:
    """Return the end of the tenant's history."""
    windows = node.history.read("windows", tenant=tenant, columns=["window"])
    newest = max(windows["window"].to_pylist(), default=0)
    return datetime.fromtimestamp(newest + node.plan.tick_s, UTC)
