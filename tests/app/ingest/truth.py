"""What every client of the tests is told to send: one table of spans, log records and metric points.

`as_json` is what a client program of another language reads; `tests.app.ingest.oracle` says what is to be counted of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

__all__ = ["RESOURCES", "TRUTH", "Event", "Log", "Point", "Span", "Truth", "Value"]

Value = str | bool | int | float | list[str]

RESOURCES: dict[str, dict[str, str]] = {
    "shop": {"service.name": "shop", "service.version": "7", "service.instance.id": "shop-1"},
    "payment": {"service.name": "payment", "service.version": "2.1", "service.instance.id": "payment-b"},
}

_BASE_NS = 1_767_225_600 * 10**9
_STEP_NS = 7_501_000_003  # a trace each, so that 24 of them lie in four windows
_MS = 10**6
_TRACES = 24


@dataclass(frozen=True)
class Event:
    """An event of a span; `raised` is a message that the client is to raise and record by its SDK's own means."""

    name: str
    time_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    raised: str = ""


@dataclass(frozen=True)
class Span:
    """A span; `parent` may be one of another service."""

    service: str
    name: str
    kind: str
    trace: str
    span: str
    parent: str
    start_ns: int
    end_ns: int
    status: str = "UNSET"
    message: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    events: tuple[Event, ...] = ()
    trace_state: str = ""


@dataclass(frozen=True)
class Log:
    """A log record; severity 0 says it by its text alone."""

    service: str
    time_ns: int
    severity: int
    text: str
    body: str | dict[str, str]
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])
    trace: str = ""
    span: str = ""


@dataclass(frozen=True)
class Point:
    """One measurement of an instrument; the SDK gives its time."""

    service: str
    name: str
    kind: str
    value: float
    attributes: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True)
class Truth:
    """All records, in the order of sending."""

    spans: tuple[Span, ...]
    logs: tuple[Log, ...]
    points: tuple[Point, ...]

    def as_json(self) -> str:
        """Return the table for a client program; times are text, since JavaScript rounds such numbers."""

        def plain(value: object) -> object:
            if isinstance(value, dict):
                return {key: str(item) if str(key).endswith("_ns") else plain(item) for key, item in value.items()}
            return [plain(item) for item in value] if isinstance(value, list | tuple) else value

        return json.dumps({"resources": RESOURCES} | {key: plain(value) for key, value in asdict(self).items()})

    def of(self, service: str) -> Truth:
        """Return the records of one service."""
        return Truth(
            tuple(span for span in self.spans if span.service == service),
            tuple(log for log in self.logs if log.service == service),
            tuple(point for point in self.points if point.service == service),
        )

    def changed(self, span: Callable[[Span], Span], log: Callable[[Log], Log] = lambda log: log) -> Truth:
        """Return the table with every span and log record changed."""
        return replace(self, spans=tuple(span(one) for one in self.spans), logs=tuple(log(one) for one in self.logs))

    def named(self, ids: Mapping[str, list[str]]) -> Truth:
        """Return the table with the trace and span ids that a client chose itself, by those it was told."""
        traces = {span.trace: ids[span.span][0] for span in self.spans if span.span in ids}

        def rename(span: Span) -> Span:
            own, parent = ids.get(span.span, ["", span.span])[1], ids.get(span.parent, ["", span.parent])[1]
            return replace(span, trace=traces.get(span.trace, span.trace), span=own, parent=parent)

        return self.changed(rename)


def _exception(time_ns: int, kind: str, message: str, stack: str = "") -> Event:
    attributes: dict[str, Value] = {"exception.type": kind, "exception.message": message}
    return Event("exception", time_ns, attributes | ({"exception.stacktrace": stack} if stack else {}))


def _trace(n: int) -> list[Span]:
    trace = f"{0xA0_0000_0000_0000_0000_0000_0000_0000 + n * 0x1_0000_0001:032x}"
    begin = _BASE_NS + n * _STEP_NS
    name = "POST /order" if n % 2 == 0 else "GET /cart/{id}"

    def span(place: int, service: str, name: str, kind: str) -> Span:
        parent = f"{0xB000 + 16 * n + place - 1:016x}" if place else ""
        start, end = begin + place * _MS + 17, begin + (20 * (n % 5 + 1) - place) * _MS + 123_456
        return Span(service, name, kind, trace, f"{0xB000 + 16 * n + place:016x}", parent, start, end)

    address: dict[str, Value] = {"server.address": "payment.internal", "server.port": 8443}
    peer: dict[str, Value] = {"peer.service": "payment"} if n % 3 else {}
    topic: dict[str, Value] = {"messaging.destination.name": "paid", "messaging.system": "kafka"}
    return [
        span(0, "shop", name, "SERVER"),
        span(1, "shop", "check stock", "INTERNAL"),
        replace(span(2, "shop", "charge", "CLIENT"), attributes=address | peer),
        span(3, "payment", "POST /charge", "SERVER"),
        replace(span(4, "payment", "paid publish", "PRODUCER"), attributes=topic),
        replace(span(5, "shop", "paid process", "CONSUMER"), attributes=topic),
    ]


