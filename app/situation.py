"""What is known when it is asked whether to train: read from the store, so that a restart forgets nothing of it.

`app.main` asks once a while for every tenant and gives the answer to `training.triggers.reason_to_train`.
"""

from __future__ import annotations

from datetime import datetime

from app.cache.documents import decode_document, tenant_key
from app.cache.records import TrainingRun
from app.members import Members
from app.said import feedback_of
from app.store.contract import Documents
from models.registry import Registry
from training.triggers import Situation

__all__ = ["situation_of"]

_DAY_S = 86_400


def situation_of(documents: Documents, registry: Registry, members: Members, tenant: str, now: datetime) -> Situation:
    """Return the situation of a tenant.

    Parameters
    ----------
    documents : Documents
        Incidents, feedback and training runs.
    registry : Registry
        The tenant's models.
    members : Members
        The tenant's forecasters.
    tenant : str
        Whose.
    now : datetime
        Aware UTC.
    """
    versions = registry.versions()
    champion = next((version for version in versions if version.alias == "champion"), None)
    fitted = champion.record.created_at if champion else None
    found = documents.items("training-runs", tenant_key(tenant, ""))
    runs = sorted((decode_document(d.value, TrainingRun) for d in found), key=lambda run: run.requested_at, reverse=True)
    useless = {version.id for version in versions if version.alias == "candidate"}
    return Situation(
        incidents=len(documents.items("incidents", tenant_key(tenant, ""))),
        new_incidents=members.onsets,
        champion_age_s=(now - fitted).total_seconds() if fitted else None,
        champion_fits=champion is None or members.version == champion.id,
        drifts=members.drifts.reasons(),
        new_feedback=sum(fitted is not None and said.at > fitted for said in feedback_of(documents, tenant)),
        last_attempt_s=(now - runs[0].requested_at).total_seconds() if runs else None,
        fruitless=_fruitless(runs, useless),
        cost_s=sum(_took_s(run, now) for run in runs),
        challenged=any(version.alias == "challenger" for version in versions),
    )


def _fruitless(runs: list[TrainingRun], useless: set[str]) -> int:
    """Count the newest ended runs, newest first, up to one whose model came to serve."""
    count = 0
    for run in runs:
        if run.state == "succeeded" and run.model_version not in useless:
            break
        count += run.state in {"failed", "succeeded"}
    return count


def _took_s(run: TrainingRun, now: datetime) -> float:
    """Return how long a run worked within the last day."""
    if run.started_at is None:
        return 0.0
    end = run.ended_at or now
    return max(0.0, min((end - run.started_at).total_seconds(), _DAY_S - (now - end).total_seconds()))
