"""The route of learning: how the forecasts of a tenant do, by what came true, and who is heard for how much.

The worker publishes it with the predictions of a tick (`app.learning`).
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.learning_schemas import LearningOut
from app.api.parts import PREFIX, Asked, answer, members
from app.api.problems import Unknown
from app.cache.learning_records import LearningRecord

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["models"])


@router.get(
    "/learning",
    response_model=LearningOut,
    responses={404: {"description": "No outcome of a forecast is known yet"}},
    summary="How well forecasts do lately, by what came true",
)
async def show_learning(asked: Asked) -> Response:
    """Say of every member how well it forecast lately, with its weight, the signs of drift and the rival under comparison."""
    found = asked.cache.one("learning", asked.key("*"), LearningRecord)
    if found is None:
        raise Unknown(f"tenant {asked.tenant!r} has no forecast yet whose outcome is known")
    return answer(members(found) | {"age_s": max(0.0, (asked.now - found.as_of).total_seconds())})
