"""What a request for REST or a page passes first: limits, logins, proof of origin, and on the way back what a browser may do.

`app.main` puts it before everything on the port of REST. Behind it `app.api.guard` decides what who asks may do; here it is found out
who asks where a browser shows a session, and nothing else is let through that a person did not ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import refused
from app.auth.doorkeeper import Doorkeeper
from app.auth.needs import FILES
from app.auth.principal import ADDRESS, PLACE, Principal
from app.auth.refusals import NotAllowed, NotAuthenticated
from app.edge.login import LOGIN, LOGOUT, Login, Request, local_path, redirect, send_onward
from app.edge.origin import came_secure, is_forged, is_nobodys_name, own_host
from app.edge.sessions import Sessions, cookie_name, cookies_of
from app.edge.throttle import Throttle
from features.errors import BodyTooLarge, ForeshockError

__all__ = ["SESSION", "Gate", "GatePlan"]

SESSION = "foreshock.session"
"""Where an ASGI scope says that a session answers for it, so that pages can offer to log out."""

_PROBES = frozenset({"/livez", "/readyz"})
_OTHERS = _PROBES | {"/metrics"}
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class TooSlow(HTTPException):
    """A body did not arrive in time; an HTTPException, so that it passes through the framework's body reader."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(408, f"the body must arrive within {timeout_s:g} s", {"connection": "close"})


