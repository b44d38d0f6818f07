"""Routes of services and predictions: read from the cache, with the age of what they say.

A prediction is replaced as a whole, so its id is its entity tag, and it may be kept by clients until it expires. It is ``stale`` from
then on, or from the moment at which another model serves or feedback on the series comes, without anybody writing that down.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from app.api.entries import HIDDEN, age_s, headers_of, matches
from app.api.pages import Listing, Page
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.problems import Unknown
from app.api.schemas import ExplanationOut, Horizon, Items, PredictionOut, ServiceOut, ServicePredictionOut, Status
from app.cache.cache import PredictionHead
from app.cache.records import PredictionRecord, ServiceSummary
from features.series import WHOLE
from models.prediction import HORIZONS

__all__ = ["PredictionFilter", "router", "shown_prediction"]

_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is still what If-None-Match names"}}

router = APIRouter(prefix=PREFIX, tags=["predictions"])

_LONGEST = max(HORIZONS, key=HORIZONS.__getitem__)

_Row = tuple[str, PredictionHead]


def _by_risk(horizon: str) -> Listing[_Row]:
    """Return the order by falling risk within a horizon, whose cursors no other takes."""
    name = "predictions" if horizon == _LONGEST else f"predictions by {horizon}"
    return Listing(name, (float, str), lambda row: (-row[1].horizons[horizon].probability, row[0]))


_BY_RISK = {horizon: _by_risk(horizon) for horizon in HORIZONS}
_BY_SERVICE: Listing[ServiceSummary] = Listing("services", (str,), lambda summary: (summary.service,))


class PredictionFilter(Paged):
    """Which predictions to list."""

    service: str | None = None
    operation: str | None = None
    operations: Literal["all", "whole"] = "all"
    """`whole` lists whole services alone."""
    status: Status | None = None
    min_probability: float = Field(0.0, ge=0.0, le=1.0)
    """Of `horizon`."""
    horizon: Horizon = "60min"
    sort_by: Horizon = "60min"
    """Horizon within which the riskiest come first."""

    def admits(self, head: PredictionHead) -> bool:
        """Return whether a prediction is one of those asked for, whatever its status."""
        return (
            (self.service is None or head.service == self.service)
            and (self.operation is None or head.operation == self.operation)
            and (self.operations == "all" or head.operation == WHOLE)
            and head.horizons[self.horizon].probability >= self.min_probability
        )


@router.get("/services", response_model=Items[ServiceOut], summary="Services that were seen, by name")
async def list_services(asked: Asked, page: Annotated[Paged, Query()]) -> Response:
    """List a tenant's services."""
    rows = list(asked.cache.all("services", asked.prefix, ServiceSummary).values())
    found = _BY_SERVICE.sorted_page(rows, page.limit, page.cursor)
    return answer({"items": found.rows, "next": found.next})


@router.get("/predictions", response_model=Items[PredictionOut], summary="Predictions, riskiest first")
async def list_predictions(asked: Asked, chosen: Annotated[PredictionFilter, Query()]) -> Response:
    """List a tenant's predictions by falling risk within a horizon, the longest by default."""
    return answer_page(await to_thread.run_sync(_page, asked, chosen))  # milliseconds with many series


# Before the route below, whose service may hold slashes.
@router.get(
    "/predictions/{prediction_id:path}/explanation",
    response_model=ExplanationOut,
    responses=_UNCHANGED,
    summary="What lies behind a prediction",
)
async def explain_prediction(
    asked: Asked, prediction_id: str, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Answer with a prediction's contributions, expected categories and advice."""
    record = await to_thread.run_sync(asked.cache.prediction, asked.tenant, prediction_id)
    if record is None:
        raise Unknown(f"no prediction {prediction_id!r}; one is kept until the next of its series replaces it")
    if record.explanation is None:
        raise Unknown(f"prediction {prediction_id!r} has no explanation; the riskiest series of a tick are explained")
    shown = shown_prediction(record, asked, asked.now)
    kept = ("id", "tenant", "service", "operation", "as_of", "status", "age_s", "model_version", "horizons", "categories")
    body = {name: shown[name] for name in kept} | members(record.explanation)
    stale = _stale(record, asked, asked.now)
    return _tagged(partial(msgspec.json.encode, body), record, asked, stale, if_none_match)


@router.get(
    "/predictions/{service:path}",
    response_model=ServicePredictionOut,
    responses=_UNCHANGED,
    summary="The prediction of a service and its operations",
)
async def show_prediction(asked: Asked, service: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Answer with the prediction of a whole service and those of its operations, by name."""
    entry = asked.entries.find(asked.tenant, service, asked.now)
    if entry is None:
        asked.cache.count("predictions", "miss")
        raise Unknown(f"no prediction for service {service!r} of tenant {asked.tenant!r}")
    return _tagged(partial(entry.json, asked.now), entry.whole, asked, entry.stale(asked.now), if_none_match)


def _page(asked: Ask, chosen: PredictionFilter) -> Page[dict[str, object]]:
    rows = [row for row in asked.cache.predictions(asked.tenant, chosen.sort_by).rows if chosen.admits(row[1])]
    if chosen.status is not None:
        rows = [row for row in rows if _status(row[1], asked) == chosen.status]
    page = _BY_RISK[chosen.sort_by].page(rows, chosen.limit, chosen.cursor)
    records = (asked.cache.one("predictions", key, PredictionRecord) for key, _ in page.rows)
    # A document can expire between the order and this line; the page is then one shorter.
    return Page(tuple(shown_prediction(record, asked, asked.now) for record in records if record is not None), page.next)


def _stale(record: PredictionHead | PredictionRecord, asked: Ask, now: datetime) -> bool:
    return now > record.expires_at or asked.cache.overtaken(record)


def _status(record: PredictionHead | PredictionRecord, asked: Ask) -> str:
    return "stale" if _stale(record, asked, asked.now) else record.status


def shown_prediction(record: PredictionRecord, asked: Ask, now: datetime) -> dict[str, object]:
    """Return what lists, answers and events hold of a prediction: all but the explanation, with status and age as of now."""
    shown = {name: value for name, value in members(record).items() if name not in HIDDEN}
    status = "stale" if _stale(record, asked, now) else record.status
    return shown | {"status": status, "age_s": age_s(record, now)}


def _tagged(
    body: Callable[[], bytes], record: PredictionRecord, asked: Ask, stale: bool, if_none_match: str | None
) -> Response:
    """Answer with entity tag and age, or with 304 when the client holds this prediction as it is."""
    headers = headers_of(record, asked.now, stale)
    if matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body(), 200, headers, "application/json")
