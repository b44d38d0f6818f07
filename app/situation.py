"""What is known when it is asked whether to train: read from the store, so that a restart forgets nothing of it.

`app.main` asks once a while for every tenant and gives the answer to `training.triggers.reason_to_train`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from app.cache.documents import decode_document, tenant_key
from app.cache.records import TrainingRun
from app.members import Members
from app.said import feedback_of
from app.store.contract import Documents
from app.versions import must_serve
from features.errors import InvalidValue
from models.registry import Registry
from models.version import ModelVersion
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
    # A version that was promoted a moment ago serves from the next tick on; until then the forecasters tell of the one before.
    told = champion is None or members.version == champion.id
    heard = max((run.requested_at for run in runs if run.state == "succeeded"), default=fitted)
    return Situation(
        incidents=len(documents.items("incidents", tenant_key(tenant, ""))),
        new_incidents=members.onsets if told else 0,
        champion_age_s=(now - fitted).total_seconds() if fitted else None,
        champion_fits=champion is None or told or _can_serve(registry, champion.id),
        drifts=members.drifts.reasons() if told else (),
        new_feedback=sum(heard is not None and said.at > heard for said in feedback_of(documents, tenant)),
        last_attempt_s=(now - runs[0].requested_at).total_seconds() if runs else None,
        fruitless=_fruitless(runs, _useless(registry, versions)),
        cost_s=sum(_took_s(run, now) for run in runs),
        challenged=any(version.alias == "challenger" for version in versions),
    )


def _can_serve(registry: Registry, version_id: str) -> bool:
    try:
        must_serve(registry, version_id)
    except InvalidValue:
        return False
    return True


def _useless(registry: Registry, versions: Iterable[ModelVersion]) -> set[str]:
    """Return the versions that never came to serve, or were taken back."""
    taken_back = {step.before for step in registry.steps() if step.action == "rolled_back"}
    return {v.id for v in versions if v.alias == "candidate" or (v.id in taken_back and v.alias != "champion")}


def _fruitless(runs: Iterable[TrainingRun], useless: set[str]) -> int:
    """Count the newest ended runs, newest first, up to one whose model came to serve and was not taken back."""
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
