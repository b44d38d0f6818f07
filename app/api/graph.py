"""Routes of who calls whom, and of hotspots, as workers publish them (`app.symptom_documents`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

from anyio import to_thread
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.group_schemas import GraphOut, HotspotOut
from app.api.pages import Listing, Page
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.schemas import Items
from app.cache.records import IncidentRecord, ServiceSummary
from app.cache.symptom_records import CalleeRecord, EdgesRecord, HotspotRecord, HotspotsRecord, SymptomsRecord
from features.series import WHOLE

__all__ = ["GraphFilter", "HotspotFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["services"])


class GraphFilter(BaseModel):
    """Which part of the graph to show."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    service: str | None = None
    """Only what it calls and what calls it."""
    depth: int = Field(1, ge=1, le=8)
    """Calls away from `service` at most."""
    limit: int = Field(1000, ge=1, le=20_000)
    """Edges at most, those with the most calls."""


class HotspotFilter(Paged):
    """Which hotspots to list."""

    service: str | None = None
    dimension: Literal["operation", "version", "instance", "fingerprint"] | None = None
    state: Literal["new", "returned", "grown"] | None = None

    def admits(self, record: HotspotsRecord, spot: HotspotRecord) -> bool:
        """Return whether a hotspot is one of those asked for."""
        return (
            (self.service is None or record.service == self.service)
            and (self.dimension is None or spot.dimension == self.dimension)
            and (self.state is None or spot.state == self.state)
        )


_Spot = tuple[HotspotsRecord, HotspotRecord]
_MOST_SIGNIFICANT: Listing[_Spot] = Listing(
    "hotspots", (float, str, str, str), lambda row: (-row[1].ratio, row[0].service, row[1].dimension, row[1].name)
)


class _Edge(NamedTuple):
    caller: str
    record: CalleeRecord


@router.get("/graph", response_model=GraphOut, summary="Who calls whom, with traffic, errors and lag")
async def show_graph(asked: Asked, chosen: Annotated[GraphFilter, Query()]) -> Response:
    """Answer with the services of a tenant and the calls between them."""
    return answer(await to_thread.run_sync(_graph, asked, chosen))  # thousands of edges take milliseconds


@router.get(
    "/hotspots", response_model=Items[HotspotOut], summary="Parts of errors whose share grew, the most significant first"
)
async def list_hotspots(asked: Asked, chosen: Annotated[HotspotFilter, Query()]) -> Response:
    """List operations, versions, instances and fingerprints that make up more of a service's errors than before."""
    records = asked.cache.all("hotspots", asked.prefix, HotspotsRecord).values()
    rows = [(record, spot) for record in records for spot in record.hotspots if chosen.admits(record, spot)]
    page = _MOST_SIGNIFICANT.sorted_page(rows, chosen.limit, chosen.cursor)
    return answer_page(Page(tuple(_shown_spot(*row) for row in page.rows), page.next))


def _shown_spot(record: HotspotsRecord, spot: HotspotRecord) -> dict[str, object]:
    shown = {name: value for name, value in members(spot).items() if name != "since_s"}
    times = {"as_of": datetime.fromtimestamp(record.as_of_s, UTC), "since": datetime.fromtimestamp(spot.since_s, UTC)}
    return {"tenant": record.tenant, "service": record.service} | shown | times


def _graph(asked: Ask, chosen: GraphFilter) -> dict[str, object]:
    documents = asked.cache.all("edges", asked.prefix, EdgesRecord).values()
    edges = [_Edge(record.caller, one) for record in documents for one in record.callees]
    if chosen.service is not None:
        near = _near(edges, chosen.service, chosen.depth)
        edges = [edge for edge in edges if edge.caller in near and edge.record.callee in near]
    edges.sort(key=lambda edge: (-edge.record.calls, edge.caller, edge.record.callee))
    kept = edges[: chosen.limit]
    names = {name for edge in kept for name in (edge.caller, edge.record.callee)} | (
        {chosen.service} if chosen.service else set()
    )
    broken = _in_incident(asked)
    return {
        "services": [_service(asked, name, broken) for name in sorted(names)],
        "edges": [_shown(edge) for edge in kept],
        "truncated": len(edges) > len(kept),
    }


def _near(edges: Iterable[_Edge], service: str, depth: int) -> set[str]:
    """Return the services that are at most so many calls away, along calls either way."""
    around: dict[str, set[str]] = {}
    for edge in edges:
        around.setdefault(edge.caller, set()).add(edge.record.callee)
        around.setdefault(edge.record.callee, set()).add(edge.caller)
    found, rim = {service}, {service}
    for _ in range(depth):
        rim = {name for one in rim for name in around.get(one, ())} - found
        found |= rim
    return found


def _in_incident(asked: Ask) -> set[str]:
    records = asked.cache.all("incidents", asked.prefix, IncidentRecord).values()
    return {one.service for one in records if one.end is None and one.operation == WHOLE}


def _service(asked: Ask, name: str, broken: set[str]) -> dict[str, object]:
    summary = asked.cache.one("services", asked.key(name), ServiceSummary)
    symptoms = asked.cache.one("symptoms", asked.key(name), SymptomsRecord)
    return {
        "service": name,
        "external": summary is None,
        "requests_per_minute": 0.0 if summary is None else summary.requests_per_minute,
        "error_ratio": 0.0 if summary is None else summary.error_ratio,
        "in_incident": name in broken,
        "symptoms": 0 if symptoms is None else len({one.signal for one in symptoms.symptoms}),
    }


def _shown(edge: _Edge) -> dict[str, object]:
    one = edge.record
    moving = {"lag_s": one.lag_s, "lead_bits": one.lead_bits}
    return {"caller": edge.caller, "callee": one.callee, "calls": one.calls, "errors": one.errors, **moving}
