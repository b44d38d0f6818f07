"""What is shown of learning: a document a tenant, from its members and what waits to mature.

`app.flow.publish` adds it to the documents of a tick; `GET /api/v1/learning` reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from app.cache.documents import NAME_TTL_S, encode_document, tenant_key
from app.cache.learning_records import LearningRecord, MemberRecord, RivalRecord
from app.learners import Learners
from app.members import HALF_LIFE_S, Members
from app.rivalry import Compared
from app.store.contract import Output
from features.clock import Clock
from models.prediction import HORIZONS

__all__ = ["learning_documents"]


def learning_documents(learners: Learners, home: Callable[[str], bool]) -> list[tuple[int, Output]]:
    """Return the document of every tenant whose forecasts are judged here and whose home is here, with the partition whose commit carries it.

    Parameters
    ----------
    learners : Learners
        Of this node.
    home : callable
        Whether this node is a tenant's home; of several nodes that have its series one alone tells of its learning.
    """
    memory = learners.memory
    as_of, tenant_of = Clock.at(memory.tick * memory.plan.tick_s), memory.pools().tenant
    found: list[tuple[int, Output]] = []
    for tenant in learners.maturing:
        of_tenant = np.flatnonzero(tenant_of == memory.tenants.get(tenant, -1))
        if len(of_tenant) and home(tenant):
            value = encode_document(_record(learners, tenant, as_of))
            # Which one does not matter, but it must be one of this process.
            partition = int(memory.directory.partition[of_tenant].min())
            found.append((partition, Output("learning", tenant_key(tenant, "*"), value, NAME_TTL_S)))
    return found


def _record(learners: Learners, tenant: str, as_of: datetime) -> LearningRecord:
    members = learners.of(tenant)
    began, forecast = members.drifts.incidents
    return LearningRecord(
        tenant=tenant,
        as_of=as_of,
        model_version=members.version,
        half_life_s=HALF_LIFE_S,
        members=_members(members),
        incidents_began=began,
        incidents_forecast=forecast,
        rows_waiting=sum(len(pending.rows) for pending in learners.maturing[tenant].pending),
        online_rows=members.online.n_rows,
        drifts=members.drifts.reasons(),
        rival=_rival(members.rivalry.compared()),
    )


def _members(members: Members) -> tuple[MemberRecord, ...]:
    weights = members.blend.weights
    shares = {name: dict(zip(HORIZONS, weights[name].tolist(), strict=True)) for name in weights}
    return tuple(MemberRecord(name, shares.get(name, {}), found) for name, found in members.progressive.said().items())


def _rival(compared: Compared | None) -> RivalRecord | None:
    if compared is None:
        return None
    lower, upper = compared.interval or (None, None)
    return RivalRecord(compared.rival, compared.hours, compared.difference, lower, upper, compared.verdict)
