"""Routes of groups of incidents, as the tenant's home keeps them (`app.correlation`); nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from app.api.bodies import UtcTime
from app.api.group_schemas import GroupOut
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, Ask, Asked, Paged, answer, answer_page, members
from app.api.problems import Unknown
from app.api.schemas import Items
from app.cache.group_records import GroupRecord

__all__ = ["GroupFilter", "find_group", "group_of", "groups_of", "router", "shown_group"]

router = APIRouter(prefix=PREFIX, tags=["incidents"])

_BUCKET = "groups"
_NEWEST: Listing[GroupRecord] = Listing("groups", (int, str), lambda record: (-microseconds(record.start), record.id))
_HIDDEN = ("evidence", "kinds", "fingerprints", "categories")
"""What the home needs to go on, and nobody else."""
_NO_CAUSES = (
    "nothing is known of what its services showed: it was found when telemetry of the past was caught up with, "
    "as in a replay, or they showed nothing out of the ordinary beside the incident"
)
_MOST_INCIDENTS = 200  # guessed: what a person can look through; as many as a group tells services of


class GroupFilter(Paged):
    """Which groups to list."""

    service: str | None = None
    """Groups in which this service shows the trouble."""
    state: Literal["all", "open", "ended"] = "all"
    since: UtcTime | None = None
    """Groups that were not over at this time."""

    def admits(self, record: GroupRecord) -> bool:
        """Return whether a group is one of those asked for."""
        return (
            (self.service is None or any(one.service == self.service for one in record.services))
            and (self.state == "all" or (record.end is None) == (self.state == "open"))
            and (self.since is None or record.end is None or record.end > self.since)
        )


@router.get("/groups", response_model=Items[GroupOut], summary="Incidents that belong together, newest first")
async def list_groups(asked: Asked, chosen: Annotated[GroupFilter, Query()]) -> Response:
    """List a tenant's groups of incidents."""
    page = _NEWEST.sorted_page([one for one in groups_of(asked).values() if chosen.admits(one)], chosen.limit, chosen.cursor)
    return answer_page(Page(tuple(shown_group(one) for one in page.rows), page.next))


@router.get("/groups/{group_id:path}", response_model=GroupOut, summary="One group of incidents")
async def show_group(asked: Asked, group_id: str) -> Response:
    """Answer with a group; the id of one that turned out to be another leads to that."""
    record = find_group(asked, group_id)
    if record is None:
        raise Unknown(f"no group {group_id!r} of tenant {asked.tenant!r}")
    return answer(shown_group(record))


def groups_of(asked: Ask) -> Mapping[str, GroupRecord]:
    """Return the tenant's groups by their document's key."""
    return asked.cache.all(_BUCKET, asked.prefix, GroupRecord)


def find_group(asked: Ask, group_id: str) -> GroupRecord | None:
    """Return a group by its id, or by one that it had."""
    record = asked.cache.one(_BUCKET, asked.key(group_id), GroupRecord)
    return record or next((one for one in groups_of(asked).values() if group_id in one.merged), None)


def group_of(asked: Ask, incident_id: str) -> GroupRecord | None:
    """Return the group of an incident, None before its home has looked at it."""
    return next((one for one in groups_of(asked).values() if incident_id in one.incidents), None)


def shown_group(record: GroupRecord) -> dict[str, object]:
    """Return what is shown of a group, with the first of its incidents and how many there are, and why there are no causes."""
    shown = {name: value for name, value in members(record).items() if name not in _HIDDEN}
    shown |= {"incidents": record.incidents[:_MOST_INCIDENTS], "incident_count": len(record.incidents)}
    return shown | {"no_causes": None if record.causes else _NO_CAUSES}
