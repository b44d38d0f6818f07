"""Routes of who calls whom, and of hotspots, as workers publish them (`app.symptom_documents`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from anyio import to_thread
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.group_schemas import GraphOut
from app.api.parts import PREFIX, Ask, Asked, answer
from app.cache.records import IncidentRecord, ServiceSummary
from app.cache.symptom_records import CalleeRecord, EdgesRecord, SymptomsRecord
from features.series import WHOLE

__all__ = ["GraphFilter", "router"]

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


class _Edge(NamedTuple):
    caller: str
    record: CalleeRecord


@router.get("/graph", response_model=GraphOut, summary="Who calls whom, with traffic, errors and lag")
async def show_graph(asked: Asked, chosen: Annotated[GraphFilter, Query()]) -> Response:
    """Answer with the services of a tenant and the calls between them."""
    return answer(await to_thread.run_sync(_graph, asked, chosen))  # thousands of edges take milliseconds


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
    return {"caller": edge.caller, "callee": one.callee, "calls": one.calls, "errors": one.errors, "lag_s": one.lag_s}
