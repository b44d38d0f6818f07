"""What limits and the gate cost a request, in processor time: ``python -m benchmarks.edge``.

Nothing is sent: an application that answers at once is called as the server would, with and without the gate before it, and the limits
are asked as ingest does. Other programs of the machine change little, since processor time is measured; each number is the median of runs.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth import Doorkeeper
from app.edge.gate import Gate, GatePlan
from app.edge.throttle import Throttle
from app.edge_settings import LimitSettings
from app.telemetry import Telemetry

__all__ = ["main"]

CALLS, RUNS = 20_000, 9
HEADERS = [(b"host", b"node:8318"), (b"accept", b"*/*"), (b"user-agent", b"benchmark"), (b"x-scope-orgid", b"shop")]
SCOPE: Scope = {
    "type": "http",
    "method": "GET",
    "scheme": "http",
    "path": "/api/v1/predictions/cart",
    "query_string": b"",
    "headers": HEADERS,
    "client": ("203.0.113.9", 5000),
}


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})


def _microseconds(run: Callable[[], None]) -> float:
    found: list[float] = []
    for _ in range(RUNS):
        begun = time.process_time()
        run()
        found.append((time.process_time() - begun) / CALLS * 1e6)
    return statistics.median(found)


def _called(app: ASGIApp) -> float:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    async def calls() -> None:
        for _ in range(CALLS):
            await app(dict(SCOPE), receive, send)

    return _microseconds(lambda: asyncio.run(calls()))


def _limited(settings: LimitSettings) -> float:
    throttle = Throttle(settings, Telemetry())

    def calls() -> None:
        for _ in range(CALLS):
            address = throttle.of_connection("10.0.0.1", HEADERS)
            throttle.admit("collector", address)
            throttle.charge("collector", address, 1)

    return _microseconds(calls)


def main() -> None:
    """Measure and print."""
    rates = dict.fromkeys(("token_requests_per_s", "token_bytes_per_s", "address_requests_per_s", "address_bytes_per_s"), 1e6)
    high = LimitSettings.model_validate(rates)
    proxied = LimitSettings.model_validate({**rates, "trusted_proxies": ("10.0.0.0/8",)})
    doorkeeper, off = Doorkeeper(None, lambda: datetime.now(UTC)), LimitSettings()
    bare = _called(_answer)
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}; microseconds of processor time a request"
    )
    print(f"the gate without limits: {_called(Gate(_answer, doorkeeper, Throttle(off, Telemetry()), GatePlan())) - bare:.1f}")
    on = Throttle(high, Telemetry())
    print(f"the gate with all four limits: {_called(Gate(_answer, doorkeeper, on, GatePlan())) - bare:.1f}")
    print(f"all four limits of ingest: {_limited(high):.1f}")
    print(f"the same behind a trusted proxy: {_limited(proxied):.1f}")


if __name__ == "__main__":
    main()
