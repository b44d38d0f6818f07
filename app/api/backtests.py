"""Routes of backtests: one is asked for here, done by `app.jobs` in its turn with training runs, and read from its document."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Response

from app.api.backtest_schemas import BacktestOut
from app.api.bodies import BacktestIn
from app.api.idempotency import IdempotencyKey, once
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, TrainingRequest, answer, answer_page, members
from app.api.problems import Unknown
from app.api.schemas import Items
from app.api.training import RunFilter
from app.cache.backtests import BacktestRun, page_of

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["training"])

_BUCKET = "backtests"
_DEFAULTS = BacktestIn()
_NEWEST: Listing[BacktestRun] = Listing(_BUCKET, (int, str), lambda run: (-microseconds(run.requested_at), run.id))

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""The page holds styles and charts of its own and names of services; nothing in it may run or be fetched."""


@router.post("/backtests", response_model=BacktestOut, status_code=202, summary="Ask for a backtest over history")
async def start_backtest(
    asked: Asked, body: Annotated[BacktestIn, Body()] = _DEFAULTS, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queue a backtest."""
    request = TrainingRequest(asked.tenant, body.reason, body.since, body.until, body.seed, asked.now)
    return await once(asked, _BUCKET, idempotency_key, body.model_dump_json().encode(), partial(_start, asked, request))


@router.get("/backtests", response_model=Items[BacktestOut], summary="Backtests, newest first, without their reports")
async def list_backtests(asked: Asked, chosen: Annotated[RunFilter, Query()]) -> Response:
    """List a tenant's backtests."""
    runs = asked.cache.all(_BUCKET, asked.prefix, BacktestRun).values()
    own = [run for run in runs if chosen.state in (None, run.state)]
    page = _NEWEST.sorted_page(own, chosen.limit, chosen.cursor)
    return answer_page(Page(tuple(_shown(run) | {"report": None} for run in page.rows), page.next))


@router.get("/backtests/{run_id}", response_model=BacktestOut, summary="One backtest, with its report")
async def show_backtest(asked: Asked, run_id: str) -> Response:
    """Answer with a backtest."""
    return answer(_shown(await to_thread.run_sync(_found, asked, run_id)))


@router.get(
    "/backtests/{run_id}/page", response_class=Response, summary="The report of a backtest as a page for people, in HTML"
)
async def show_page(asked: Asked, run_id: str) -> Response:
    """Answer with the page."""
    text = await to_thread.run_sync(page_of, asked.parts.documents, asked.tenant, run_id)
    if text is None:
        raise Unknown(f"no page of backtest {run_id!r} of tenant {asked.tenant!r}; it is there once the backtest has succeeded")
    return Response(text, media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY})


async def _start(asked: Ask, request: TrainingRequest) -> Response:
    run_id = await to_thread.run_sync(asked.parts.start_backtest, request)
    queued = await to_thread.run_sync(_found, asked, run_id)
    return answer(_shown(queued), 202, {"Location": f"{PREFIX}/backtests/{run_id}", "Retry-After": "1"})


def _found(asked: Ask, run_id: str) -> BacktestRun:
    """Return a backtest, from the store where another node may have taken it a moment ago."""
    key = asked.key(run_id)
    run = asked.cache.one(_BUCKET, key, BacktestRun) or asked.cache.stored(_BUCKET, key, BacktestRun)
    if run is None:
        raise Unknown(f"no backtest {run_id!r} of tenant {asked.tenant!r}")
    return run


def _shown(run: BacktestRun) -> dict[str, object]:
    there = run.state == "succeeded"
    return members(run) | {"page": f"{PREFIX}/backtests/{run.id}/page" if there else None}
