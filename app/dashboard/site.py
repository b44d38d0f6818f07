"""The dashboard beside the REST API on one port: NiceGUI's pages under `/`, everything else as it was.

`app.main` imports this module only where the dashboard is on, since NiceGUI takes time and memory. NiceGUI is one for a process,
and so is the dashboard: of several nodes in one process, as tests have them, the first one has it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from functools import wraps
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from nicegui import Client, app, core, ui
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.guard import Access, PageGuard
from app.auth.needs import OWN_FILES
from app.dashboard import alerts, backtests, errors, incident, incidents, models, profile, risks, system
from app.dashboard.board import Boards
from app.dashboard.frame import STATIC, Frame
from app.dashboard.live import Live
from app.dashboard.past import Past
from app.dashboard.rest import Rest
from app.dashboard.sources import Sources, View

__all__ = ["Site", "dashboard", "policy"]

logger = logging.getLogger(__name__)

_OTHERS = ("/livez", "/readyz", "/metrics")
_AGE_S = 31_536_000
_BUILT_S = 30.0  # guessed: after as long a page is an error; NiceGUI's 3 s are too few for a week of history on a node that has much to do
_GZIP_LEVEL = 4  # guessed: half a megabyte of scripts in some milliseconds
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='#2f6fd6' stroke-width='2.4'>"
    "<path d='M1 12h6l2-5 3 12 3-16 2 9h6'/></svg>"
)
_OURS = re.compile(rb"<(script|style)\b")


def policy(nonce: str) -> str:
    """Return the content security policy of a page: two, of which both hold.

    A script runs if the page's nonce leads to it, and if it comes from this origin. Each word that is left was tried without
    in Chromium (`tests/app/dashboard/test_site_policy.py`): NiceGUI compiles its templates and runs its calls in the browser, which
    needs ``unsafe-eval`` and forbids trusted types; its elements and ours have styles as attributes, which need
    ``unsafe-inline`` there, and there alone; the icon is a ``data:`` image; it has fonts.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
            f"style-src-elem 'self' 'nonce-{nonce}'",
            "style-src-attr 'unsafe-inline'",
            "img-src data:",
            "font-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors 'none', script-src 'strict-dynamic' 'nonce-{nonce}' 'unsafe-eval'",
        )
    )


