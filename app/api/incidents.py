"""Routes of incidents: what was observed or reported, what was predicted when it began, and the group that it belongs to."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from app.api.bodies import UtcTime
from app.api.group_schemas import GroupedIncidentOut, IncidentDetailOut
from app.api.groups import find_group, group_of, groups_of, shown_group
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Asked, Paged, answer, answer_page, members
from app.api.problems import Unknown
from app.api.schemas import Items
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
    group_id: str | None = None
    """Incidents of this group."""

    def admits(self, record: IncidentRecord) -> bool:
        """Return whether an incident is one of those asked for."""
        return (
            (self.service is None or record.service == self.service)
            and (self.operation is None or record.operation == self.operation)
            and (self.state == "all" or (record.end is None) == (self.state == "open"))
            and (self.since is None or record.end is None or record.end > self.since)
            and (self.until is None or record.start < self.until)
        )


@router.get("/incidents", response_model=Items[GroupedIncidentOut], summary="Incidents, newest first")
async def list_incidents(asked: Asked, chosen: Annotated[IncidentFilter, Query()]) -> Response:
    """List a tenant's incidents."""
    records = asked.cache.all("incidents", asked.prefix, IncidentRecord).values()
    if chosen.group_id is not None:
        group = find_group(asked, chosen.group_id)
        grouped = set(() if group is None else group.incidents)
        records = [one for one in records if one.id in grouped]
    page = _NEWEST.sorted_page([record for record in records if chosen.admits(record)], chosen.limit, chosen.cursor)
    group_ids = {name: group.id for group in groups_of(asked).values() for name in group.incidents}
    return answer_page(Page(tuple(members(one) | {"group_id": group_ids.get(one.id)} for one in page.rows), page.next))


@router.get(
    "/incidents/{incident_id:path}", response_model=IncidentDetailOut, summary="One incident, and what is said of its group"
)
async def show_incident(asked: Asked, incident_id: str) -> Response:
    """Answer with an incident, and causes, spread and plan of the group that it belongs to."""
    record = asked.cache.one("incidents", asked.key(incident_id), IncidentRecord)
    if record is None:
        raise Unknown(f"no incident {incident_id!r} of tenant {asked.tenant!r}")
    group = group_of(asked, incident_id)
    own = {"group_id": None, "group": None} if group is None else {"group_id": group.id, "group": shown_group(group)}
    return answer(members(record) | own)
