"""The route of server-sent events: what changes is sent to who listens, filtered, in order, with a place to go on from.

An event carries the document as it is when it is sent, and one that has changed again is left
to its later event. A reader that is too slow for the ring is told with ``dropped`` how much it lost.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Annotated, Literal, cast

import anyio
import msgspec
from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from app.api.feed import Change, Feed, Feeds, Kind
from app.api.groups import shown_group
from app.api.pages import microseconds
from app.api.parts import PREFIX, Ask, Asked, members
from app.api.predictions import shown_prediction
from app.cache.alert_records import AlertRecord
from app.cache.group_records import GroupRecord
from app.cache.records import IncidentRecord, PredictionRecord
from features.series import WHOLE
from models.version import ModelVersion, ServingHistory

__all__ = ["StreamFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["stream"])

_AT_ONCE = 64  # events that are put together before they are sent; guessed, and what a slow reader holds in memory
_RETRY_MS = 2000  # guessed: what browsers wait before they connect again

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "The kind of what changed, or `dropped`."},
        "id": {"type": "string", "description": "The place to go on from, as Last-Event-ID."},
        "retry": {"type": "integer", "description": "Milliseconds after which to connect again."},
        "data": {"type": "string", "description": "JSON."},
    },
}  # of one event, which is what the answer is a sequence of
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class StreamFilter(BaseModel):
    """Which events to send."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    event: list[Kind] = Field(default_factory=list[Kind])
    """Kinds of event; all without any."""
    service: str | None = None
    """Only of this service, and of groups in which it shows the trouble; models are of none."""
    operations: Literal["all", "whole"] = "all"
    """`whole` leaves out what is of single operations."""
    for_s: float | None = Field(None, ge=0.0, le=86_400.0)
    """Seconds after which the stream ends; open without."""

    def admits(self, change: Change) -> bool:
        """Return whether a change is one of those asked for."""
        return (
            (not self.event or change.kind in self.event)
            and (self.service is None or self.service in (change.service, *change.services))
            and (self.operations == "all" or change.operation in ("", WHOLE))
        )


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "Events, one after the other"}},
    summary="Server-sent events: predictions, anomalies, incidents, groups, alerts, models",
)
async def stream(
    request: Request,
    asked: Asked,
    chosen: Annotated[StreamFilter, Query()],
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=128, description="The last id that came; what changed since is sent."),
    ] = None,
) -> StreamingResponse:
    """Send what changes from now on, or since the event that a reader had last."""
    feeds = cast("Feeds", request.app.state.feeds)
    feed = await to_thread.run_sync(feeds.enter, asked.tenant, f"{microseconds(asked.now):x}")
    return _Stream(_events(asked, feeds, feed, chosen, last_event_id), partial(feeds.leave, asked.tenant))


class _Stream(StreamingResponse):
    """A stream that counts its reader out however it ends, also before its first line."""

    def __init__(self, content: AsyncGenerator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(content, 200, _HEADERS, "text/event-stream")
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _events(
    asked: Ask, feeds: Feeds, feed: Feed, chosen: StreamFilter, last_event_id: str | None
) -> AsyncGenerator[bytes]:
    plan = feeds.plan
    ends = None if chosen.for_s is None else anyio.current_time() + chosen.for_s
    await to_thread.run_sync(partial(feed.look, anyway=True))
    number = _place(feed, last_event_id)
    # A place without an event: who is cut off before the first event, or while none was for it, knows from where to go on.
    yield b"retry: %d\n%s\n" % (_RETRY_MS, b"" if number is None else _id(feed, number))
    if number is None:
        number = feed.newest
        yield _dropped(feed, number, None, f"no events are known since {last_event_id!r}")
    spoke = anyio.current_time()
    while True:
        changes, lost = feed.since(number, _AT_ONCE)
        number = changes[-1].number if changes else number + lost
        sent = [line for change in changes if chosen.admits(change) and (line := _line(asked, feed, change))]
        if lost:
            sent.insert(0, _dropped(feed, number - len(changes), lost, "the stream was read too slowly"))
        if not sent and anyio.current_time() - spoke >= plan.heartbeat_s:
            sent.append(b": heartbeat\n%s\n" % _id(feed, number))
        if sent:
            yield b"".join(sent)
            spoke = anyio.current_time()
        if asked.parts.stopping() or (ends is not None and anyio.current_time() >= ends):
            return
        if len(changes) < _AT_ONCE:
            await anyio.sleep(plan.poll_s)
            await to_thread.run_sync(feed.look)


def _place(feed: Feed, last_event_id: str | None) -> int | None:
    """Return the number of the last change that a reader has, None when that cannot be known."""
    if last_event_id is None:
        return feed.newest
    epoch, _, number = last_event_id.rpartition("-")
    known = epoch == feed.epoch and number.isascii() and number.isdigit() and int(number) <= feed.newest
    return int(number) if known else None


def _dropped(feed: Feed, number: int, lost: int | None, why: str) -> bytes:
    return _event(_id(feed, number), "dropped", {"lost": lost, "why": f"{why}; read the lists again"})


def _line(asked: Ask, feed: Feed, change: Change) -> bytes | None:
    """Return the event of a change, None where the document is gone or has a later one."""
    data = _data(asked, change)
    return None if data is None else _event(_id(feed, change.number), change.kind, data)


def _id(feed: Feed, number: int) -> bytes:
    """Return the line of an id; a client sends the last one that it got, also of a block without an event."""
    return f"id: {feed.epoch}-{number}\n".encode()


def _event(place: bytes, kind: str, data: Mapping[str, object]) -> bytes:
    return b"%sevent: %s\ndata: %s\n\n" % (place, kind.encode(), msgspec.json.encode(data))


def _data(asked: Ask, change: Change) -> Mapping[str, object] | None:
    if asked.cache.revision(change.bucket, change.key) != change.revision:
        return None
    if change.kind == "model":
        return _of_model(asked, change.key)
    if change.kind == "incident":
        incident = asked.cache.one("incidents", change.key, IncidentRecord)
        return None if incident is None else members(incident)
    if change.kind == "group":
        group = asked.cache.one("groups", change.key, GroupRecord)
        return None if group is None else shown_group(group)
    if change.kind == "alert":
        alert = asked.cache.one("alerts", change.key, AlertRecord)
        return None if alert is None else members(alert)
    prediction = asked.cache.one("predictions", change.key, PredictionRecord)
    if prediction is None:
        return None
    if change.kind == "prediction":
        return shown_prediction(prediction, asked, asked.parts.now())
    names = ("tenant", "service", "operation", "as_of")
    series = {name: getattr(prediction, name) for name in names}
    return series | members(prediction.anomaly) | {"prediction_id": prediction.id}


def _of_model(asked: Ask, key: str) -> Mapping[str, object] | None:
    """Return the newest step of who serves, or that a version was added."""
    if key == asked.key("serving"):
        serving = asked.cache.one("models", key, ServingHistory)
        return members(serving.steps[-1]) if serving and serving.steps else None
    version = asked.cache.one("models", key, ModelVersion)
    if version is None:
        return None
    return {
        "action": "registered",
        "version": version.id,
        "before": None,
        "at": version.record.created_at,
        "who": "foreshock",
        "why": "",
    }
