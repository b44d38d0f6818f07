"""Routes that machines ask: whether the process lives, whether it is ready for traffic, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, cast

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.parts import Health, answer, members
from app.cache.cache import Cache
from app.telemetry import Telemetry
from features.errors import ForeshockError

__all__ = ["router", "warm"]

router = APIRouter(tags=["health"])

READY, NOT_READY = 200, 503


@router.get("/livez", summary="Whether the process answers")
async def livez() -> Response:
    """Answer, which is all that is asked."""
    return answer({"status": "ok"})


@router.get("/readyz", summary="Whether every part is ready; 503 when one is not")
async def readyz(
    request: Request, verbose: Annotated[str | None, Query(description="Adds what each check found.")] = None
) -> Response:
    """Answer with what the checks found."""
    checks = cast("Callable[[], Mapping[str, Callable[[], Health]]]", request.app.state.checks)()
    found = {name: await to_thread.run_sync(_checked, check) for name, check in sorted(checks.items())}
    ok = all(health.ok for health in found.values())
    body: dict[str, object] = {"status": "ok" if ok else "not ready"}
    if verbose is not None and verbose.lower() not in ("0", "false"):
        body["checks"] = {name: members(health) for name, health in found.items()}
    return answer(body, READY if ok else NOT_READY, {"Cache-Control": "no-store"})


@router.get("/metrics", summary="Metrics in the Prometheus text format", response_class=Response)
async def metrics(request: Request) -> Response:
    """Render the metrics."""
    rendered = await to_thread.run_sync(cast("Telemetry", request.app.state.telemetry).render)
    return Response(rendered, media_type=None, headers={"Content-Type": CONTENT_TYPE_LATEST})


def warm(cache: Cache) -> Health:
    """Say what is in memory: all that the shared buckets held, since the cache is filled before the first request can come."""
    return Health(True, f"{cache.watched['predictions'].n_documents} predictions")


def _checked(check: Callable[[], Health]) -> Health:
    """Look, and take a failure to look for a part that is not ready."""
    try:
        return check()
    except (ForeshockError, OSError) as exc:
        return Health(False, f"{type(exc).__name__}: {exc}")
