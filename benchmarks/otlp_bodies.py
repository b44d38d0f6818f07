"""Bodies of the ingest benchmark: realistic OTLP requests, each with ids, times and message numbers of its own.

A template is serialised once with recognisable ids; `Template.fill` overwrites its fixed-width fields, so a body costs
no protobuf encoding. What a request of traces holds, after the semantic conventions of 2026:

- 4 services of 8 endpoints each, resource attributes as the Kubernetes detectors give them;
- traces of 8 spans over two services: an HTTP server span (11 attributes), a function (3), a database call (7), an HTTP
  client span (8), the server span that it calls, and a function and two database calls behind that;
- of the spans a given share failed: status ERROR, 5xx where HTTP, one exception event with a stack trace of 15 frames;
  every other message carries an id.

A request of logs: the same services, 5 attributes a record, trace ids, the same share of severity ERROR with an exception.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["GZIP_LEVEL", "Body", "Template", "bodies", "templates"]

GZIP_LEVEL = 6
"""What the Collector's and the SDKs' exporters use."""

SERVICES = ("checkout", "payment", "inventory", "catalogue")
RESOURCES = ("orders", "carts", "payments", "refunds", "items", "prices", "stocks", "users")
TABLES = ("orders", "carts", "payments", "refunds", "items", "prices", "stocks", "users")
MESSAGES = (
    ("java.net.SocketTimeoutException", "Read timed out after 3000 ms"),
    ("java.sql.SQLTransientConnectionException", "HikariPool-1 - Connection is not available, request ######## timed out"),
    ("java.lang.NullPointerException", 'Cannot invoke "Order.total()" because "order" is null'),
    ("org.springframework.dao.DuplicateKeyException", "duplicate key value violates unique constraint: Key (id)=(########)"),
    ("io.grpc.StatusRuntimeException", "UNAVAILABLE: io exception"),
    ("com.acme.shop.PaymentDeclined", "payment ######## was declined by the issuer"),
)
_TRACE, _SPAN = b"\xa7TRACE", b"\xa7SP"  # begin every id of a template; a number follows
_SPANS_A_TRACE = 8
_BASE_NS = 0x1A2B_3C4D_0000_0000  # where a template's times begin, for 4 s; the high half is found again by its bytes


@dataclass(frozen=True, slots=True)
class Body:
    """One request as it goes over the wire.

    Parameters
    ----------
    data : bytes
        Compressed by gzip.
    n_records, n_bytes : int
        Spans or log records in it; its size before compression.
    """

    data: bytes
    n_records: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Template:
    """A serialised request and where its fixed-width fields are.

    Parameters
    ----------
    data : bytes
        The request.
    n_records : int
        Spans or log records.
    traces, spans, digits : array of int, shape (n, 2)
        Position and number of each trace id, of each span id or parent's, and of each 8-digit number in text.
    times : array of int
        Positions of 8-byte times.
    """

    data: bytes
    n_records: int
    traces: Any
    spans: Any
    times: Any
    digits: Any

    def fill(self, rng: np.random.Generator, now_ns: int) -> bytes:
        """Return the request with new ids and numbers, and times that end now."""
        data = np.frombuffer(self.data, np.uint8).copy()
        for fields, width in ((self.traces, 16), (self.spans, 8)):
            ids = rng.integers(1, 256, (int(fields[:, 1].max()) + 1, width), np.uint8)
            data[fields[:, 0, None] + np.arange(width)] = ids[fields[:, 1]]
        times = self.times[:, None] + np.arange(8)
        moved = data[times].view("<u8") - np.uint64(_BASE_NS) + np.uint64(now_ns - 2**31)
        data[times] = moved.view(np.uint8).reshape(-1, 8)
        if len(self.digits):
            digits = rng.integers(48, 58, (int(self.digits[:, 1].max()) + 1, 8), np.uint8)
            data[self.digits[:, 0, None] + np.arange(8)] = digits[self.digits[:, 1]]
        return data.tobytes()


def templates(
    signal: str, n_records: int, errors: float, rng: random.Random, services: Sequence[str] = SERVICES
) -> list[Template]:
    """Make templates of `traces` or `logs` of four services that together hold the given share of errors."""
    n = max(8, round(100 / n_records))
    edges = [round(k * n_records * errors, 6) // 1 for k in range(n + 1)]
    return [_template(signal, n_records, int(edges[k + 1] - edges[k]), rng, services) for k in range(n)]


def _template(signal: str, n_records: int, n_failed: int, rng: random.Random, services: Sequence[str]) -> Template:
    failed = set(rng.sample(range(n_records), n_failed))
    message = (_traces if signal == "traces" else _logs)(n_records, failed, rng, services)
    data = message.SerializeToString()
    return Template(data, n_records, _ids(data, _TRACE, 16), _ids(data, _SPAN, 8), _times(data), _digits(data))


def bodies(forms: list[Template], n: int, rng: np.random.Generator, now_ns: int) -> list[Body]:
    """Return `n` bodies, the templates `forms` in turn, all different."""

    def made(k: int) -> Body:
        filled = forms[k % len(forms)]
        data = filled.fill(generators[k], now_ns)
        packed = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        return Body(packed.compress(data) + packed.flush(), filled.n_records, len(data))

    generators = rng.spawn(n)
    with ThreadPoolExecutor(2) as pool:  # zlib lets other threads run meanwhile
        return list(pool.map(made, range(n)))


def _places(data: bytes, mark: bytes) -> Any:
    return np.array([found.start() for found in re.finditer(re.escape(mark), data)], np.int64)


def _ids(data: bytes, mark: bytes, width: int) -> Any:
    places = _places(data, mark)
    numbers = [int.from_bytes(data[p + len(mark) : p + width], "big") for p in places.tolist()]
    return np.stack([places, np.array(numbers, np.int64)], axis=1) if len(places) else np.array([[0, 0]])[:0]


def _times(data: bytes) -> Any:
    return _places(data, (_BASE_NS >> 32).to_bytes(4, "little")) - 4


def _digits(data: bytes) -> Any:
    """Return places and numbers of digits: each `########` is another, equal ones like `#1234567` are the same."""
    numbers: dict[bytes, int] = {}
    found = [(m.start(), m[0] if m[0] != b"########" else b"%d" % m.start()) for m in re.finditer(rb"#{8}|#\d{7}", data)]
    return np.array([(place, numbers.setdefault(name, len(numbers))) for place, name in found], np.int64).reshape(-1, 2)


def _trace_id(number: int) -> bytes:
    return _TRACE + number.to_bytes(16 - len(_TRACE), "big")


def _span_id(number: int) -> bytes:
    return _SPAN + number.to_bytes(8 - len(_SPAN), "big")


def _set(attributes: Any, values: dict[str, str | int]) -> None:
    for key, value in values.items():
        entry = attributes.add()
        entry.key = key
        if isinstance(value, int):
            entry.value.int_value = value
        else:
            entry.value.string_value = value


def _resource(resource: Any, service: str) -> None:
    _set(
        resource.attributes,
        {
            "service.name": service,
            "service.version": "2.14.0",
            "service.instance.id": f"{service}-6d5f7c9b4-x2x{len(service)}k",
            "service.namespace": "shop",
            "deployment.environment.name": "production",
            "k8s.namespace.name": "shop",
            "k8s.pod.name": f"{service}-6d5f7c9b4-x2x{len(service)}k",
            "host.name": "ip-10-0-3-17.internal",
            "telemetry.sdk.language": "java",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.52.0",
        },
    )


def _stack(kind: str, text: str) -> str:
    frames = "".join(
        f"\tat com.acme.shop.{name}.{name.capitalize()}Controller.call{line}({name.capitalize()}.java:{40 + line})\n"
        for line, name in enumerate(("orders", "carts", "payments", "stocks", "users") * 3)
    )
    return f"{kind}: {text}\n{frames}"


def _exception(rng: random.Random) -> dict[str, str | int]:
    kind, text = rng.choice(MESSAGES)
    text = text.replace("########", f"#{rng.randrange(10**7):07}")  # the stack repeats the message
    return {"exception.type": kind, "exception.message": text, "exception.stacktrace": _stack(kind, text)}


def _server(k: int, peer: str, failed: bool) -> tuple[str, int, dict[str, str | int]]:
    name = RESOURCES[k]
    return (
        f"GET /api/v2/{name}/{{id}}",
        2,
        {
            "http.request.method": "GET",
            "http.route": f"/api/v2/{name}/{{id}}",
            "http.response.status_code": 500 if failed else 200,
            "url.path": f"/api/v2/{name}/########",
            "url.scheme": "http",
            "server.address": peer,
            "server.port": 8080,
            "client.address": "10.0.3.41",
            "network.protocol.version": "1.1",
            "user_agent.original": "okhttp/4.12.0",
            "thread.id": 41,
        },
    )


def _client(k: int, peer: str, failed: bool) -> tuple[str, int, dict[str, str | int]]:
    return (
        "GET",
        3,
        {
            "http.request.method": "GET",
            "http.response.status_code": 502 if failed else 200,
            "url.full": f"http://{peer}:8080/api/v2/{RESOURCES[k]}/########",
            "server.address": peer,
            "server.port": 8080,
            "network.protocol.version": "1.1",
            "network.peer.address": "10.0.3.77",
            "thread.id": 41,
        },
    )


def _database(k: int, _peer: str, _failed: bool) -> tuple[str, int, dict[str, str | int]]:
    return (
        f"SELECT {TABLES[k]}",
        3,
        {
            "db.system.name": "postgresql",
            "db.namespace": "shop",
            "db.collection.name": TABLES[k],
            "db.operation.name": "SELECT",
            "db.query.text": f"SELECT id, state, total, updated_at FROM {TABLES[k]} WHERE id = ? AND tenant = ? LIMIT 1",
            "server.address": "postgres.shop.svc",
            "server.port": 5432,
        },
    )


def _function(k: int, _peer: str, _failed: bool) -> tuple[str, int, dict[str, str | int]]:
    name = RESOURCES[k].capitalize()
    return f"{name}.load", 1, {"code.function.name": f"com.acme.shop.{name}.load", "thread.id": 41, "thread.name": "http-41"}


_Shape = Callable[[int, str, bool], tuple[str, int, dict[str, str | int]]]
# What a trace holds: kind of span, which of its two services, place of its parent.
_TRACE_SHAPE: tuple[tuple[_Shape, int, int], ...] = (
    (_server, 0, -1),
    (_function, 0, 0),
    (_database, 0, 1),
    (_client, 0, 1),
    (_server, 1, 3),
    (_function, 1, 4),
    (_database, 1, 5),
    (_database, 1, 5),
)


def _traces(n: int, failed: set[int], rng: random.Random, services: Sequence[str]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scopes: list[Any] = []
    for service in services[: max(min(n // _SPANS_A_TRACE, 4), 1)]:
        entry = request.resource_spans.add()
        _resource(entry.resource, service)
        scopes.append(entry.scope_spans.add())
        scopes[-1].scope.name, scopes[-1].scope.version = "io.opentelemetry.spring-webmvc-6.0", "2.18.0-alpha"
    for number in range(n):
        trace, place = divmod(number, _SPANS_A_TRACE)
        shape, which, parent = _TRACE_SHAPE[place]
        at = (trace + which) % len(scopes)
        bad = number in failed
        span = scopes[at].spans.add()
        span.trace_id, span.span_id, span.flags = _trace_id(trace), _span_id(number), 257
        if parent >= 0:
            span.parent_span_id = _span_id(number - place + parent)
        endpoint = rng.randrange(len(RESOURCES))
        span.name, span.kind, attributes = shape(endpoint, services[(at + 1) % 4], bad)
        span.start_time_unix_nano = _BASE_NS + rng.randrange(2**30)
        span.end_time_unix_nano = span.start_time_unix_nano + min(int(rng.lognormvariate(16, 1)), 2**30)
        if bad:
            _fail(span, attributes, rng)
        _set(span.attributes, attributes)
    return request


def _fail(span: Any, attributes: dict[str, str | int], rng: random.Random) -> None:
    exception = _exception(rng)
    attributes["error.type"] = exception["exception.type"]
    span.status.code = 2
    event = span.events.add()
    event.name, event.time_unix_nano = "exception", span.end_time_unix_nano
    _set(event.attributes, exception)


def _logs(n: int, failed: set[int], rng: random.Random, services: Sequence[str]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scopes: list[Any] = []
    for service in services[: min(n, 4)]:
        entry = request.resource_logs.add()
        _resource(entry.resource, service)
        scopes.append(entry.scope_logs.add())
        scopes[-1].scope.name = "com.acme.shop.OrderController"
    for number in range(n):
        record = scopes[number * len(scopes) // n].log_records.add()
        record.time_unix_nano = record.observed_time_unix_nano = _BASE_NS + rng.randrange(2**30)
        record.trace_id, record.span_id, record.flags = _trace_id(number // 2), _span_id(number), 1
        name = RESOURCES[rng.randrange(8)]
        attributes: dict[str, str | int] = {
            "thread.name": "http-nio-8080-exec-7",
            "log.logger": f"com.acme.shop.{name}.Controller",
            "code.function.name": f"com.acme.shop.{name}.load",
            "code.line.number": 112,
            "session.id": "########",
        }
        if number in failed:
            exception = _exception(rng)
            record.severity_number, record.severity_text = 17, "ERROR"
            record.body.string_value = f"request for {name} failed: {exception['exception.message']}"
            attributes |= exception
        else:
            record.severity_number, record.severity_text = 9, "INFO"
            record.body.string_value = f"loaded {name} ######## in {rng.randrange(10, 99)} ms for user ########"
        _set(record.attributes, attributes)
    return request
