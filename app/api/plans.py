"""The route that posts a step of a recovery plan to the user's runbook, when a person says so."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Annotated

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Body, Path, Response

from app.api.bodies import StepIn
from app.api.group_schemas import PostedOut
from app.api.groups import group_of
from app.api.idempotency import IdempotencyKey, once
from app.api.parts import PREFIX, Ask, Asked, StepReceiver, answer
from app.api.problems import NotConfigured, Unknown
from app.cache.group_records import GroupRecord
from features.plan import Step

__all__ = ["NO_RUNBOOK", "router"]

NO_RUNBOOK = "no runbook is configured: set runbook.url and runbook.secret to where steps are to be posted"
"""What is answered, and shown, where steps can be posted nowhere."""

router = APIRouter(prefix=PREFIX, tags=["incidents"])

_NOBODY = StepIn()


@router.post(
    "/incidents/{incident_id:path}/plan/{step}:post",
    response_model=PostedOut,
    summary="Post a step of the recovery plan to the runbook webhook",
)
async def post_step(
    asked: Asked,
    incident_id: str,
    step: Annotated[int, Path(ge=1, le=1000)],
    body: Annotated[StepIn, Body()] = _NOBODY,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Post the step, and answer once the receiver has it. What it does with it is its own affair; nothing is executed here."""
    canonical = f"{incident_id}\n{step}\n{body.model_dump_json()}".encode("utf-8", "surrogatepass")
    return await once(asked, "plan:post", idempotency_key, canonical, partial(_post, asked, incident_id, step, body))


async def _post(asked: Ask, incident_id: str, number: int, body: StepIn) -> Response:
    runbook = asked.parts.runbook
    if runbook is None or not runbook.receiver:
        raise NotConfigured(NO_RUNBOOK)
    group = group_of(asked, incident_id)
    step = None if group is None else next((one for one in group.plan if one.step == number), None)
    if group is None or step is None:
        raise Unknown(f"no step {number} in the plan of incident {incident_id!r} of tenant {asked.tenant!r}")
    return answer(await to_thread.run_sync(_posted, asked, runbook, (incident_id, group, step), body))


def _posted(asked: Ask, runbook: StepReceiver, what: tuple[str, GroupRecord, Step], body: StepIn) -> dict[str, object]:
    incident_id, group, step = what
    # Of what is to be done alone, not of who asks when: the receiver may do once what two people ask for.
    named = sha256(msgspec.json.encode([asked.tenant, group.id, step])).hexdigest()
    message = f"msg_{named[:32]}"
    said = {
        "type": "foreshock.plan.step",
        "tenant": asked.tenant,
        "incident_id": incident_id,
        "group_id": group.id,
        "step": step,
        "causes": [cause.service for cause in group.causes],
        "who": body.who,
        "why": body.why,
        "posted_at": asked.now,
    }
    runbook.post(message, msgspec.json.encode(said))
    return {"id": message, "receiver": runbook.receiver, "posted_at": asked.now}
