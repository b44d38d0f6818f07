"""What people do on a page, through the REST API of the same process: the same checks, the same records, the same refusals.

Pages name a method, a path behind `app.api.parts.PREFIX` and a body; what the API refuses is raised with its own words.
"""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI

from app.api.parts import PREFIX
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
    """

    def __init__(self, app: FastAPI, tenant: str) -> None:
        self._app = app
        self._tenant = tenant

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
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
            answer = await client.request(method, PREFIX + path, json=body, headers={"X-Scope-OrgID": self._tenant})
        found: dict[str, Any] = answer.json() if answer.content else {}
        if answer.status_code >= _OK:
            raise Refused(str(found.get("detail") or found.get("title") or f"the API answered {answer.status_code}"))
        return found
