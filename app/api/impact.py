"""The route that says what feedback changed, as the newest training run that learned with it measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from fastapi import APIRouter, Response

from app.api.impact_schemas import ImpactOut
from app.api.parts import PREFIX, Ask, Asked, answer
from app.cache.records import FeedbackRecord, TrainingRun
from features.errors import InvalidValue
from models.feedback import Feedback, in_force

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["feedback"])

_NONE_YET = "no training run has learned with feedback yet; it is said here once one has"


@router.get("/feedback/impact", response_model=ImpactOut, summary="What feedback changed: labels, and scores on held-out time")
async def show_impact(asked: Asked) -> Response:
    """Answer with what the newest run that had feedback says of it, and with what has been said since."""
    standing = in_force(_given(asked))
    runs = asked.cache.all("training-runs", asked.prefix, TrainingRun).values()
    measured = [run for run in runs if run.state == "succeeded" and run.report is not None and run.report.get("feedback")]
    run = max(measured, key=lambda run: (run.requested_at, run.id), default=None)
    if run is None or run.report is None:
        nothing = dict.fromkeys(("run", "ended_at", "model_version", "changed", "used", "labels", "scores", "contrast"))
        return answer(nothing | {"standing": len(standing), "waiting": len(standing), "note": _NONE_YET})
    told = cast("Mapping[str, object]", run.report["feedback"])
    return answer(
        {
            "run": run.id,
            "ended_at": run.ended_at,
            "model_version": run.model_version,
            **{name: told[name] for name in ("changed", "used", "labels", "scores", "note")},
            "contrast": told.get("contrast"),  # reports of earlier releases have none
            "standing": len(standing),
            "waiting": sum(said.at > run.requested_at for said in standing),
        }
    )


def _given(asked: Ask) -> list[Feedback]:
    """Return all verdicts that can be read; one that cannot is left out of training too."""
    given: list[Feedback] = []
    for record in asked.cache.all("feedback", asked.prefix, FeedbackRecord).values():
        try:
            given.append(record.feedback())
        except InvalidValue:
            continue
    return given
