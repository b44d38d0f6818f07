"""The way of the read that is asked for most, around the framework: the prediction of a service, from memory.

It stands before the application of `app.api.application` and answers what `app.api.predictions` would, out of the same
`app.api.entries`. What is unusual (no such service, no such tenant, another path or method) goes on to the routes.
"""

from __future__ import annotations

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.entries import Entries, headers_of, matches
from app.api.parts import PREFIX, ApiParts, names_tenant

__all__ = ["Shortcut"]

_PATH = f"{PREFIX}/predictions/"
_EXPLANATION = "/explanation"
_ROUTE = _PATH + "{service}"
_HEARD = (b"x-scope-orgid", b"if-none-match")


class Shortcut:
    """Answers reads of a service's prediction; the framework's way takes three times the processor time (`benchmarks/serve.py`).

    Parameters
    ----------
    app : ASGIApp
        Asked for everything else.
    parts : ApiParts
        The clock, the default tenant, and where requests are counted.
    entries : Entries
        The answers.
    """

    def __init__(self, app: ASGIApp, parts: ApiParts, entries: Entries) -> None:
        self._app = app
        self._parts = parts
        self._entries = entries
        self._counted: dict[int, Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application do so."""
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(_PATH):
            answer = self._answer(scope)
            if answer is not None:
                status, headers, body = answer
                if status not in self._counted:
                    self._counted[status] = self._parts.telemetry.http_requests.labels(route=_ROUTE, code=str(status))
                self._counted[status].inc()
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)

    def _answer(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        service = scope["path"][len(_PATH) :]
        asked = [(name, value) for name, value in scope["headers"] if name in _HEARD]
        named = {name: value.decode("latin-1") for name, value in asked}
        tenant, held = named.get(b"x-scope-orgid", self._parts.default_tenant), named.get(b"if-none-match")
        if service.endswith(_EXPLANATION) or len(named) < len(asked) or not names_tenant(tenant):
            return None
        now = self._parts.now()
        entry = self._entries.find(tenant, service, now)
        if entry is None:
            return None
        headers = headers_of(entry.whole, now, entry.stale(now))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        if matches(held, headers["ETag"]):
            return 304, raw, b""
        body = entry.json(now)
        raw += ((b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"))
        return 200, raw, body
