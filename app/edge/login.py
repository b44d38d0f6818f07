"""The pages on which people log in and out: a token, or OpenID Connect where it is set up, becomes a session.

`app.edge.gate` sends here what begins with ``/login`` and ``/logout``. The pages have no script at all.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from secrets import token_urlsafe
from typing import Protocol
from urllib.parse import parse_qs, quote

from anyio import to_thread
from starlette.types import Receive, Scope, Send

from app.auth.doorkeeper import Doorkeeper, require
from app.auth.principal import Principal
from app.auth.principal import Scope as Right
from app.auth.refusals import NotAllowed, NotAuthenticated
from app.auth.token import Written, read_token
from app.edge.sessions import Sessions, cookie_name, cookies_of, set_cookie
from app.edge.throttle import Throttle, TooOften
from features.errors import ForeshockError

__all__ = [
    "CALLBACK",
    "FLOW_S",
    "LOGIN",
    "LOGOUT",
    "PROVIDER",
    "Login",
    "Provider",
    "Request",
    "local_path",
    "redirect",
    "send_onward",
]

logger = logging.getLogger(__name__)

LOGIN, LOGOUT = "/login", "/logout"
PROVIDER = f"{LOGIN}/oidc"
CALLBACK = f"{PROVIDER}/callback"
"""Where the provider sends a browser back to."""

FLOW_S = 600
"""Seconds that a login at a provider may take. Guessed: time for a password and a second factor."""

_FORM_BYTES = 4096  # guessed: a token is 60 characters, a path at most what fits beside it

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText }
main { width: min(24rem, 90vw) }
label, input, button, a.button { display: block; width: 100%; box-sizing: border-box }
input, button, a.button { margin: .4rem 0 1rem; padding: .6rem; font: inherit; border: 1px solid GrayText; border-radius: .3rem }
button, a.button { background: #2f6fd6; color: #fff; border-color: #2f6fd6; text-align: center; text-decoration: none; cursor: pointer }
.bad { border-left: .3rem solid #c62828; padding-left: .6rem }
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one of the pages.

    Parameters
    ----------
    scope : Scope
        Of ASGI.
    address : str
        By which it counts.
    secure : bool
        Whether the browser came over TLS.
    """

    scope: Scope
    address: str
    secure: bool

    @property
    def query(self) -> Mapping[str, str]:
        """The first value of each name."""
        return _first(self.scope["query_string"].decode("latin-1"))


class Provider(Protocol):
    """Who says who somebody is."""

    async def begin(self, next_path: str) -> tuple[str, str]:
        """Return where the browser is to go, and what it is to bring back in a cookie."""
        ...

    async def end(self, query: Mapping[str, str], kept: str) -> tuple[Principal, str]:
        """Return who came back, and where they wanted to go.

        Raises
        ------
        NotAuthenticated, NotAllowed
            When the answer is not one to the question that the cookie holds, or the person may do nothing here.
        """
        ...


