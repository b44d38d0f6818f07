"""What people do on a page, through the REST API of the same process: the same checks, the same records, the same refusals.

Pages name a method, a path behind `app.api.parts.PREFIX` and a body; what the API refuses is raised with its own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.api.parts import PREFIX
from app.auth import PLACE, principal_of
from features.errors import ForeshockError

__all__ = ["Refused", "Rest"]

_OK = 400


class Refused(ForeshockError):
    """The API refused what a person asked for; the message is the API's."""


class Rest:
    """Asks the REST API for one tenant.

    Parameters
    ----------
    app : FastAPI
        The API.
    tenant : str
        Whose.
    page : mapping
        ASGI scope of the page: who opened it asks, from the same address.
    """

    def __init__(self, app: FastAPI, tenant: str, page: Mapping[str, Any] | None = None) -> None:
        self._app = app
        self._tenant = tenant
        self._known = {PLACE: principal_of(page or {})}
        client: Sequence[Any] = (page or {}).get("client") or ("", 0)
        self._client = str(client[0]), int(client[1])

    async def get(self, path: str) -> dict[str, Any]:
        """Read; raises Refused."""
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: object = None) -> dict[str, Any]:
        """Ask for a change; raises Refused."""
        return await self._ask("POST", path, body)

    async def delete(self, path: str) -> dict[str, Any]:
        """Take something away; raises Refused."""
        return await self._ask("DELETE", path, None)

    async def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        transport = httpx.ASGITransport(self._as_asked, raise_app_exceptions=False, client=self._client)
        async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
            answer = await client.request(method, PREFIX + path, json=body, headers={"X-Scope-OrgID": self._tenant})
        found: dict[str, Any] = answer.json() if answer.content else {}
        if answer.status_code >= _OK:
            raise Refused(str(found.get("detail") or found.get("title") or f"the API answered {answer.status_code}"))
        return found

    async def _as_asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API know who asks, which the page's own request has shown."""
        await self._app({**scope, **self._known}, receive, send)
