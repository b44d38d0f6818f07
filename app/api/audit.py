"""The route of the audit log, for who has the scope `admin`; `app.api.guard` writes what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, cast

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from app.api.bodies import UtcTime
from app.api.pages import Listing, Page, microseconds
from app.api.parts import PREFIX, ApiParts, Paged, answer_page, members
from app.api.schemas import Items
from app.api.token_schemas import DeedOut
from app.auth import AuditLog, Deed, Principal, principal_of

__all__ = ["AuditFilter", "router"]

router = APIRouter(prefix=PREFIX, tags=["access"])

_EPOCH = datetime.fromtimestamp(0, UTC)
_NEWEST: Listing[Deed] = Listing("audit", (int, str), lambda deed: (-microseconds(deed.at or _EPOCH), deed.id))


class AuditFilter(Paged):
    """Which deeds to list."""

    action: str | None = None
    principal: str | None = None
    tenant: str | None = None
    since: UtcTime | None = None
    """Deeds that were begun at this time or later."""
    until: UtcTime | None = None
    """Deeds that were begun before this time."""

    def admits(self, deed: Deed, by: Principal) -> bool:
        """Return whether a deed is one of those asked for, and about a tenant of who asks."""
        return all(getattr(self, name) in (None, getattr(deed, name)) for name in ("action", "principal", "tenant")) and (
            by.reaches_all or by.reaches(deed.tenant)
        )


@router.get("/audit", response_model=Items[DeedOut], summary="Who changed what, newest first")
async def list_deeds(request: Request, chosen: Annotated[AuditFilter, Query()]) -> Response:
    """List what was done: all, or what was done to the tenants of who asks."""
    audit = cast("ApiParts", request.app.state.parts).audit()
    page = await to_thread.run_sync(_page, audit, chosen, principal_of(request.scope))
    return answer_page(Page(tuple(members(deed) for deed in page.rows), page.next))


def _page(audit: AuditLog, chosen: AuditFilter, by: Principal) -> Page[Deed]:
    until = chosen.until
    if chosen.cursor is not None:  # days behind the cursor alone are read
        behind = _EPOCH + timedelta(microseconds=1 - int(_NEWEST.decode(chosen.cursor)[0]))
        until = behind if until is None else min(until, behind)
    fitting = (deed for deed in audit.deeds(chosen.since, until) if chosen.admits(deed, by))
    rows: Sequence[Deed] = sorted(islice(fitting, chosen.limit + _SAME), key=_NEWEST.key)
    return _NEWEST.page(rows, chosen.limit, chosen.cursor)


_SAME = 1000
"""Deeds of one microsecond that a page boundary may fall into. Guessed: as many requests do not come in an hour."""
