"""Routes of training runs and model versions: a run is asked for here, done by `app.jobs`, and read from its document."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Response

from app.api.bodies import TrainingIn
from app.api.idempotency import IdempotencyKey, once
from app.api.pages import Listing, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, TrainingRequest, answer
from app.api.problems import Unknown
from app.api.schemas import Items, RunState, TrainingRunOut
from app.cache.records import TrainingRun

__all__ = ["RunFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["training"])

_DEFAULTS = TrainingIn()

_NEWEST: Listing[TrainingRun] = Listing("training runs", (int, str), lambda run: (-microseconds(run.requested_at), run.id))


class RunFilter(Paged):
    """Which training runs to list."""

    state: RunState | None = None


@router.post("/training-runs", response_model=TrainingRunOut, status_code=202, summary="Ask for a training run")
async def start_training(
    asked: Asked, body: Annotated[TrainingIn, Body()] = _DEFAULTS, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queue a training run."""
    request = TrainingRequest(asked.tenant, body.reason, body.since, body.until, body.seed, asked.now)
    return await once(asked, "training-runs", idempotency_key, body.model_dump_json().encode(), partial(_start, asked, request))


@router.get("/training-runs", response_model=Items[TrainingRunOut], summary="Training runs, newest first")
async def list_training_runs(asked: Asked, chosen: Annotated[RunFilter, Query()]) -> Response:
    """List a tenant's training runs."""
    runs = asked.cache.all("training-runs", asked.prefix, TrainingRun).values()
    own = [run for run in runs if chosen.state in (None, run.state)]
    page = _NEWEST.sorted_page(own, chosen.limit, chosen.cursor)
    return answer({"items": page.rows, "next": page.next})


@router.get("/training-runs/{run_id}", response_model=TrainingRunOut, summary="One training run")
async def show_training_run(asked: Asked, run_id: str) -> Response:
    """Answer with a training run."""
    key = asked.key(run_id)
    run = asked.cache.one("training-runs", key, TrainingRun)
    if run is None:  # another node may have taken it a moment ago
        run = await to_thread.run_sync(asked.cache.stored, "training-runs", key, TrainingRun)
    if run is None:
        raise Unknown(f"no training run {run_id!r} of tenant {asked.tenant!r}")
    return answer(run)


async def _start(asked: Ask, request: TrainingRequest) -> Response:
    run_id = await to_thread.run_sync(asked.parts.start_training, request)
    queued = TrainingRun(
        id=run_id, state="queued", requested_at=request.requested_at, reason=request.reason, tenant=request.tenant
    )
    return answer(queued, 202, {"Location": f"{PREFIX}/training-runs/{run_id}", "Retry-After": "1"})
