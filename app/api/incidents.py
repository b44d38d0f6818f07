"""Routes of incidents: what was observed or reported, and what was predicted when it began."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from app.api.bodies import UtcTime
from app.api.pages import Listing, microseconds
from app.api.parts import PREFIX, Asked, Paged, answer
from app.api.problems import Unknown
from app.api.schemas import IncidentOut, Items
from app.cache.records import IncidentRecord

__all__ = ["IncidentFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["incidents"])

_NEWEST: Listing[IncidentRecord] = Listing("incidents", (int, str), lambda record: (-microseconds(record.start), record.id))


class IncidentFilter(Paged):
    """Which incidents to list."""

    service: str | None = None
    operation: str | None = None
    state: Literal["all", "open", "ended"] = "all"
    since: UtcTime | None = None
    """Incidents that were not over at this time."""
    until: UtcTime | None = None
    """Incidents that began before this time."""

    def admits(self, record: IncidentRecord) -> bool:
        """Return whether an incident is one of those asked for."""
        return (
            (self.service is None or record.service == self.service)
            and (self.operation is None or record.operation == self.operation)
            and (self.state == "all" or (record.end is None) == (self.state == "open"))
            and (self.since is None or record.end is None or record.end > self.since)
            and (self.until is None or record.start < self.until)
        )


@router.get("/incidents", response_model=Items[IncidentOut], summary="Incidents, newest first")
async def list_incidents(asked: Asked, chosen: Annotated[IncidentFilter, Query()]) -> Response:
    """List a tenant's incidents."""
    records = asked.cache.all("incidents", asked.prefix, IncidentRecord).values()
    page = _NEWEST.sorted_page([record for record in records if chosen.admits(record)], chosen.limit, chosen.cursor)
    return answer({"items": page.rows, "next": page.next})


@router.get("/incidents/{incident_id:path}", response_model=IncidentOut, summary="One incident")
async def show_incident(asked: Asked, incident_id: str) -> Response:
    """Answer with an incident."""
    record = asked.cache.one("incidents", asked.key(incident_id), IncidentRecord)
    if record is None:
        raise Unknown(f"no incident {incident_id!r} of tenant {asked.tenant!r}")
    return answer(record)
