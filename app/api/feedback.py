"""Routes of feedback: a person's verdicts come in, are kept, and are read by `flow.settle` when it learns."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from app.api.bodies import FeedbackIn
from app.api.idempotency import IdempotencyKey, once
from app.api.pages import Listing, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer
from app.api.problems import Unknown
from app.api.schemas import FeedbackOut, Items, Verdict
from app.cache.documents import encode_document
from app.cache.records import FeedbackRecord, IncidentRecord
from features.errors import InvalidValue
from models.prediction import HORIZONS

__all__ = ["FeedbackFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["feedback"])

_NEWEST: Listing[FeedbackRecord] = Listing(
    "feedback", (int, str), lambda record: (-microseconds(record.received_at), record.id)
)


class FeedbackFilter(Paged):
    """Which verdicts to list."""

    service: str | None = None
    verdict: Verdict | None = None

    def admits(self, record: FeedbackRecord) -> bool:
        """Return whether a verdict is one of those asked for."""
        return (self.service is None or record.service == self.service) and (
            self.verdict is None or record.verdict == self.verdict
        )


@router.post("/feedback", response_model=FeedbackOut, status_code=201, summary="Say what really happened")
async def give_feedback(asked: Asked, body: FeedbackIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Keep a verdict on a prediction, an incident or an interval."""
    record = await to_thread.run_sync(_record, asked, body)
    return await once(asked, "feedback", idempotency_key, body.model_dump_json().encode(), partial(_keep, asked, record))


@router.get("/feedback", response_model=Items[FeedbackOut], summary="Verdicts, newest first")
async def list_feedback(asked: Asked, chosen: Annotated[FeedbackFilter, Query()]) -> Response:
    """List a tenant's verdicts."""
    records = asked.cache.all("feedback", asked.prefix, FeedbackRecord).values()
    page = _NEWEST.sorted_page([record for record in records if chosen.admits(record)], chosen.limit, chosen.cursor)
    return answer({"items": page.rows, "next": page.next})


@router.get("/feedback/{feedback_id}", response_model=FeedbackOut, summary="One verdict")
async def show_feedback(asked: Asked, feedback_id: str) -> Response:
    """Answer with a verdict."""
    key = asked.key(feedback_id)
    record = asked.cache.one("feedback", key, FeedbackRecord)
    if record is None:  # another node may have taken it a moment ago
        record = await to_thread.run_sync(asked.cache.stored, "feedback", key, FeedbackRecord)
    if record is None:
        raise Unknown(f"no feedback {feedback_id!r} of tenant {asked.tenant!r}")
    return answer(record)


async def _keep(asked: Ask, record: FeedbackRecord) -> Response:
    """Write a verdict; revision 0 lets nothing be written over."""
    await to_thread.run_sync(asked.parts.documents.swap, "feedback", asked.key(record.id), encode_document(record), 0)
    return answer(record, 201, {"Location": f"{PREFIX}/feedback/{record.id}"})


def _record(asked: Ask, body: FeedbackIn) -> FeedbackRecord:
    """Join a verdict with the series and interval of its target, while they are known."""
    kept = FeedbackRecord(
        id=asked.parts.new_id(),
        tenant=asked.tenant,
        received_at=asked.now,
        verdict=body.verdict,
        prediction_id=body.prediction_id,
        incident_id=body.incident_id,
        category=body.category,
        who=body.who,
        why=body.why,
    )
    if body.prediction_id is not None:
        return _of_prediction(asked, body.prediction_id, kept)
    if body.incident_id is not None:
        return _of_incident(asked, body.incident_id, kept)
    return replace(kept, service=body.service, operation=body.operation, start=body.start, end=body.end)


def _of_prediction(asked: Ask, prediction_id: str, kept: FeedbackRecord) -> FeedbackRecord:
    # It is replaced within a tick, so a verdict on one that is gone is kept by its id alone.
    known = asked.cache.prediction(asked.tenant, prediction_id)
    if known is None:
        return kept
    end = known.as_of + timedelta(seconds=max(HORIZONS.values()))
    return replace(kept, service=known.service, operation=known.operation, start=known.as_of, end=end)


def _of_incident(asked: Ask, incident_id: str, kept: FeedbackRecord) -> FeedbackRecord:
    known = asked.cache.one("incidents", asked.key(incident_id), IncidentRecord)
    if known is None:
        raise InvalidValue(f"incident_id must name an incident of tenant {asked.tenant!r}, got {incident_id!r}")
    return replace(kept, service=known.service, operation=known.operation, start=known.start, end=known.end)
