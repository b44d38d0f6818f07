"""What people do on a page, through the REST API of the same process: the same checks, the same records, the same refusals.

Pages name a method, a path behind `app.api.parts.PREFIX` and a body; what the API refuses is raised with its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.api.parts import PREFIX
from app.auth import ADDRESS, PLACE, principal_of
from features.errors import ForeshockError

__all__ = ["Reading", "Refused", "Rest"]

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
        self._known = {PLACE: principal_of(page or {}), ADDRESS: (page or {}).get(ADDRESS)}
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

    async def page(self, path: str) -> httpx.Response:
        """Return the API's answer as it is, for what is no JSON."""
        return await self._answer("GET", path, None)

    async def _answer(self, method: str, path: str, body: object) -> httpx.Response:
        transport = httpx.ASGITransport(self._as_asked, raise_app_exceptions=False, client=self._client)
        async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
            return await client.request(method, PREFIX + path, json=body, headers={"X-Scope-OrgID": self._tenant})

    async def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        answer = await self._answer(method, path, body)
        try:
            found: dict[str, Any] = answer.json() if answer.content else {}
        except ValueError:  # what failed within it is no problem document
            found = {}
        if answer.status_code >= _OK:
            raise Refused(str(found.get("detail") or found.get("title") or f"the API answered {answer.status_code}"))
        return found

    async def _as_asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API know who asks, which the page's own request has shown."""
        await self._app({**scope, **self._known}, receive, send)


class Reading:
    """An answer of the API that a page reads again whenever it is brought up to date.

    Parameters
    ----------
    rest : Rest
        The API.
    path : str
        What is read.
    now : callable
        Aware UTC.
    """

    def __init__(self, rest: Rest, path: str, now: Callable[[], datetime]) -> None:
        self._rest = rest
        self._path = path
        self._now = now
        self._answer: dict[str, Any] = {}
        self._refusal: Refused | None = Refused("it was not asked for yet")
        self.at: datetime = now()

    async def read(self) -> None:
        """Ask; what is refused is kept for `answer`, so that the rest of the page is shown."""
        try:
            self._answer, self._refusal = await self._rest.get(self._path), None
        except Refused as exc:
            self._refusal = exc
        self.at = self._now()

    @property
    def answer(self) -> dict[str, Any]:
        """What the API said last; raises Refused where it refused."""
        if self._refusal is not None:
            raise Refused(str(self._refusal))
        return self._answer
