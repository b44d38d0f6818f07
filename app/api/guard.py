"""What stands before every route of REST and every page: who asks, whether they may, for which tenant, and that it is written down.

It is the outermost layer of `app.api.application`, so what lies behind it knows of no token: it finds the tenant in `X-Scope-OrgID` as ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from anyio import CancelScope, to_thread
from starlette.datastructures import QueryParams
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import InvalidTenant, NoRoute, refused
from app.auth import ADDRESS, PLACE, AuditLog, Deed, Doorkeeper, NotAllowed, NotAuthenticated, Principal
from app.auth.doorkeeper import require, tenant_for
from app.auth.needs import FILES, NEEDS, PAGES, Need
from app.auth.principal import Scope as Right
from app.telemetry import Telemetry
from features.errors import ForeshockError, StoreFailed

__all__ = ["Access", "Guard", "PageGuard"]

logger = logging.getLogger(__name__)

_TENANT, _AUTHORIZATION = b"x-scope-orgid", b"authorization"
_SHORT_CHARS = 256  # paths up to this length are remembered with what they need
_VERBOSE = Need(Right.READ, tenant=False, every_tenant=True)  # what checks say counts what all tenants have


@dataclass(frozen=True, slots=True)
class Access:
    """What a guard asks.

    Parameters
    ----------
    doorkeeper : Doorkeeper
        Who asks.
    audit : AuditLog or None
        Where changes are written; None where nothing can be changed.
    default_tenant : str
        Of a request that names none.
    telemetry : Telemetry
        Where refusals are counted.
    open_metrics : bool
        Whether `/metrics` needs no token.
    """

    doorkeeper: Doorkeeper
    audit: AuditLog | None
    default_tenant: str
    telemetry: Telemetry
    open_metrics: bool = False

    def principal(self, scope: Scope) -> Principal:
        """Return who asks: who is known already, or who shows a token."""
        known = scope.get(PLACE)
        if isinstance(known, Principal):
            return known
        shown = _values(scope, _AUTHORIZATION)
        if len(shown) > 1:
            raise NotAuthenticated(f"the header Authorization must come once, got {len(shown)}")
        return self.doorkeeper.principal(shown[0] if shown else None)

    def need(self, method: str, path: str) -> Need | None:
        """Return what a route needs, by its method and path as `app.auth.needs` writes them."""
        return Need(None, tenant=False) if path == "/metrics" and self.open_metrics else NEEDS.get((method, path))


class Guard:
    """Lets a request on to the application, or answers why not.

    Parameters
    ----------
    app : ASGIApp
        What is guarded.
    access : Access
        What it asks.
    routes : iterable of (method, path)
        Of the application, in its order. One without an entry in `app.auth.needs` is refused to everybody.
    """

    def __init__(self, app: ASGIApp, access: Access, routes: Iterable[tuple[str, str]]) -> None:
        self._app = app
        self._access = access
        self._needs = [(method, *compile_path(path)[:2], access.need(method, path)) for method, path in routes]
        self._short = lru_cache(4096)(self._find)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look, and answer or let it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            need = self._need(scope)
            deed = None if need is None else self._admit(scope, need)
            if deed is not None and self._access.audit is not None:
                await self._audited(self._access.audit, deed, (scope, receive, send))
                return
        except ForeshockError as exc:
            await _refuse(self._access, exc, (scope, receive, send))
            return
        await self._app(scope, receive, send)

    def _need(self, scope: Scope) -> Need | None:
        """Return what a request needs; None where everybody may do everything and nothing is written down."""
        method, path = scope["method"], scope["path"]
        if method == "GET" and not self._access.doorkeeper.demands and PLACE not in scope:
            return None
        need, others = self._short(method, path) if len(path) <= _SHORT_CHARS else self._find(method, path)
        if need is not None:
            asks_more = path.removesuffix("\n") == "/readyz" and "verbose" in QueryParams(scope["query_string"])
            return _VERBOSE if asks_more else need  # a template fits a path with a line's end behind it, too
        self._access.principal(scope)  # who is nobody learns nothing of what there is
        if not self._access.doorkeeper.demands:
            return None  # the application says itself that there is nothing
        raise NoRoute(method, path, others)

    def _find(self, method: str, path: str) -> tuple[Need | None, tuple[str, ...]]:
        """Return what a route needs, by the first route that fits as the application does, and the methods that the path takes.

        Of `/alerts/a1:acknowledge` those are the ones of the longest template, not those of an alert with such an id.
        """
        wanted = "GET" if method == "HEAD" else method
        fitting = [(one, template, need) for one, regex, template, need in self._needs if regex.match(path)]
        nearest = max((template for _, template, _ in fitting), key=len, default="")
        others = sorted({one for one, template, _ in fitting if template == nearest})
        return next((need for one, _, need in fitting if one == wanted), None), tuple(others)

    def _admit(self, scope: Scope, need: Need) -> Deed | None:
        """Refuse, or say in the scope who asks and for which tenant; return what is to be written down."""
        access = self._access
        if need.scope is None:
            return None
        principal = scope[PLACE] = access.principal(scope)
        tenant = ""
        try:
            require(principal, need.scope)
            if need.every_tenant and not principal.reaches_all:
                raise NotAllowed(f"this shows what is of all tenants, and {principal.name!r} is bound to some")
            tenant = _choose_tenant(scope, principal, access.default_tenant) if need.tenant else principal.only_tenant or ""
        except NotAllowed:
            if need.action:
                logger.warning("%s of %r was refused to %s", need.action, scope["path"], principal.name)
            raise
        if not need.action:
            return None
        client: Sequence[Any] = scope.get("client") or ("",)
        return Deed(need.action, principal.name, tenant, str(scope.get(ADDRESS) or client[0]), scope["path"])

    async def _audited(self, audit: AuditLog, deed: Deed, asgi: tuple[Scope, Receive, Send]) -> None:
        """Do what was asked between the two entries of the audit log; the answer leaves behind the second."""
        scope, receive, send = asgi
        begun = await to_thread.run_sync(audit.begin, deed)
        said: list[Message] = []

        async def kept(message: Message) -> None:
            said.append(message)

        try:
            await self._app(scope, receive, kept)
        finally:
            start: Mapping[str, Any] = said[0] if said else {}
            location = dict(start.get("headers", ())).get(b"location", b"").decode("latin-1")
            with CancelScope(shield=True):  # also when the client went away
                try:
                    await to_thread.run_sync(audit.end, begun, str(start.get("status", "failed")), unquote(location))
                except StoreFailed as exc:
                    logger.error("what became of %s of %s is not in the audit log: %s", deed.action, deed.object, exc)
                    self._access.telemetry.faults.labels(place="audit").inc()
        for message in said:
            await send(message)


class PageGuard:
    """The same before the dashboard's pages and their socket, whose tenant is in the URL.

    Parameters
    ----------
    app : ASGIApp
        The pages.
    access : Access
        What it asks.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look, and answer or let it on."""
        if scope["type"] in ("http", "websocket") and (self._access.doorkeeper.demands or PLACE in scope):
            try:
                principal = scope[PLACE] = self._access.principal(scope)
                require(principal, PAGES.scope or Right.READ)
                if not scope["path"].startswith(FILES):
                    _choose_page(scope, principal, self._access.default_tenant)
            except ForeshockError as exc:
                if scope["type"] == "http":
                    await _refuse(self._access, exc, (scope, receive, send))
                else:
                    self._access.telemetry.access_refused.labels(reason=_reason(exc)).inc()
                    await send({"type": "websocket.close", "code": 1008})  # the server answers 403
                return
        await self._app(scope, receive, send)


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _choose_tenant(scope: Scope, principal: Principal, default: str) -> str:
    """Return the tenant of a request, and write it into the header where who asks means one without saying so."""
    named = _values(scope, _TENANT)
    if len(named) > 1 and not principal.reaches_all:  # who reads the first and who reads the last would not agree
        raise InvalidTenant(f"X-Scope-OrgID must come once, got {len(named)}")
    tenant = tenant_for(principal, named[0] if named else "", default)
    if not principal.reaches_all and (not named or not named[0]):
        others = [pair for pair in scope["headers"] if pair[0] != _TENANT]
        scope["headers"] = [*others, (_TENANT, tenant.encode("latin-1"))]
    return tenant


def _choose_page(scope: Scope, principal: Principal, default: str) -> None:
    """Refuse a page of a tenant that is not reached, and name one where the URL does not."""
    if principal.reaches_all:
        return
    query = scope["query_string"].decode("latin-1")
    named = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "tenant"]
    for tenant in named:
        if not principal.reaches(tenant):
            raise NotAllowed(f"{principal.name!r} may not use tenant {tenant[:200]!r}")
    if not named:
        tenant = default if principal.reaches(default) else min(principal.tenants)
        scope["query_string"] = "&".join(filter(None, (query, f"tenant={quote(tenant)}"))).encode("latin-1")


def _reason(error: ForeshockError) -> str:
    match error:
        case NotAuthenticated():
            return "unauthenticated"
        case NotAllowed():
            return "forbidden"
        case _:
            return "other"


async def _refuse(access: Access, error: ForeshockError, asgi: tuple[Scope, Receive, Send]) -> None:
    """Answer with a problem."""
    scope, receive, send = asgi
    access.telemetry.access_refused.labels(reason=_reason(error)).inc()
    await refused(error)(scope, receive, send)
