"""The REST API as one ASGI application: routes, problems, the OpenAPI document, and what every request is counted by.

`app.main` hands the parts in and serves the application; nothing here knows which store or model it reads.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import (
    alert_routes,
    alerts,
    anomalies,
    audit,
    backtests,
    errors,
    feedback,
    graph,
    groups,
    health,
    impact,
    incidents,
    learning,
    models,
    nodes,
    plans,
    predictions,
    problems,
    silences,
    stream,
    tokens,
    training,
    trends,
    webhooks,
)
from app.api.document import described
from app.api.entries import Entries
from app.api.feed import Feeds
from app.api.guard import Access, Guard
from app.api.parts import PREFIX, ApiParts, Health
from app.api.shortcut import Shortcut
from app.cache.cache import Cache
from app.telemetry import Telemetry

__all__ = ["create_api", "create_probes", "routes_of"]

_PROBE_BYTES = 2**16  # guessed: nobody who asks for health sends a body
_RESOURCES = (
    predictions,
    anomalies,
    trends,
    errors,
    graph,
    plans,
    incidents,
    groups,
    webhooks,
    impact,
    feedback,
    training,
    backtests,
    models,
    learning,
    alerts,
    silences,
    alert_routes,
    nodes,
    stream,
    tokens,
    audit,
)  # `feedback/impact` before `feedback/{id}`


def create_api(parts: ApiParts) -> FastAPI:
    """Build the REST API.

    The buckets are watched from here on, until the application shuts down or `app.state.cache` is closed.

    Parameters
    ----------
    parts : ApiParts
        What it depends on.

    Returns
    -------
    FastAPI
        An ASGI application.
    """
    cache = Cache(parts.documents, parts.telemetry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        cache.close()

    # The viewers would load their scripts from another host.
    app = FastAPI(
        title="Foreshock",
        version="1",
        summary="How likely an error incident is to begin, why, and what to do.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = parts
    app.state.cache = cache
    app.state.telemetry = parts.telemetry
    app.state.checks = lambda: {"cache": lambda: health.warm(cache), **parts.checks}
    app.state.entries = Entries(cache, parts.telemetry)
    app.state.feeds = Feeds(cache, parts.streams, time.monotonic)
    problems.install(app)
    app.add_middleware(_Edge, telemetry=parts.telemetry, max_body_bytes=parts.max_body_bytes)
    app.add_middleware(Shortcut, parts=parts, entries=app.state.entries)  # the last added is asked first
    for module in (*_RESOURCES, health):
        # Without a default answer FastAPI would describe its own form of a 422; `described` puts others in its place.
        app.include_router(module.router, responses={"default": {"description": "A problem, RFC 9457"}})
    app.openapi = lambda: described(app)
    app.state.access = Access(
        parts.doorkeeper, parts.audit(), parts.default_tenant, parts.telemetry, open_metrics=parts.security.open_metrics
    )
    app.add_middleware(Guard, access=app.state.access, routes=routes_of(app))  # outermost of all
    return app


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Return method and path of every route of an application, in the order in which it tries them."""
    found = iter_route_contexts(app.routes)
    return [(method, route.path or "") for route in found for method in sorted(set(route.methods or ()) - {"HEAD"})]


def create_probes(access: Access, checks: Mapping[str, Callable[[], Health]], roles: str) -> FastAPI:
    """Build what answers on the port of REST where the node lacks the role ``api``: whether it lives and is ready, and its metrics.

    Parameters
    ----------
    access : Access
        Who asks, and the metrics that `/metrics` renders.
    checks : Mapping[str, callable]
        Readiness checks by name. Called in a thread.
    roles : str
        What the node has, named to those who ask for more.

    Returns
    -------
    FastAPI
        An ASGI application that watches no bucket.
    """
    app = FastAPI(title="Foreshock", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.telemetry, app.state.checks = access.telemetry, lambda: checks
    problems.install(app)
    app.add_middleware(_Edge, telemetry=access.telemetry, max_body_bytes=_PROBE_BYTES)
    app.include_router(health.router)
    guarded = routes_of(app)

    async def elsewhere(request: Request) -> Response:
        raise problems.Unknown(
            f"{request.method} {request.url.path} is answered by nodes with the role api, and this one has {roles}; ask another node"
        )

    app.add_api_route("/{path:path}", elsewhere, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    app.add_middleware(Guard, access=access, routes=guarded)
    return app


class _Edge:
    """Count every answer by route template and status, and refuse bodies beyond the limit before they are in memory."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, max_body_bytes: int) -> None:
        self._app = app
        self._requests = telemetry.http_requests
        self._faults = telemetry.faults
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = 500

        async def counted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, _limited(receive, self._max_body_bytes), counted)
        except Exception:
            self._faults.labels(place="api").inc()
            raise
        finally:
            # The template, never the path: names from outside must not become label values.
            self._requests.labels(route=_template(scope), code=str(code)).inc()


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path_format", "unmatched")


def _limited(receive: Receive, max_body_bytes: int) -> Receive:
    n_bytes = 0

    async def limited() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > max_body_bytes:
            raise problems.TooLarge(max_body_bytes)
        return message

    return limited