@dataclass(frozen=True, slots=True)
class GatePlan:
    """Bounds of the gate.

    Parameters
    ----------
    max_body_bytes : int
        Bytes of a body; one that says it is larger is not read.
    body_timeout_s : float
        Seconds in which a body must have arrived.
    hsts_s : int
        Seconds for which a browser that came over TLS comes back over TLS alone; 0 takes back what was said before.
    is_local : bool
        Whether a node that asks nobody who they are is for its own machine alone; then nothing but probes is answered under other names.
    """

    max_body_bytes: int = 2**20
    body_timeout_s: float = 60.0
    hsts_s: int = 0
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class _Came:
    """What is known of a request before anybody looks what it wants."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    address: str
    own: str
    secure: bool
    is_borrowed: bool
    """Whether it asks under a name that a node for its own machine alone does not have, as a page whose owner turned the name to it does."""


class Gate:
    """Lets requests on to an application.

    Parameters
    ----------
    app : ASGIApp
        REST and the pages.
    doorkeeper : Doorkeeper
        Knows the tokens.
    throttle : Throttle
        How often one may ask.
    plan : GatePlan
        Bounds.
    sessions : Sessions, optional
        Of browsers; None where nobody need log in.
    login : Login, optional
        The pages to log in on, where there are sessions.
    """

    def __init__(
        self,
        app: ASGIApp,
        doorkeeper: Doorkeeper,
        throttle: Throttle,
        plan: GatePlan,
        sessions: Sessions | None = None,
        login: Login | None = None,
    ) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._throttle = throttle
        self._plan = plan
        self._sessions = sessions
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look, and answer or let it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        came = self._look(scope)
        shown = self._session_of(came)
        still = None
        if shown is not None and await self._enter(scope, shown):
            still = lambda: self._principal(shown) is not None  # noqa: E731
        elif self._doorkeeper.demands and (b"authorization" in came.headers or scope["type"] == "websocket"):
            still = partial(self._accepts, came.headers.get(b"authorization", b"").decode("latin-1"))
        if scope["type"] == "websocket":
            await self._talk(came, still, receive, send)
            return
        body = _Body(receive, came.headers, self._plan.body_timeout_s)
        answered = _Answer(send, body, self._hsts(came), still)
        try:
            self._admit(came)
        except ForeshockError as exc:
            await refused(exc)(scope, body.receive, answered.send)
            return
        await self._serve(came, body.receive if still is None else answered.listening(body.receive), answered.send)
        await answered.finish()

    async def _serve(self, came: _Came, receive: Receive, send: Send) -> None:
        scope, path = came.scope, came.scope["path"]
        if self._login is not None:
            request = Request(scope, came.address, came.secure)
            if path in {LOGIN, LOGOUT} or path.startswith(f"{LOGIN}/"):
                await self._login.answer(request, receive, send)
                return
            if PLACE not in scope and b"authorization" not in came.headers and _is_page(scope):
                await self._send_to_login(came, request, send)
                return
        await self._app(scope, receive, send)

    async def _send_to_login(self, came: _Came, request: Request, send: Send) -> None:
        query = came.scope["query_string"].decode("latin-1")
        path = quote(came.scope["path"], safe="/~:@!$&'()*+,;=") + (f"?{query}" if query else "")
        if came.headers.get(b"sec-fetch-site", b"none") not in {b"none", b"same-origin"}:
            # Another site's link led here, so the browser kept a strict cookie back that it may have; from here it brings it.
            await send_onward(send, local_path(path), request)
            return
        location = f"{LOGIN}?next={quote(path, safe='')}" if path != "/" else LOGIN
        await redirect(send, location)

    async def _talk(self, came: _Came, still: Callable[[], bool] | None, receive: Receive, send: Send) -> None:
        """Let a WebSocket on for as long as what it was opened with is valid."""
        if came.is_borrowed:
            await send({"type": "websocket.close", "code": 1008})  # the server answers 403
            return
        if still is None:
            await self._app(came.scope, receive, send)
            return
        line = _Line(receive, send, still)
        await self._app(came.scope, line.receive, line.send)

    def _look(self, scope: Scope) -> _Came:
        headers = dict(scope["headers"])
        client = scope.get("client")
        trusted = self._throttle.addresses.trusts(client[0] if client else "")
        own, secure = own_host(headers, behind_proxy=trusted), came_secure(scope["scheme"], headers, behind_proxy=trusted)
        if trusted:
            scope[ADDRESS] = self._throttle.client_of(scope)
        borrowed = (
            self._plan.is_local and not trusted and scope["path"] not in _PROBES and own != "" and not is_nobodys_name(own)
        )
        return _Came(scope, headers, self._throttle.address_of(scope), own, secure, borrowed)

    def _admit(self, came: _Came) -> None:
        """Refuse what comes too often, is too large, or was not asked for by a person or program of this node's users."""
        scope = came.scope
        known = scope.get(PLACE)
        authorization = came.headers.get(b"authorization")
        if known is None and self._doorkeeper.demands and authorization is not None:
            known = self._principal_of_header(scope["headers"], came.address)
        if self._throttle.is_on:
            self._throttle.admit(known.name if isinstance(known, Principal) else "", came.address)
        if came.is_borrowed:
            raise NotAllowed(
                f"{scope['method']} must ask for localhost or an address, since no token is demanded, got the host {came.own[:200]}; "
                "where a proxy on this machine passes it on, set security.limits.trusted_proxies or security.allow_open"
            )
        if is_forged(scope["method"], came.headers, came.own, has_cookie=SESSION in scope):
            raise NotAllowed(
                f"{scope['method']} must come from a page of {came.own[:200]} or bring a token as Bearer; it came from elsewhere"
            )
        length = came.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._plan.max_body_bytes:
            raise BodyTooLarge(f"a body must be <= {self._plan.max_body_bytes} bytes, got {length[:20].decode()}")

    def _principal_of_header(self, headers: Any, address: str) -> Principal | None:
        """Return who shows a token; of a wrong one None, and it counts."""
        shown = [value for name, value in headers if name == b"authorization"]
        try:
            return self._doorkeeper.principal(shown[0].decode("latin-1")) if len(shown) == 1 else None
        except NotAuthenticated:
            self._throttle.failed_login(address)
            return None

    def _accepts(self, authorization: str) -> bool:
        try:
            self._doorkeeper.principal(authorization)
        except NotAuthenticated:
            return False
        return True

    def _session_of(self, came: _Came) -> str | None:
        """Return the session that a browser shows; a token that is shown beside it comes first."""
        if self._sessions is None or b"cookie" not in came.headers or b"authorization" in came.headers:
            return None
        return cookies_of(came.scope["headers"]).get(cookie_name("session", secure=came.secure))

    async def _enter(self, scope: Scope, shown: str) -> bool:
        """Say in the scope whose session it is, and return whether there is one."""
        principal = self._principal(shown)
        if principal is None and self._sessions is not None:
            principal = await to_thread.run_sync(self._sessions.stored_principal, shown)
        if principal is None:
            return False
        scope[PLACE], scope[SESSION] = principal, True
        return True

    def _principal(self, shown: str) -> Principal | None:
        return None if self._sessions is None else self._sessions.principal(shown)

    def _hsts(self, came: _Came) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"strict-transport-security", b"max-age=%d" % self._plan.hsts_s),) if came.secure else ()


