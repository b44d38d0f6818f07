"""A cascade over OTLP: web calls cart, cart calls payment, and payment fails before the others do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.app.ingest.requests import a_span, as_json, traces

__all__ = ["CHAIN", "a_minute"]

CHAIN = ("web", "cart", "payment")
_MINUTE_NS = 60 * 10**9
_MESSAGES = {
    "payment": "disk full: no space left on device",
    "cart": "payment answered 503",
    "web": "cart answered 500",
}


def a_minute(begin_ns: int, number: int, failing: int = 0, requests: int = 20) -> bytes:
    """Return a request with a minute of traces through the whole chain.

    Parameters
    ----------
    begin_ns : int
        Its start.
    number : int
        Of the minute, for ids of its own.
    failing : int
        How many services fail, the deepest first.
    requests : int
        Traces; all but a few of them fail where anything does.
    """
    broken = CHAIN[len(CHAIN) - failing :]
    spans: dict[str, list[dict[str, Any]]] = {name: [] for name in CHAIN}
    for n in range(requests):
        start = begin_ns + n * _MINUTE_NS // requests
        for name, span in _trace(start, (number << 16) + n + 1, broken if n % 10 else ()):
            spans[name].append(span)
    parts = [
        traces(*found, service=name, resource={"service.version": "1.0"})["resourceSpans"] for name, found in spans.items()
    ]
    return as_json({"resourceSpans": [one for part in parts for one in part]})


def _trace(start: int, key: int, broken: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the spans of a trace with their services: each service's own, and its call of the next."""
    parent = ""
    for depth, name in enumerate(CHAIN):
        own, call = f"{key * 8 + 2 * depth + 1:016x}", f"{key * 8 + 2 * depth + 2:016x}"
        times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 10**7)}
        failed = {"status": {"code": 2, "message": _MESSAGES[name]}} if name in broken else {}
        common = {"traceId": f"{key:032x}", **times}
        yield (
            name,
            a_span(2, name=f"GET /{name}", spanId=own, **common, **failed, **({"parentSpanId": parent} if parent else {})),
        )
        if depth + 1 < len(CHAIN):
            yield name, a_span(3, name=f"call {CHAIN[depth + 1]}", spanId=call, parentSpanId=own, **common)
        parent = call
