"""Routes of model versions: the manifest that `models.registry` keeps, what each version is now, and who made it so.

A change of who serves is a step with who, when and why; workers load the new champion before their next tick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Response

from app.api.bodies import StepIn
from app.api.idempotency import IdempotencyKey, once
from app.api.model_schemas import ComparisonOut, ModelDetailOut
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.problems import Unknown
from app.api.schemas import Items, ModelOut
from app.versions import compared, must_serve
from models.registry import Registry
from models.version import ModelVersion, ServingHistory

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["training"])

_NEWEST: Listing[ModelVersion] = Listing(
    "models", (int, str), lambda version: (-microseconds(version.record.created_at), version.id)
)
_BUCKET = "models"
_NOBODY = StepIn()


@router.get("/models", response_model=Items[ModelOut], summary="Model versions, newest first")
async def list_models(asked: Asked, page: Annotated[Paged, Query()]) -> Response:
    """List the tenant's model versions."""
    versions = list(asked.cache.all(_BUCKET, asked.key("version", ""), ModelVersion).values())
    serving = asked.cache.one(_BUCKET, asked.key("serving"), ServingHistory) or ServingHistory()
    found = _NEWEST.sorted_page(versions, page.limit, page.cursor)
    return answer_page(Page(tuple(_shown(version, serving) for version in found.rows), found.next))


# Before the route of one version, whose id could be anything.
@router.post("/models:rollback", response_model=ModelDetailOut, summary="Let the version serve again that served before")
async def roll_back(
    asked: Asked, body: Annotated[StepIn, Body()] = _NOBODY, idempotency_key: IdempotencyKey = None
) -> Response:
    """Take the last promotion back."""

    def change(registry: Registry) -> ModelVersion:
        must_serve(registry, registry.earlier())
        return registry.rollback(who=body.who, why=body.why, at=asked.now)

    return await once(asked, "models:rollback", idempotency_key, body.model_dump_json().encode(), partial(_step, asked, change))


@router.post("/models/{version_id}:promote", response_model=ModelDetailOut, summary="Let a version serve")
async def promote_model(
    asked: Asked, version_id: str, body: Annotated[StepIn, Body()] = _NOBODY, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a version the champion, once it is sure that it can serve."""

    def change(registry: Registry) -> ModelVersion:
        _found(asked, version_id)
        must_serve(registry, version_id)
        return registry.promote(version_id, who=body.who, why=body.why, at=asked.now)

    canonical = f"{version_id}\n{body.model_dump_json()}".encode("utf-8", "surrogatepass")
    return await once(asked, "models:promote", idempotency_key, canonical, partial(_step, asked, change))


@router.get("/models/{version_id}", response_model=ModelDetailOut, summary="One model version, and who let it serve")
async def show_model(asked: Asked, version_id: str) -> Response:
    """Answer with a version and its history."""
    return answer(await to_thread.run_sync(_detail, asked, version_id))


@router.get("/models/{version_id}/compare/{other_id}", response_model=ComparisonOut, summary="Two versions side by side")
async def compare_models(asked: Asked, version_id: str, other_id: str) -> Response:
    """Answer with what tells two versions apart."""
    one, other = await to_thread.run_sync(lambda: (_found(asked, version_id), _found(asked, other_id)))
    return answer(compared(one, other))


async def _step(asked: Ask, change: Callable[[Registry], ModelVersion]) -> Response:
    version = await to_thread.run_sync(change, asked.parts.registry_of(asked.tenant))
    return answer(await to_thread.run_sync(_detail, asked, version.id))


def _found(asked: Ask, version_id: str) -> ModelVersion:
    """Return a version, from the store where another node may have added it a moment ago."""
    key = asked.key("version", version_id)
    version = asked.cache.one(_BUCKET, key, ModelVersion) or asked.cache.stored(_BUCKET, key, ModelVersion)
    if version is None:
        raise Unknown(f"no model version {version_id!r} of tenant {asked.tenant!r}")
    return version


def _detail(asked: Ask, version_id: str) -> dict[str, object]:
    version = _found(asked, version_id)
    serving = asked.cache.stored(_BUCKET, asked.key("serving"), ServingHistory) or ServingHistory()
    steps = [step for step in serving.steps if version_id in (step.version, step.before)]
    return _shown(version, serving) | {"history": steps}


def _shown(version: ModelVersion, serving: ServingHistory) -> dict[str, object]:
    shown = members(version) | members(version.record)
    del shown["record"]
    return shown | {"alias": serving.alias(version.id, version.alias)}