class Site:
    """Sends requests to the pages or to the REST API, by their path.

    Parameters
    ----------
    rest : ASGIApp
        The API; it answers what begins with `app.api.parts.PREFIX`, and those that look after the node.
    pages : ASGIApp
        The rest, and the beginning and end of the process.
    access : Access
        Who may see pages.
    """

    def __init__(self, rest: ASGIApp, pages: ASGIApp, access: Access) -> None:
        self._rest = rest
        packed = GZipMiddleware(_Guarded(pages), minimum_size=1024, compresslevel=_GZIP_LEVEL)
        self._pages = PageGuard(packed, access)
        self._bare = PageGuard(pages, access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        kind = scope["type"]
        if kind == "http":
            path: str = scope["path"]
            await (self._rest if path.startswith("/api/") or path in _OTHERS else self._pages)(scope, receive, send)
        else:
            await self._bare(scope, receive, send)


class _Guarded:
    """Sends with every answer what a browser may do with it, and gives the scripts of a page their nonce."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: MutableMapping[str, Any] = {}
        body = bytearray()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name != b"server"]
                start.update(message, headers=[*headers, *_HEADERS])
                if not _is_page(start):
                    start["headers"].append(
                        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")
                    )
                    await send(start)
            elif not _is_page(start):
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    await _send_page(start, bytes(body), send)

        await self._app(scope, receive, guarded)


_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def _is_page(start: MutableMapping[str, Any]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in start["headers"])


async def _send_page(start: MutableMapping[str, Any], body: bytes, send: Send) -> None:
    nonce = token_urlsafe(18)
    # What comes from outside is escaped, so every `<script` and `<style` of the page is NiceGUI's own or ours.
    body = _OURS.sub(rf'<\1 nonce="{nonce}"'.encode(), body)
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    headers += [(b"content-length", b"%d" % len(body)), (b"content-security-policy", policy(nonce).encode())]
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def dashboard(sources: Sources) -> ASGIApp:
    """Return the REST API with the dashboard beside it.

    Parameters
    ----------
    sources : Sources
        What the pages read, the API among them.
    """
    if core.app.config.has_run_config:
        logger.warning("another node of this process has the dashboard; this one answers over REST alone")
        return sources.rest
    live = Live(sources.cache)
    past = Past(sources.history, sources.parts.now, sources.tick_s)
    boards = Boards(sources.cache, past, live)
    _register(sources, live, boards, past)
    rest = sources.rest

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with rest.router.lifespan_context(rest):
            yield

    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    pages.add_api_route("/backtests/{run_id}/report", _reports(sources), include_in_schema=False)
    core.app.config.quasar_config["loadingBar"]["skipHijack"] = True  # nothing here loads for long
    core.sio.eio.cors_allowed_origins = _is_own_page  # a page of another origin may not open the socket
    ui.run_with(
        pages,
        title="Foreshock",
        favicon=_ICON,
        dark=None,
        language="en-US",
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
        gzip_middleware_factory=None,
        tailwind=False,
        show_welcome_message=False,
    )
    return Site(sources.rest, pages, sources.rest.state.access)


def _reports(sources: Sources) -> Callable[[Request, str], Awaitable[Response]]:
    """Return what answers with the report of a backtest of the tenant that the address names."""

    async def report(request: Request, run_id: str) -> Response:
        tenant = View.of(request.query_params, sources.parts.default_tenant).tenant
        found = await Rest(sources.rest, tenant, request.scope).page(f"/backtests/{quote(run_id, safe='')}/page")
        kept = {name: found.headers[name] for name in ("content-type", "content-security-policy") if name in found.headers}
        return Response(found.content, found.status_code, kept)

    return report


def _is_own_page(origin: str | None, environ: Mapping[str, str]) -> bool:
    """Say whether a page of this host opens the socket, by the host that it asked here or at a proxy in front.

    engineio compares schemes too, and takes every connection for one without TLS that no proxy says it of.
    """
    hosts = {environ.get("HTTP_HOST", ""), environ.get("HTTP_X_FORWARDED_HOST", "").partition(",")[0].strip()} - {""}
    return (origin or "").partition("://")[2].lower() in {host.lower() for host in hosts}


def _register(sources: Sources, live: Live, boards: Boards, past: Past) -> None:
    """Give NiceGUI the pages and their files."""
    app.add_static_files(OWN_FILES, STATIC, max_cache_age=_AGE_S)
    for name, tag in (("dashboard.css", '<link rel="stylesheet" href="{}">'), ("dashboard.js", '<script src="{}"></script>')):
        stamp = int((STATIC / name).stat().st_mtime)
        ui.add_head_html(tag.format(f"{OWN_FILES}/{name}?{stamp}"), shared=True)

    def page(path: str, show: Callable[..., Awaitable[None]]) -> None:
        @wraps(show)
        async def shown(client: Client, name: str = "") -> None:
            frame = Frame(sources, live, client)
            await (show(frame, name) if "{" in path else show(frame))

        shown.__dict__.pop("__wrapped__")
        ui.page(path, response_timeout=_BUILT_S)(shown)

    async def overview(frame: Frame) -> None:
        await risks.show(frame, boards)

    async def one(frame: Frame, name: str) -> None:
        await profile.show(frame, name, past)

    page("/", overview)
    page("/service/{name:path}", one)
    page("/incidents", incidents.show)
    page("/incident/{name:path}", incident.show)
    page("/errors", errors.show)
    page("/alerts", alerts.show)
    page("/models", models.show)
    page("/backtests", backtests.show)
    page("/system", system.show)
