"""Routes of silences and maintenance windows: what people do not want to be told of for a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from app.alerts.quiet import in_force
from app.api.alert_schemas import SilenceIn, SilenceOut
from app.api.idempotency import IdempotencyKey, once
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.problems import Unknown
from app.api.schemas import Items
from app.cache.alert_records import MatcherRecord, SilenceRecord
from app.cache.documents import decode_document, encode_document

__all__ = ["SilenceFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["alerts"])

_NEWEST: Listing[SilenceRecord] = Listing("silences", (int, str), lambda record: (-microseconds(record.created_at), record.id))


class SilenceFilter(Paged):
    """Which silences to list."""

    state: Literal["all", "in_force", "over"] = "all"
    """`over` are those that will not come again."""


@router.get("/silences", response_model=Items[SilenceOut], summary="Silences and maintenance windows, newest first")
async def list_silences(asked: Asked, chosen: Annotated[SilenceFilter, Query()]) -> Response:
    """List a tenant's silences."""
    records = list(asked.cache.all("silences", asked.prefix, SilenceRecord).values())
    if chosen.state == "in_force":
        records = [record for record in records if in_force(record, asked.now)]
    elif chosen.state == "over":
        records = [record for record in records if _is_over(record, asked)]
    page = _NEWEST.sorted_page(records, chosen.limit, chosen.cursor)
    return answer_page(Page(tuple(_shown(record, asked) for record in page.rows), page.next))


@router.post("/silences", response_model=SilenceOut, status_code=201, summary="Keep alerts quiet for a time")
async def add_silence(asked: Asked, body: SilenceIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Keep alerts quiet whose labels fit, now or later, once or again and again."""
    return await once(asked, "silences", idempotency_key, body.model_dump_json().encode(), partial(_add, asked, body))


@router.delete("/silences/{silence_id}", response_model=SilenceOut, summary="End a silence")
async def end_silence(asked: Asked, silence_id: str, who: str = "unknown") -> Response:
    """End a silence now. It stays in the list for a while, for those who ask why nothing was said; to end it again changes nothing."""
    return answer(_shown(await to_thread.run_sync(_end, asked, silence_id, who), asked))


async def _add(asked: Ask, body: SilenceIn) -> Response:
    record = SilenceRecord(
        id=asked.parts.new_id(),
        tenant=asked.tenant,
        matchers=tuple(MatcherRecord(one.label, one.pattern, one.equal) for one in body.matchers),
        start=body.start or asked.now,
        end=body.end,
        author=body.author,
        comment=body.comment,
        created_at=asked.now,
        repeats=body.repeats,
        zone=body.zone,
        repeats_until=body.repeats_until,
    )
    write = partial(asked.parts.documents.swap, "silences", asked.key(record.id), encode_document(record), 0)
    await to_thread.run_sync(partial(write, ttl_s=_kept_s(record, asked)))
    return answer(_shown(record, asked), 201)


def _end(asked: Ask, silence_id: str, who: str) -> SilenceRecord:
    key, documents = asked.key(silence_id), asked.parts.documents
    found = documents.get("silences", key)
    if found is None:
        raise Unknown(f"no silence {silence_id!r} of tenant {asked.tenant!r}")
    record = decode_document(found.value, SilenceRecord)
    if record.ended_at is not None:
        return record
    ended = replace(record, ended_at=asked.now, ended_by=who[:256])
    documents.swap("silences", key, encode_document(ended), found.revision, ttl_s=asked.parts.alerting.kept_s)
    return ended


def _kept_s(record: SilenceRecord, asked: Ask) -> float | None:
    """Return the seconds for which a silence is kept: some time beyond its end, for ever where there is none."""
    last = record.end if record.repeats is None else _last_end(record)
    return None if last is None else max((last - asked.now).total_seconds(), 0.0) + asked.parts.alerting.kept_s


def _last_end(record: SilenceRecord) -> datetime | None:
    """Return when the last time of one that repeats is over at the latest; None for never."""
    # A day beyond its length, as a change of the clocks makes it longer.
    length = record.end - record.start + timedelta(days=1)
    return None if record.repeats_until is None else max(record.end, record.repeats_until + length)


def _is_over(record: SilenceRecord, asked: Ask) -> bool:
    last = record.end if record.repeats is None else record.repeats_until
    return record.ended_at is not None or (last is not None and last <= asked.now and not in_force(record, asked.now))


def _shown(record: SilenceRecord, asked: Ask) -> dict[str, object]:
    return members(record) | {"in_force": in_force(record, asked.now)}
