"""Routes of errors: groups and recent events by service, and what kind of failure a given error is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import unquote

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from app.api.bodies import ClassifyIn, UtcTime
from app.api.error_news import ErrorNews, news_of
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.schemas import ClassificationOut, ErrorEventOut, ErrorGroupOut, Items
from app.cache.records import ErrorGroup, RecentErrors, ServiceSummary
from features.classify import classify
from features.event import ErrorEvent, ErrorRecord
from features.fingerprint import Templates, fingerprint
from features.recovery import advise

__all__ = ["ErrorFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["errors"])

_GroupRow = tuple[str, ErrorGroup]
_EventRow = tuple[ErrorEvent, int]

# Newest first; what follows the time only makes the keys unique.
_GROUPS: Listing[_GroupRow] = Listing(
    "error groups", (int, str, str), lambda row: (-microseconds(row[1].last_seen), row[0], row[1].fingerprint)
)
_EVENTS: Listing[_EventRow] = Listing(
    "error events",
    (int, str, str, str, str, int),
    lambda row: (-microseconds(row[0].time), *_identity(row[0])[1:], row[1]),
)


class ErrorFilter(Paged):
    """Which errors to list."""

    view: Literal["groups", "events"] = "groups"
    """Groups of like errors, or the last 50 events of each service."""
    service: str | None = None
    category: str | None = None
    since: UtcTime | None = None
    """Errors seen at this time or later."""
    only: Literal["new", "regressed"] | None = None
    """Groups that are new, or back after two days or more, since 24 hours at most."""

    def admits(self, category: str, time: datetime) -> bool:
        """Return whether an error is one of those asked for."""
        return (self.category is None or category == self.category) and (self.since is None or time >= self.since)


@router.get(
    "/errors", response_model=Items[ErrorGroupOut] | Items[ErrorEventOut], summary="Error groups or events, newest first"
)
async def list_errors(asked: Asked, chosen: Annotated[ErrorFilter, Query()]) -> Response:
    """List a tenant's errors."""
    return await to_thread.run_sync(_listed, asked, chosen)  # some ten thousand events take milliseconds to sort


@router.post("/errors:classify", response_model=ClassificationOut, summary="What kind of failure an error is, and what to do")
async def classify_error(asked: Asked, body: ClassifyIn) -> Response:
    """Classify one error; nothing is kept of it."""
    return answer(await to_thread.run_sync(_classified, asked, body))


def _listed(asked: Ask, chosen: ErrorFilter) -> Response:
    if chosen.view == "groups":
        groups = [row for row in _groups(asked, chosen.service) if chosen.admits(row[1].category, row[1].last_seen)]
        groups = [row for row in groups if chosen.only is None or getattr(_news(asked, *row), chosen.only)]
        page = _GROUPS.sorted_page(groups, chosen.limit, chosen.cursor)
        return answer_page(Page(tuple(_shown_group(asked, *row) for row in page.rows), page.next))
    events = [row for row in _events(asked, chosen.service) if chosen.admits(row[0].category, row[0].time)]
    found = _EVENTS.sorted_page(events, chosen.limit, chosen.cursor)
    return answer({"items": [event for event, _ in found.rows], "next": found.next})


def _news(asked: Ask, service: str, group: ErrorGroup) -> ErrorNews:
    return news_of(group, asked.cache.one("services", asked.key(service), ServiceSummary), asked.now)


def _shown_group(asked: Ask, service: str, group: ErrorGroup) -> dict[str, object]:
    shown = {name: value for name, value in members(group).items() if name != "returned_at"}
    return {"tenant": asked.tenant, "service": service} | shown | members(_news(asked, service, group))


def _classified(asked: Ask, body: ClassifyIn) -> dict[str, object]:
    """Classify in a thread: patterns over a long stack trace take milliseconds."""
    record = ErrorRecord(
        source="log",
        service=body.service,
        operation=body.operation,
        time_ns=microseconds(asked.now) * 1000,
        severity=17 if body.severity is None else body.severity,
        exception_type=body.exception_type,
        message=body.message,
        stack=body.stack,
        attributes={name: _text(value) for name, value in body.attributes.items()},
    )
    found = classify(record, asked.parts.rules)
    templates = Templates()
    template = templates.key(templates.add(body.message))
    return {
        "kind": found.kind,
        "category": found.category,
        "severity": found.severity if body.severity is None else body.severity,
        "retryable": found.retryable,
        "transient": found.transient,
        "fingerprint": fingerprint(body.service, found.kind, body.exception_type, template, body.stack),
        "by": found.by,
        "rule": found.rule,
        "advice": advise(found.kind, retry_after_s=_retry_after_s(record.attributes)),
    }


def _retry_after_s(attributes: Mapping[str, str]) -> float | None:
    """Return what the server asked for in whole seconds, the only form of `Retry-After` that needs no clock."""
    value = attributes.get("http.response.header.retry-after", "").strip('[]" ')
    return float(value) if value.isascii() and value.isdigit() else None


def _text(value: str | int | float | bool) -> str:
    """Return an attribute as the decoders of `app.ingest` do: true and false in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _recent(asked: Ask, service: str | None) -> Iterator[tuple[str, RecentErrors]]:
    if service is None:
        for key, recent in asked.cache.all("errors", asked.prefix, RecentErrors).items():
            yield unquote(key.removeprefix(asked.prefix)), recent
        return
    recent = asked.cache.one("errors", asked.key(service), RecentErrors)
    if recent is not None:
        yield service, recent


def _groups(asked: Ask, service: str | None) -> Iterator[_GroupRow]:
    for name, recent in _recent(asked, service):
        yield from ((name, group) for group in recent.groups)


def _events(asked: Ask, service: str | None) -> Iterator[_EventRow]:
    """Yield events with a number among those that nothing tells apart, so that each has a key of its own."""
    for _, recent in _recent(asked, service):
        seen: Counter[tuple[datetime, str, str, str, str]] = Counter()
        for event in recent.events:
            identity = _identity(event)
            yield event, seen[identity]
            seen[identity] += 1


def _identity(event: ErrorEvent) -> tuple[datetime, str, str, str, str]:
    return event.time, event.service, event.fingerprint, event.trace_id, event.span_id