class _Body:
    """The body of a request, which must arrive in time."""

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], timeout_s: float) -> None:
        self._receive = receive
        self._timeout_s = timeout_s
        self._due_s: float | None = None
        self.is_whole = b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0"

    async def receive(self) -> Message:
        """Return the next part; when the last has come, what tells that the client is gone."""
        if self.is_whole:
            return await self._receive()
        now_s = asyncio.get_running_loop().time()
        self._due_s = now_s + self._timeout_s if self._due_s is None else self._due_s
        try:
            async with asyncio.timeout_at(self._due_s):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(self._timeout_s) from None
        self.is_whole = not message.get("more_body", False)
        return message


class _Answer:
    """An answer with what a browser may do with it, which ends when what it was asked with does."""

    def __init__(
        self, send: Send, body: _Body, further: tuple[tuple[bytes, bytes], ...], still: Callable[[], bool] | None
    ) -> None:
        self._send = send
        self._body = body
        self._further = further
        self._still = still
        self._ended = asyncio.Event() if still else None
        self._is_open = False

    async def send(self, message: Message) -> None:
        """Send on."""
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            named = {name.lower() for name, _ in headers}
            headers += [pair for pair in (*_ALWAYS, *self._further) if pair[0] not in named]
            if not self._body.is_whole:
                headers.append((b"connection", b"close"))  # nobody waits for the rest of a body that nobody reads
            message = {**message, "headers": headers}
        elif self._still is not None and self._ended is not None:
            self._is_open = message.get("more_body", False)
            if self._ended.is_set() or (self._is_open and not self._still()):
                self._ended.set()
                self._is_open = True
                return
        await self._send(message)

    def listening(self, receive: Receive) -> Receive:
        """Return what tells an application that its client is gone, also when only the session is."""
        ended = self._ended
        assert ended is not None

        async def listen() -> Message:
            if not self._body.is_whole:
                return await receive()
            gone = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(ended.wait())
            try:
                await asyncio.wait((gone, over), return_when=asyncio.FIRST_COMPLETED)
                return gone.result() if gone.done() else {"type": "http.disconnect"}
            finally:
                over.cancel()
                if not gone.done():
                    gone.cancel()

        return listen

    async def finish(self) -> None:
        """End an answer that went on for longer than its session."""
        if self._ended is not None and self._ended.is_set() and self._is_open:
            await self._send({"type": "http.response.body", "body": b""})


class _Line:
    """A WebSocket that is closed once what it was opened with is not valid any more."""

    def __init__(self, receive: Receive, send: Send, still: Callable[[], bool]) -> None:
        self._receive = receive
        self._send = send
        self._still = still
        self._is_closed = False

    async def receive(self) -> Message:
        """Return what the browser says, or that it is gone."""
        message = await self._receive()
        if message["type"] == "websocket.receive" and not self._still():
            await self._close()
            return {"type": "websocket.disconnect", "code": 1008}
        return message

    async def send(self, message: Message) -> None:
        """Say something to the browser, unless it may not hear it any more."""
        if message["type"] == "websocket.send" and not self._still():
            await self._close()
        if not self._is_closed:
            await self._send(message)

    async def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._send({"type": "websocket.close", "code": 1008, "reason": "the login has ended"})


def _is_page(scope: Scope) -> bool:
    path = scope["path"]
    if scope["method"] not in {"GET", "HEAD"} or path in _OTHERS:
        return False
    return not path.startswith(("/api/", *FILES))
