"""Recorded telemetry of a few services as OTLP/JSON lines, made by the test that replays it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.app.ingest.requests import a_log, a_span, as_json, attributes, logs, metrics, traces

__all__ = ["BEGIN_S", "MINUTE_NS", "SERVICES", "recorded", "twisted", "write_lines"]

BEGIN_S = 1_760_000_040 // 60 * 60
MINUTE_NS = 60 * 10**9
SERVICES = ("web", "cart", "payment", "mail")


def recorded(minutes: int, *, seed: int = 0, failing: Sequence[int] = ()) -> list[bytes]:
    """Return the lines of some minutes: traces of every service, logs, a gauge; payment fails in the given minutes."""
    rng = random.Random(seed)
    lines: list[bytes] = []
    for minute in range(minutes):
        begin_ns = BEGIN_S * 10**9 + minute * MINUTE_NS
        calls: list[tuple[str, str]] = []
        for service in SERVICES:
            fails = service == "payment" and minute in failing
            lines.append(as_json(_traces(rng, service, begin_ns, fails, calls)))
            if fails or rng.random() < 0.3:
                lines.append(as_json(_logs(rng, service, begin_ns + MINUTE_NS // 2, fails)))
        gauge = {
            "name": "heap.used",
            "gauge": {"dataPoints": [{"timeUnixNano": str(begin_ns + 40 * 10**9), "asDouble": rng.random()}]},
        }
        lines.append(as_json(metrics(gauge, service="cart")))
    return lines


def twisted(lines: Sequence[bytes]) -> list[bytes]:
    """Add what senders get wrong: a late line, a negative time, a time a year off, one line twice, and one that is no JSON."""
    found = list(lines)
    middle = len(found) // 2
    late = json.loads(found[max(middle - 12, 0)])
    name = "GET /late"
    _rename(late, name)
    negative = traces(a_span(name="GET /negative", startTimeUnixNano="-5", endTimeUnixNano="-5"), service="web")
    ahead = traces(_span_at(BEGIN_S * 10**9 + 365 * 86_400 * 10**9, "GET /ahead"), service="web")
    found[middle:middle] = [as_json(late), as_json(negative), found[middle - 1], as_json(ahead), b'{"resourceSpans": oops']
    return found


def write_lines(path: Path, lines: Sequence[bytes]) -> Path:
    """Write lines to a file."""
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _traces(rng: random.Random, service: str, begin_ns: int, fails: bool, calls: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a request of a service's spans; mail is the callee of payment's calls by trace and span ids alone."""
    spans: list[dict[str, Any]] = []
    for _ in range(8 if fails else rng.randint(3, 6)):
        start = begin_ns + rng.randrange(50 * 10**9)
        trace, own = f"{rng.getrandbits(128) | 1:032x}", f"{rng.getrandbits(64) | 1:016x}"
        failed = fails or rng.random() < 0.02
        span = _span_at(start, rng.choice(("GET /a", "POST /b")), trace, own)
        if failed:
            span |= {"status": {"code": 2, "message": f"timed out asking bank {rng.randrange(10**6)}"}}
        spans.append(span)
        if service == "payment":
            calls.append((trace, f"{rng.getrandbits(64) | 1:016x}"))
            spans.append(_span_at(start, "call", trace, calls[-1][1], kind=3) | {"parentSpanId": own})
        elif service == "mail" and calls:
            called = dict(zip(("traceId", "parentSpanId"), calls.pop(), strict=True))
            spans[-1] |= called
        elif service == "web":
            peer = {"parentSpanId": own, "attributes": attributes({"peer.service": "bank:443"})}
            spans.append(_span_at(start, "ask bank", trace, f"{rng.getrandbits(64) | 1:016x}", kind=3) | peer)
    return traces(*spans, service=service, resource={"service.instance.id": f"{service}-1", "service.version": "1"})


def _logs(rng: random.Random, service: str, time_ns: int, fails: bool) -> dict[str, Any]:
    severity = 17 if fails else rng.choice((9, 13, 17))
    told = {"exception.type": "TimeoutError", "exception.message": "no answer"} if severity == 17 else {}
    records = [a_log(severity, timeUnixNano=str(time_ns + n), attributes=told) for n in range(3 if fails else 1)]
    return logs(*records, service=service)


def _span_at(
    start_ns: int, name: str, trace: str = "5b8efff798038103d269b633813fc60c", own: str = "00000000000000ab", kind: int = 2
) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(start_ns), "endTimeUnixNano": str(start_ns + 20 * 10**6)}
    return a_span(kind, name=name, traceId=trace, spanId=own, **times)


def _rename(line: dict[str, Any], name: str) -> None:
    for resource in line.get("resourceSpans", []):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span["name"] = name
