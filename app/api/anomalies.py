"""The route of anomalies: which series showed one lately, read from their predictions in the cache.

`app.anomalies` finds them tick by tick; a prediction carries that of its series for as long as an episode lasts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer_page, members
from app.api.schemas import AnomalyOut, Items
from app.cache.cache import PredictionHead
from features.series import WHOLE

__all__ = ["AnomalyFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["anomalies"])

_Row = tuple[str, PredictionHead, datetime]

_NEWEST_FIRST: Listing[_Row] = Listing(
    "anomalies", (int, float, str), lambda row: (-microseconds(row[2]), -row[1].anomaly.score, row[0])
)


class AnomalyFilter(Paged):
    """Which anomalies to list."""

    service: str | None = None
    operations: Literal["all", "whole"] = "all"
    """`whole` lists whole services alone."""

    def admits(self, head: PredictionHead, now: datetime) -> bool:
        """Return whether a series' anomaly is one of those asked for; what is stale tells of no present one."""
        return (
            head.expires_at >= now
            and (self.service is None or head.service == self.service)
            and (self.operations == "all" or head.operation == WHOLE)
        )


@router.get("/anomalies", response_model=Items[AnomalyOut], summary="Anomalies of the last hour, newest first")
async def list_anomalies(asked: Asked, chosen: Annotated[AnomalyFilter, Query()]) -> Response:
    """List the series with an anomaly, newest first; of one tick the most unlikely windows first."""
    return answer_page(await to_thread.run_sync(_page, asked, chosen))  # milliseconds with many series


def _page(asked: Ask, chosen: AnomalyFilter) -> Page[dict[str, object]]:
    rows = [
        (key, head, head.anomaly.since)
        for key, head in asked.cache.predictions(asked.tenant).rows
        if head.anomaly.since is not None and chosen.admits(head, asked.now)
    ]
    page = _NEWEST_FIRST.sorted_page(rows, chosen.limit, chosen.cursor)
    return Page(tuple(_shown(head, asked.tenant) for _, head, _ in page.rows), page.next)


def _shown(head: PredictionHead, tenant: str) -> dict[str, object]:
    own = {"tenant": tenant, "service": head.service, "operation": head.operation, "as_of": head.as_of}
    return members(head.anomaly) | own | {"prediction_id": head.id}
