"""Routes of feedback: a person's verdicts come in, are kept, and are read when a training run lays its labels.

Nothing is ever rewritten: who takes a verdict back adds a record that says so, and both stay in the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Response

from app.api.bodies import FeedbackBatchIn, FeedbackIn, SelectorIn, StepIn, UtcTime
from app.api.idempotency import IdempotencyKey, once
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.problems import InvalidItems, Unknown
from app.api.schemas import FeedbackOut, Items, Verdict
from app.cache.documents import encode_document
from app.cache.records import FeedbackRecord, IncidentRecord, SelectorRecord
from features.errors import Conflict, InvalidValue
from models.prediction import HORIZONS

__all__ = ["FeedbackFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["feedback"])

_NEWEST: Listing[FeedbackRecord] = Listing(
    "feedback", (int, str), lambda record: (-microseconds(record.received_at), record.id)
)

_BUCKET = "feedback"
_UNDO = "undo-"  # what the id of a withdrawal starts with; one id a verdict, so that none is taken back twice
_NOBODY = StepIn()


class FeedbackFilter(Paged):
    """Which verdicts to list."""

    service: str | None = None
    operation: str | None = None
    verdict: Verdict | None = None
    who: str | None = None
    prediction_id: str | None = None
    incident_id: str | None = None
    state: Literal["all", "standing", "undone"] = "all"
    """`standing` leaves out what was taken back, and the records that did so; `undone` lists only what was."""
    since: UtcTime | None = None
    """Verdicts that were given at this time or later."""
    until: UtcTime | None = None
    """Verdicts that were given before this time."""

    def admits(self, record: FeedbackRecord, undone: Mapping[str, str]) -> bool:
        """Return whether a verdict is one of those asked for; `undone` names what took which back."""
        wanted = ("service", "operation", "verdict", "who", "prediction_id", "incident_id")
        return (
            all(getattr(self, name) in (None, getattr(record, name)) for name in wanted)
            and (self.since is None or record.received_at >= self.since)
            and (self.until is None or record.received_at < self.until)
            and (self.state != "undone" or record.id in undone)
            and (self.state != "standing" or (record.undoes is None and record.id not in undone))
        )


@router.post("/feedback", response_model=FeedbackOut, status_code=201, summary="Say what really happened")
async def give_feedback(asked: Asked, body: FeedbackIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Keep a verdict on a prediction, an incident, or an interval of one or many series."""
    return await once(asked, "feedback", idempotency_key, body.model_dump_json().encode(), partial(_give, asked, body))