def _with_faults(n: int, spans: list[Span]) -> list[Span]:
    """Let spans of a trace fail, each by another way of saying so."""
    shop, stock, charge, payment, publish, process = spans
    at = shop.start_ns + 5 * _MS
    if n % 6 == 0:
        timeout = _exception(at, "TimeoutError", f"no answer within {n} ms", "at charge\n at pay")
        charge = replace(charge, status="ERROR", message="timed out", events=(timeout,))
    if n % 8 == 0:
        failed: dict[str, Value] = {"http.response.status_code": 503, "error.type": "503"}
        payment = replace(payment, status="ERROR", message="unavailable", attributes=failed)
    if n % 12 == 4:  # a server that answered 5xx has failed, whatever its status
        shop = replace(shop, attributes={"http.status_code": 500}, events=(_exception(at, "ValueError", "no such order"),))
    if n % 5 == 1:  # handled
        publish = replace(publish, events=(_exception(at, "KeyError", "a"), Event("sent", at), _exception(at, "KeyError", "b")))
    if n == 7:  # the last exception is the one that left the span
        both = (_exception(at, "KeyError", "stock"), _exception(at + _MS, "IndexError", "list is empty"))
        stock = replace(stock, status="ERROR", events=both)
    if n == 9:
        process = replace(process, status="ERROR", message="rejected: 票价 ✗", name="processus payé ✓")
    if n == 11:
        various: dict[str, Value] = {"http.route": "/cart/{id}", "cart.items": 3, "cart.weight": 2.25}
        shop = replace(shop, status="ERROR", attributes=various | {"cart.gift": True, "cart.tags": ["a", "b"]})
    if n == 13:
        stock = replace(stock, status="ERROR", events=(Event("exception", at, raised="raised in earnest"),))
    if n == 14:  # a client's fault is no failure of the server
        shop = replace(shop, attributes={"http.response.status_code": 404})
    if n == 15:
        shop = replace(shop, status="OK")
    if n in {16, 17}:  # one of four is kept, as consistent probability sampling says it
        state = "vendor=x,ot=th:c;rv:f0000000000000" if n == 16 else "ot=th:c"
        payment, publish = replace(payment, trace_state=state), replace(publish, trace_state=state)
    return [shop, stock, charge, payment, publish, process]


def _logs() -> list[Log]:
    found: list[Log] = []
    words = (("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17), ("FATAL", 21), ("error", 0))
    for n in range(36):
        text, severity = words[n % 6]
        attributes: dict[str, Value] = {"thread.name": f"worker-{n % 4}"}
        if n % 4 < 2:
            attributes |= {"exception.type": "OSError", "exception.message": f"disk {n}", "exception.stacktrace": "at write"}
        body: str | dict[str, str] = {"message": f"structured {n}", "code": "x"} if n % 9 == 3 else f"{text} numéro {n} ✓"
        ids = (f"{0xC0000 + n:032x}", f"{0xC0000 + n:016x}") if n % 2 else ("", "")
        time_ns = _BASE_NS + n * 5 * 10**9 + 1_000_001
        found.append(Log(("shop", "payment")[n % 3 == 0], time_ns, severity, text, body, attributes, *ids))
    return found


def _points() -> list[Point]:
    return [
        Point("shop", "orders", "sum", 5, {"kind": "a"}),
        Point("shop", "orders", "sum", 7, {"kind": "b"}),
        Point("shop", "orders", "sum", 4, {"kind": "a"}),
        Point("shop", "queue.length", "gauge", 42.5),
        Point("shop", "latency", "histogram", 0.3),
        Point("shop", "latency", "histogram", 4.5),
        Point("payment", "queue.length", "gauge", 17.25),
        Point("payment", "paid", "sum", 3),
    ]


def _spans() -> list[Span]:
    cron = Span("payment", "nightly", "INTERNAL", f"{0xD:032x}", f"{0xD:016x}", "", _BASE_NS + 17, _BASE_NS + 9 * 10**9)
    return [span for n in range(_TRACES) for span in _with_faults(n, _trace(n))] + [cron]


TRUTH = Truth(tuple(_spans()), tuple(_logs()), tuple(_points()))
