"""Routes of model versions: the manifest that `models.registry` keeps, with what each version is now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Asked, Paged, answer_page, members
from app.api.schemas import Items, ModelOut
from app.cache.records import ServingHistory
from models.version import ModelVersion

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["training"])

_NEWEST: Listing[ModelVersion] = Listing(
    "models", (int, str), lambda version: (-microseconds(version.record.created_at), version.id)
)


@router.get("/models", response_model=Items[ModelOut], summary="Model versions, newest first")
async def list_models(asked: Asked, page: Annotated[Paged, Query()]) -> Response:
    """List the tenant's model versions."""
    versions = list(asked.cache.all("models", asked.key("version", ""), ModelVersion).values())
    serving = asked.cache.one("models", asked.key("serving"), ServingHistory) or ServingHistory()
    found = _NEWEST.sorted_page(versions, page.limit, page.cursor)
    return answer_page(Page(tuple(_shown(version, serving.history) for version in found.rows), found.next))


def _shown(version: ModelVersion, history: tuple[str, ...]) -> dict[str, object]:
    shown = members(version) | members(version.record)
    del shown["record"]
    if version.id in history:  # the history, not the manifest, knows who serves and who did
        shown["alias"] = "champion" if version.id == history[-1] else "retired"
    return shown