@router.post(
    "/feedback:batch", response_model=Items[FeedbackOut], status_code=201, summary="Say of many things what really happened"
)
async def give_feedback_batch(asked: Asked, body: FeedbackBatchIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Keep all verdicts, or none and say of which items why."""
    work = partial(_give_all, asked, body.items)
    return await once(asked, "feedback:batch", idempotency_key, body.model_dump_json().encode(), work)


@router.post(
    "/feedback/{feedback_id}:undo", response_model=FeedbackOut, status_code=201, summary="Take a verdict back, for all to see"
)
async def undo_feedback(
    asked: Asked, feedback_id: str, body: Annotated[StepIn, Body()] = _NOBODY, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add a record that takes a verdict back; labels are then as if it had never been given."""
    canonical = f"{feedback_id}\n{body.model_dump_json()}".encode("utf-8", "surrogatepass")
    return await once(asked, "feedback:undo", idempotency_key, canonical, partial(_undo, asked, feedback_id, body))


@router.get("/feedback", response_model=Items[FeedbackOut], summary="Verdicts, newest first, with what was taken back")
async def list_feedback(asked: Asked, chosen: Annotated[FeedbackFilter, Query()]) -> Response:
    """List a tenant's verdicts."""
    records = asked.cache.all(_BUCKET, asked.prefix, FeedbackRecord).values()
    undone = _undone(records)
    page = _NEWEST.sorted_page([one for one in records if chosen.admits(one, undone)], chosen.limit, chosen.cursor)
    return answer_page(Page(tuple(_shown(record, undone) for record in page.rows), page.next))


@router.get("/feedback/{feedback_id}", response_model=FeedbackOut, summary="One verdict")
async def show_feedback(asked: Asked, feedback_id: str) -> Response:
    """Answer with a verdict."""
    record, undone = await to_thread.run_sync(_found, asked, feedback_id)
    return answer(_shown(record, undone))


async def _keep(asked: Ask, record: FeedbackRecord) -> Response:
    """Write a verdict; revision 0 lets nothing be written over."""
    await to_thread.run_sync(asked.parts.documents.swap, _BUCKET, asked.key(record.id), encode_document(record), 0)
    return answer(_shown(record, {}), 201, {"Location": f"{PREFIX}/feedback/{record.id}"})


async def _give(asked: Ask, body: FeedbackIn) -> Response:
    return await _keep(asked, await to_thread.run_sync(_record, asked, body, asked.now))


async def _give_all(asked: Ask, bodies: Sequence[FeedbackIn]) -> Response:
    records = await to_thread.run_sync(_records, asked, bodies)
    values = {asked.key(record.id): encode_document(record) for record in records}
    await to_thread.run_sync(asked.parts.documents.add_all, _BUCKET, values)
    return answer({"items": [_shown(record, {}) for record in records], "next": None}, 201)


async def _undo(asked: Ask, feedback_id: str, body: StepIn) -> Response:
    record, undone = await to_thread.run_sync(_found, asked, feedback_id)
    if record.undoes is not None:
        raise InvalidValue(f"a verdict is taken back, not the taking back; give it anew instead of undoing {feedback_id!r}")
    if record.id in undone:
        raise Conflict(f"feedback {feedback_id!r} was taken back already, by {undone[record.id]!r}")
    withdrawal = replace(record, id=_UNDO + record.id, received_at=asked.now, who=body.who, why=body.why, undoes=record.id)
    return await _keep(asked, withdrawal)


def _found(asked: Ask, feedback_id: str) -> tuple[FeedbackRecord, dict[str, str]]:
    """Return a verdict, and what took it back, from the store where another node may have written a moment ago."""
    key, undo = asked.key(feedback_id), _UNDO + feedback_id
    record = asked.cache.one(_BUCKET, key, FeedbackRecord) or asked.cache.stored(_BUCKET, key, FeedbackRecord)
    if record is None:
        raise Unknown(f"no feedback {feedback_id!r} of tenant {asked.tenant!r}")
    withdrawn = asked.cache.stored(_BUCKET, asked.key(undo), FeedbackRecord) is not None
    return record, {feedback_id: undo} if withdrawn else {}


def _undone(records: Iterable[FeedbackRecord]) -> dict[str, str]:
    """Return by id of a verdict the id of what took it back."""
    return {record.undoes: record.id for record in records if record.undoes is not None}


def _shown(record: FeedbackRecord, undone: Mapping[str, str]) -> dict[str, object]:
    return members(record) | {"undone_by": undone.get(record.id)}


def _records(asked: Ask, bodies: Sequence[FeedbackIn]) -> list[FeedbackRecord]:
    """Make the records of a batch, each a microsecond after the one before, or say of every item that has none why."""
    records: list[FeedbackRecord] = []
    reasons: dict[int, str] = {}
    for index, body in enumerate(bodies):
        try:
            records.append(_record(asked, body, asked.now + timedelta(microseconds=index)))
        except InvalidValue as exc:
            reasons[index] = str(exc)
    if reasons:
        raise InvalidItems(reasons)
    return records


def _record(asked: Ask, body: FeedbackIn, at: datetime) -> FeedbackRecord:
    """Join a verdict with the series and interval of its target, while they are known."""
    kept = FeedbackRecord(
        id=asked.parts.new_id(),
        tenant=asked.tenant,
        received_at=at,
        verdict=body.verdict,
        prediction_id=body.prediction_id,
        incident_id=body.incident_id,
        category=body.category,
        who=body.who,
        why=body.why,
        repeats=body.repeats,
        repeats_until=body.repeats_until,
    )
    if body.prediction_id is not None:
        return _of_prediction(asked, body.prediction_id, kept)
    if body.incident_id is not None:
        return _of_incident(asked, body.incident_id, kept)
    kept = replace(kept, start=body.start, end=body.end)
    if body.selector is not None:
        selector = _selector(body.selector)
        return replace(kept, service=selector.service, operation=selector.operation, selector=selector)
    return replace(kept, service=body.service, operation=body.operation)


def _selector(given: SelectorIn) -> SelectorRecord:
    named = (None if name == "*" else name for name in (given.service, given.operation))
    return SelectorRecord(*named)


def _of_prediction(asked: Ask, prediction_id: str, kept: FeedbackRecord) -> FeedbackRecord:
    # It is replaced within a tick; a verdict on one that is gone finds its series and time in history, when it is learned from.
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
