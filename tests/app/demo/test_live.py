"""The shop goes on in real time through the real SDK; a fake clock makes the minute short."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.demo.live import live
from app.demo.simulate import Shop
from app.demo.topology import TOPOLOGY

START = datetime(2026, 1, 5, tzinfo=UTC)


class Clock:
    """A clock that moves when somebody waits, and stops the play at a time."""

    def __init__(self, at: datetime, until: datetime) -> None:
        self.at, self.until = at, until

    def now(self) -> datetime:
        return self.at

    def is_set(self) -> bool:
        return self.at >= self.until

    def wait(self, timeout: float | None = None) -> bool:
        self.at += timedelta(seconds=timeout or 0.0)
        return self.is_set()


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver that keeps bodies as they came."""
    bodies: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_live_plays_the_minutes_of_the_same_shop(receiver: tuple[str, list[tuple[str, bytes]]]) -> None:
    endpoint, bodies = receiver
    shop = Shop(1, 1.0, 24.0, START)
    first = 1 * 1440 + 30
    clock = Clock(shop.time(first), shop.time(first + 2) + timedelta(seconds=0.5))
    played = live(endpoint, shop, clock.now, clock)
    requests = [ExportTraceServiceRequest.FromString(body) for path, body in bodies if path == "/v1/traces"]
    spans = [s for r in requests for g in r.resource_spans for scope in g.scope_spans for s in scope.spans]
    minutes = [shop.minute(first), shop.minute(first + 1)]
    expected = [(s.start_ns + m.start_ns).tolist() for m in minutes for s in (m.spans,)]
    assert len(spans) == played >= sum(len(m.spans) for m in minutes)
    assert {t for ts in expected for t in ts} <= {span.start_time_unix_nano for span in spans}
    by_id = {span.span_id: span for span in spans}
    assert sum(bool(span.parent_span_id) for span in spans) > 50
    assert all(by_id[s.parent_span_id].trace_id == s.trace_id for s in spans if s.parent_span_id)


def test_live_sends_logs_and_levels_of_every_process(receiver: tuple[str, list[tuple[str, bytes]]]) -> None:
    endpoint, bodies = receiver
    shop = Shop(1, 1.0, 24.0, START)
    clock = Clock(shop.time(100), shop.time(101) + timedelta(seconds=0.5))
    live(endpoint + "/", shop, clock.now, clock)
    minute = shop.minute(100)
    logs = [ExportLogsServiceRequest.FromString(body) for path, body in bodies if path == "/v1/logs"]
    records = [r for request in logs for g in request.resource_logs for s in g.scope_logs for r in s.log_records]
    times = {line.time_ns + minute.start_ns for line in minute.logs}
    assert times <= {record.time_unix_nano for record in records}
    metrics = [ExportMetricsServiceRequest.FromString(body) for path, body in bodies if path == "/v1/metrics"]
    names = {a.value.string_value for m in metrics for g in m.resource_metrics for a in g.resource.attributes}
    assert set(TOPOLOGY.services) | {identity.instance_id for identity in minute.identities} <= names


def test_live_begins_in_the_middle_of_a_minute_and_stops_at_once(receiver: tuple[str, list[tuple[str, bytes]]]) -> None:
    endpoint, bodies = receiver
    shop = Shop(1, 1.0, 24.0, START)
    middle = shop.time(50) + timedelta(seconds=30)
    clock = Clock(middle, middle + timedelta(seconds=10))
    played = live(endpoint, shop, clock.now, clock)
    assert 0 < played < len(shop.minute(50).spans)
    assert {path for path, _ in bodies} <= {"/v1/traces", "/v1/logs"}