class Login:
    """Logs people in and out.

    Parameters
    ----------
    doorkeeper : Doorkeeper
        Knows the tokens.
    sessions : Sessions
        Where logins are kept.
    throttle : Throttle
        Counts wrong tokens.
    provider : Provider, optional
        OpenID Connect.
    """

    def __init__(
        self, doorkeeper: Doorkeeper, sessions: Sessions, throttle: Throttle, provider: Provider | None = None
    ) -> None:
        self._doorkeeper = doorkeeper
        self._sessions = sessions
        self._throttle = throttle
        self._provider = provider

    async def answer(self, request: Request, receive: Receive, send: Send) -> None:
        """Answer a request whose path begins with `LOGIN` or `LOGOUT`."""
        match request.scope["method"], request.scope["path"]:
            case "GET" | "HEAD", "/login":
                await self._page(request, send, 200, "", local_path(request.query.get("next", "")))
            case "POST", "/login":
                await self._take_token(request, receive, send)
            case "POST", "/logout":
                await self._log_out(request, send)
            case "GET", path if path == PROVIDER and self._provider is not None:
                await self._ask(self._provider, request, send)
            case "GET", path if path == CALLBACK and self._provider is not None:
                await self._hear(self._provider, request, send)
            case _:
                await _send(send, 404, _document("There is no such page", "<p><a href='/login'>Log in</a></p>"), request)

    async def _take_token(self, request: Request, receive: Receive, send: Send) -> None:
        form = await _form(receive)
        path, token = local_path(form.get("next", "")), form.get("token", "").strip()
        try:
            principal = self._doorkeeper.principal(f"Bearer {token}")
            require(principal, Right.READ)
        except NotAuthenticated:
            try:
                self._throttle.failed_login(request.address)
            except TooOften as exc:
                wait = (b"retry-after", str(exc.retry_after_s).encode())
                await self._page(request, send, 429, f"Too many wrong tokens; try again in {exc.retry_after_s} s.", path, wait)
                return
            logger.warning("a login from %s showed no valid token", request.address)
            await self._page(request, send, 401, "This token is not valid: it is mistyped, has ended, or was revoked.", path)
            return
        except NotAllowed as exc:
            await self._page(request, send, 403, f"{exc}.", path)
            return
        await self._open(request, send, principal, read_token(token), path)

    async def _open(self, request: Request, send: Send, principal: Principal, token: Written | None, path: str) -> None:
        """Begin a session, and go on by a step of this page: a browser keeps a strict cookie from what another site led to."""
        shown = await to_thread.run_sync(self._sessions.open, principal, token)
        logger.info("%s logged in from %s", principal.name, request.address)
        cookie = set_cookie(cookie_name("session", secure=request.secure), shown, self._sessions.lasts_s, secure=request.secure)
        await send_onward(send, path, request, cookie, _forget_flow(request))

    async def _log_out(self, request: Request, send: Send) -> None:
        name = cookie_name("session", secure=request.secure)
        if shown := cookies_of(request.scope["headers"]).get(name):
            await to_thread.run_sync(self._sessions.end, shown)
        cookie = set_cookie(name, "", 0, secure=request.secure)
        await redirect(send, LOGIN, cookie, (b"clear-site-data", b'"cache"'))

    async def _ask(self, provider: Provider, request: Request, send: Send) -> None:
        try:
            url, kept = await provider.begin(local_path(request.query.get("next", "")))
        except ForeshockError as exc:
            await self._page(request, send, 503, f"{exc}.", "/")
            return
        name = cookie_name("login", secure=request.secure)
        # Lax: it has to come along when the provider sends the browser back.
        await redirect(send, url, set_cookie(name, kept, FLOW_S, secure=request.secure, same_site="Lax"))

    async def _hear(self, provider: Provider, request: Request, send: Send) -> None:
        kept = cookies_of(request.scope["headers"]).get(cookie_name("login", secure=request.secure), "")
        try:
            principal, path = await provider.end(request.query, kept)
            require(principal, Right.READ)
        except ForeshockError as exc:
            status = 403 if isinstance(exc, NotAllowed) else 401 if isinstance(exc, NotAuthenticated) else 503
            logger.warning("a login by OpenID Connect from %s failed: %s", request.address, exc)
            await self._page(request, send, status, f"{exc}.", "/", _forget_flow(request))
            return
        await self._open(request, send, principal, None, local_path(path))

    async def _page(
        self, request: Request, send: Send, status: int, bad: str, path: str, *headers: tuple[bytes, bytes]
    ) -> None:
        said = f"<p class='bad' role='alert'>{escape(bad)}</p>" if bad else ""
        other = f"<p><a class='button' href='{PROVIDER}?next={quote(path, safe='')}'>Log in with OpenID Connect</a></p>"
        form = (
            f"{said}<form method='post' action='{LOGIN}'>"
            "<label for='token'>Token</label>"
            "<input id='token' name='token' type='password' autocomplete='current-password' required autofocus>"
            f"<input type='hidden' name='next' value='{escape(path, quote=True)}'>"
            "<button>Log in</button></form>"
        )
        body = _document("Log in", form + (other if self._provider else ""))
        await _send(send, status, body, request, *headers)


def local_path(text: str) -> str:
    r"""Return a path of this node, whatever was asked for.

    Examples
    --------
    >>> local_path("/service/cart?range=1h"), local_path("//elsewhere.example"), local_path("https://elsewhere.example")
    ('/service/cart?range=1h', '/', '/')
    >>> local_path("/\\elsewhere.example"), local_path("/login"), local_path("/a b")
    ('/', '/', '/')
    """
    is_local = re.fullmatch(r"/(?![/\\])[!-\[\]-~]{0,2000}", text) is not None
    return text if is_local and not text.startswith((LOGIN, LOGOUT)) else "/"


async def send_onward(send: Send, path: str, request: Request, *headers: tuple[bytes, bytes]) -> None:
    """Answer with a page that goes on to a path at once, as a step of this site."""
    link = f"<p><a href='{escape(path, quote=True)}'>Go on</a></p>"
    refresh = f"<meta http-equiv='refresh' content='0;url={escape(path, quote=True)}'>"
    await _send(send, 200, _document("Foreshock", link, refresh), request, *headers)


def _first(text: str) -> dict[str, str]:
    try:
        return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True, max_num_fields=64).items()}
    except ValueError:  # more fields than that
        return {}


async def _form(receive: Receive) -> dict[str, str]:
    """Return the fields of a form, none where it is too long."""
    body, more = b"", True
    while more and len(body) <= _FORM_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return _first(body.decode("latin-1")) if len(body) <= _FORM_BYTES else {}


def _forget_flow(request: Request) -> tuple[bytes, bytes]:
    return set_cookie(cookie_name("login", secure=request.secure), "", 0, secure=request.secure, same_site="Lax")


def _document(title: str, content: str, head: str = "") -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"{head}<title>{title} · Foreshock</title><style nonce='NONCE'>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{content}</main></body></html>"
    )


async def _send(send: Send, status: int, document: str, request: Request, *headers: tuple[bytes, bytes]) -> None:
    nonce = token_urlsafe(18)
    body = document.replace("NONCE", nonce, 1).encode()
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    own = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": b"" if request.scope["method"] == "HEAD" else body})


async def redirect(send: Send, location: str, *headers: tuple[bytes, bytes]) -> None:
    """Send a browser elsewhere, to be asked there by GET."""
    own = [(b"location", location.encode()), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 303, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": b""})
