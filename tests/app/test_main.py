"""The whole line over real sockets: what exporters send is counted, forecast and answered, whatever else arrives."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace as otel
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from app.main import Node
from app.replay import append_markers
from app.store.sqlite import SqliteStore
from features.errors import DataInUse, InvalidSetting, PartStopped, StoreFailed
from tests.app.ingest.requests import a_span, as_json, as_protobuf, span_id, traces
from tests.families import FAMILIES
from tests.nodes import DEADLINE_S, RunningNode, counted, history_rows, run_node, settings_in, until

ROOT = Path(__file__).parents[2]
JSON = {"content-type": "application/json"}
HORIZONS = ("5min", "15min", "60min")


class Senders:
    """Providers of one service of the SDK, and what they were told to send."""

    def __init__(self, running: RunningNode, service: str, protocol: str) -> None:
        resource = Resource({"service.name": service, "service.version": "3", "service.instance.id": f"{service}-1"})
        http = running.served.otlp_http
        grpc: dict[str, Any] = {"endpoint": running.served.otlp_grpc, "insecure": True}
        self.tracers, self.loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
        spans = HttpSpans(f"{http}/v1/traces") if protocol == "http" else GrpcSpans(**grpc)
        records = HttpLogs(f"{http}/v1/logs") if protocol == "http" else GrpcLogs(**grpc)
        self.tracers.add_span_processor(BatchSpanProcessor(spans))
        self.loggers.add_log_record_processor(BatchLogRecordProcessor(records))
        self.tracer, self.logger = self.tracers.get_tracer("test"), self.loggers.get_logger("test")
        self.n_spans = self.n_failed = self.n_logs = 0

    def minute(self, begin_ns: int, failed: int) -> None:
        """Send a minute of requests, some of which fail and log."""
        for n in range(10):
            start_ns = begin_ns + n * 10**9
            span = self.tracer.start_span("POST /order", kind=SpanKind.SERVER, start_time=start_ns)
            if n < failed:
                error = TimeoutError(f"bank {n} did not answer")
                span.record_exception(error, timestamp=start_ns)
                span.set_status(Status(StatusCode.ERROR, str(error)))
                self.logger.emit(
                    timestamp=start_ns,
                    severity_number=SeverityNumber.ERROR,
                    body="order failed",
                    attributes={"exception.type": "TimeoutError"},
                    context=otel.set_span_in_context(span),
                )
            span.end(start_ns + 25 * 10**6)
        self.n_spans, self.n_failed, self.n_logs = self.n_spans + 10, self.n_failed + failed, self.n_logs + failed
        assert self.tracers.force_flush()
        assert self.loggers.force_flush()

    def close(self) -> None:
        self.tracers.shutdown()
        self.loggers.shutdown()


@pytest.fixture(scope="module", params=FAMILIES)
def told(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[RunningNode, dict[str, Senders]]]:
    """Half an hour of two services, of which one fails for some minutes near the end."""
    with run_node(tmp_path_factory.mktemp("node"), ingest__span_end_sample=1, **request.param()) as running:
        senders = {"shop": Senders(running, "shop", "http"), "bank": Senders(running, "bank", "grpc")}
        for minute in range(30):
            senders["shop"].minute(running.now_ns, 0)
            senders["bank"].minute(running.now_ns, 8 if 20 <= minute < 24 else 0)
            if minute == 29:
                _send_metrics(running)
            running.tick()
        yield running, senders
        for sender in senders.values():
            sender.close()


def _send_metrics(running: RunningNode) -> None:
    reader = PeriodicExportingMetricReader(
        HttpMetrics(f"{running.served.otlp_http}/v1/metrics"), export_interval_millis=3_600_000
    )
    provider = MeterProvider([reader], resource=Resource({"service.name": "shop"}))
    provider.get_meter("test").create_gauge("queue.length").set(42.5)
    provider.shutdown()


def test_what_exporters_sent_is_what_is_counted(told: tuple[RunningNode, dict[str, Senders]]) -> None:
    running, senders = told
    for service, sender in senders.items():
        assert counted(running.node, "total", service) == sender.n_spans
        assert counted(running.node, "total", service, "POST /order") == sender.n_spans
        assert counted(running.node, "failed", service) == sender.n_failed
        assert counted(running.node, "logs", service) == sender.n_logs
        assert counted(running.node, "errors", service) == sender.n_failed, "one failure, reported three times, is one error"
    memory = running.node.worker.flow.memory
    assert "queue.length" in memory.facts.level_names[memory.services()["default", "shop"]]
    assert running.metric("foreshock_records_total", signal="traces") == sum(s.n_spans for s in senders.values())
    assert running.metric("foreshock_records_total", signal="logs") == sum(s.n_logs for s in senders.values())
    assert running.metric("foreshock_records_total", signal="metrics") == 1
    assert running.metric("foreshock_repeated_errors_total") == senders["bank"].n_failed


def test_predictions_list_every_series_with_probabilities_reasons_and_ages(
    told: tuple[RunningNode, dict[str, Senders]],
) -> None:
    running, _ = told
    items = running.get("/api/v1/predictions")["items"]
    assert {(item["service"], item["operation"]) for item in items} == {
        (service, operation) for service in ("shop", "bank") for operation in ("*", "POST /order")
    }
    for item in items:
        chances = [item["horizons"][name] for name in HORIZONS]
        probabilities = [chance["probability"] for chance in chances]
        assert probabilities == sorted(probabilities)
        assert all(0 < chance["lower"] <= chance["probability"] <= chance["upper"] < 1 for chance in chances)
        assert 0 <= item["age_s"] < 600
        assert item["reasons"]
        assert all(reason["text"] and reason["contribution"] for reason in item["reasons"])
        assert item["status"] in {"prior", "warming_up", "in_incident", "stale"}
    whole = running.get("/api/v1/predictions/bank")
    risk = {item["service"]: item["horizons"]["60min"]["probability"] for item in items if item["operation"] == "*"}
    assert risk["bank"] > risk["shop"], "who just failed is more at risk"
    explained = running.get(f"/api/v1/predictions/{whole['id']}/explanation")
    assert explained["advice"][0]["kind"] == "timeout"
    assert explained["groups"][0]["group"] == "incident_history"
    assert explained["groups"][0]["values"]
    assert sum(explained["weights"].values()) == pytest.approx(1.0)


def test_services_errors_and_incidents_are_answered(told: tuple[RunningNode, dict[str, Senders]]) -> None:
    running, senders = told
    services = {item["service"]: item for item in running.get("/api/v1/services")["items"]}
    assert services["shop"]["requests_per_minute"] == 10.0
    assert (services["shop"]["error_ratio"], services["shop"]["versions"], services["shop"]["instances"]) == (0.0, ["3"], 1)
    groups = running.get("/api/v1/errors?service=bank")["items"]
    assert sum(group["count"] for group in groups) == senders["bank"].n_failed
    assert {(group["kind"], group["exception_type"]) for group in groups} == {("timeout", "TimeoutError")}
    incidents = [item for item in running.get("/api/v1/incidents")["items"] if item["operation"] == "*"]
    assert [(item["service"], item["end"] is not None) for item in incidents] == [("bank", True)]
    assert incidents[0]["predicted"]["5min"] <= incidents[0]["predicted"]["60min"]


def test_the_node_is_live_ready_and_counts_what_it_does(told: tuple[RunningNode, dict[str, Senders]]) -> None:
    running, _ = told
    assert running.client.get(f"{running.served.api}/livez").status_code == 200
    ready = running.client.get(f"{running.served.api}/readyz?verbose")
    assert ready.status_code == 200
    assert "worker" in ready.text
    assert running.metric("foreshock_incidents_total") == 2  # the service and its operation
    assert running.metric("foreshock_series") == 4
    assert running.metric("foreshock_as_of_seconds") == running.now_ns // 10**9
    assert running.metric("foreshock_history_rows_total", table="windows") >= 4 * 30
    assert running.metric("foreshock_faults_total", place="worker") == 0
    running.node.check_alive()


def test_hostile_input_is_answered_and_counted_and_the_service_goes_on(tmp_path: Path, family: dict[str, Any]) -> None:
    with run_node(tmp_path, ingest__max_body_bytes=8 * 2**20, **family) as running:
        now = running.now_ns
        sound: dict[str, Any] = {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**7)}
        assert running.post("traces", as_json(traces(a_span(**sound), service="shop"))).status_code == 200

        malformed = running.post("traces", b"\xff\xff\xff\xff", content_type="application/x-protobuf")
        assert (malformed.status_code, malformed.headers["content-type"]) == (400, "application/x-protobuf")
        assert running.post("traces", b'{"resourceSpans": [').status_code == 400
        assert running.post("traces", b"<xml/>", content_type="text/xml").status_code == 415
        bomb = gzip.compress(bytes(200 * 2**20))
        assert running.post("logs", bomb, content_encoding="gzip").status_code == 413

        huge = a_span(**sound, status={"code": 2}, attributes={"exception.message": "x" * 2 * 2**20, "exception.type": "Huge"})
        assert running.post("traces", as_json(traces(huge, service="shop"))).status_code == 200
        year = 365 * 86_400 * 10**9
        ahead: dict[str, Any] = {"startTimeUnixNano": str(now + year), "endTimeUnixNano": str(now + year + 10**7)}
        behind: dict[str, Any] = {"startTimeUnixNano": str(now - year), "endTimeUnixNano": str(now - year + 10**7)}
        off = traces(a_span(**ahead), a_span(**behind), service="shop")
        assert running.post("traces", as_protobuf(off, "traces"), content_type="application/x-protobuf").status_code == 200
        names = traces(*(a_span(**sound, name=f"GET /item/{n}", spanId=span_id(n + 1)) for n in range(10_000)), service="shop")
        assert running.post("traces", as_json(names)).status_code == 200

        running.tick(2)
        assert counted(running.node, "total", "shop") == 10_004
        assert running.metric("foreshock_requests_total", protocol="http", signal="traces", code="400") == 2
        assert running.metric("foreshock_requests_total", protocol="http", signal="traces", code="415") == 1
        assert running.metric("foreshock_requests_total", protocol="http", signal="logs", code="413") == 1
        assert running.metric("foreshock_limited_total", reason="misdated") >= 2
        assert running.metric("foreshock_limited_total", reason="operations_folded") == 10_000 - 4096
        assert running.metric("foreshock_limited_total", reason="series_folded") == 4096 + 1 - 64
        assert running.metric("foreshock_series") <= 66  # the service, 64 operations, and _other
        group = running.get("/api/v1/errors?service=shop")["items"][0]
        assert len(group["message"]) <= 4096
        listed = running.get("/api/v1/predictions?limit=500")["items"]
        assert len(listed) == running.metric("foreshock_series")
        assert running.get("/api/v1/services")["items"][0]["operations_folded"] is True

        running.post(
            "traces",
            as_json(
                traces(a_span(startTimeUnixNano=str(running.now_ns), endTimeUnixNano=str(running.now_ns + 1)), service="shop")
            ),
        )
        before = running.get("/api/v1/predictions/shop")["as_of"]
        running.tick()
        assert running.get("/api/v1/predictions/shop")["as_of"] > before
        assert counted(running.node, "total", "shop") == 10_005
        running.node.check_alive()


def test_a_folder_that_is_held_is_refused_with_its_holder(tmp_path: Path) -> None:
    with run_node(tmp_path):
        with pytest.raises(DataInUse, match=rf"{tmp_path} is held by process {os.getpid()}"):
            Node(settings_in(tmp_path))
        command = [sys.executable, "-m", "app.cli", "replay", str(ROOT / "README.md"), "--data", str(tmp_path), "--json"]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr.strip() == f"foreshock: data folder {tmp_path} is held by process {os.getpid()}"
    Node(settings_in(tmp_path)).close()


NODE = """
import json, sys, time
from pathlib import Path
from app.main import Node
from tests.nodes import settings_in
node = Node(settings_in(Path(sys.argv[1]), features__tick_s=1, **json.loads(sys.argv[2])))
print(node.start().otlp_http, flush=True)
node.wait()
"""


@pytest.mark.slow
def test_every_request_that_a_killed_node_acknowledged_counts_once(tmp_path: Path, family: dict[str, Any]) -> None:
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    sent = 0
    for until_n in (40, 90):
        with subprocess.Popen(
            [sys.executable, "-c", NODE, str(tmp_path), json.dumps(family)], stdout=subprocess.PIPE, env=environment, text=True
        ) as node:
            assert node.stdout is not None
            address = node.stdout.readline().strip()
            with httpx.Client(base_url=address, timeout=DEADLINE_S) as client:
                while sent < until_n:
                    _post_number(client, sent)
                    sent += 1
                    time.sleep(0.02)  # spreads the requests over some ticks of a second
                os.kill(node.pid, signal.SIGKILL)
                while _was_taken(client, sent):  # until the signal arrives
                    sent += 1
    node = Node(settings_in(tmp_path, features__tick_s=1, **family))
    try:
        served = node.start()
        with httpx.Client(base_url=served.otlp_http, timeout=DEADLINE_S) as client:
            _post_number(client, sent)  # what was under way at the kill, and may have arrived
            _post_number(client, sent)
        tick = node.worker.flow.memory.tick
        until(lambda: node.worker.flow.memory.tick > tick + 2 and not node.worker.lag(), "the next ticks")
        until(lambda: len(_totals(tmp_path)) > sent, "a checkpoint")  # not at every tick where they follow each other closely
    finally:
        node.close()
    assert _totals(tmp_path) == {f"'number-{n}'": 1.0 for n in range(sent + 1)}


def _totals(folder: Path) -> dict[str, float]:
    """Return the requests of each service that history counts."""
    totals: dict[str, float] = {}
    for row in history_rows(folder):
        if row[2] == "'*'":
            totals[row[1]] = totals.get(row[1], 0.0) + float(row[5])
    return totals


def _was_taken(client: httpx.Client, number: int) -> bool:
    try:
        _post_number(client, number)
    except httpx.TransportError:
        return False
    return True


def _post_number(client: httpx.Client, number: int) -> None:
    now = time.time_ns() if number not in _TIMES else _TIMES[number]
    _TIMES[number] = now
    span = a_span(startTimeUnixNano=str(now), endTimeUnixNano=str(now + 10**6), spanId=span_id(number + 1))
    body = as_json(traces(span, service=f"number-{number}"))
    assert client.post("/v1/traces", content=body, headers={"content-type": "application/json"}).status_code == 200


_TIMES: dict[int, int] = {}


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with run_node(tmp_path / "one") as running:
        port = int(running.served.api.rpartition(":")[2])
        node = Node(settings_in(tmp_path / "two", server__api_port=port))
        try:
            with pytest.raises(InvalidSetting, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address"):
                node.start_servers()
        finally:
            node.close()


def test_a_part_that_died_is_named(tmp_path: Path) -> None:
    node = Node(settings_in(tmp_path))
    try:
        node.start_worker()
        node.check_alive()
        assert not node.is_live
        node.worker.parts.checkpoints.acquire(0, "somebody else")
        from_here = time.time_ns() // 10**9 // 60
        append_markers(node.store.log, range(from_here, from_here + 2), 60)
        with pytest.raises(PartStopped, match="worker"):
            until(lambda: node.check_alive() is not None, "the worker's end")
    finally:
        node.close()


def test_a_training_run_that_is_asked_for_over_rest_ends_in_a_clear_state(tmp_path: Path, family: dict[str, Any]) -> None:
    with run_node(tmp_path, **family) as running:
        now = running.now_ns
        running.post(
            "traces", as_json(traces(a_span(startTimeUnixNano=str(now), endTimeUnixNano=str(now + 1)), service="shop"))
        )
        running.tick(2)
        running.node.start_jobs()
        answer = running.client.post(f"{running.served.api}/api/v1/training-runs", json={"reason": "a test"})
        assert answer.status_code in {200, 201, 202}, answer.text
        run_id = answer.json()["id"]
        until(lambda: running.get(f"/api/v1/training-runs/{run_id}")["state"] == "failed", "the run's end")
        run = running.get(f"/api/v1/training-runs/{run_id}")
        assert "must hold at least 10 incidents" in run["error"]


def test_a_worker_that_is_behind_the_clock_or_fails_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: dict[str, Any]
) -> None:
    with run_node(tmp_path, **family) as running:
        ready = f"{running.served.api}/readyz?verbose"
        running.tick()
        assert running.client.get(ready).status_code == 200, "without the clock half an hour behind is no fault"
        monkeypatch.setattr(Node, "is_live", property(lambda _: True))
        late = running.client.get(ready)
        assert (late.status_code, "more than 3 ticks" in late.text) == (503, True)
        running.tick(30)
        assert running.client.get(ready).status_code == 200
        monkeypatch.setattr(running.node.worker, "failing", True)
        failed = running.client.get(ready)
        assert (failed.status_code, "the last tick failed" in failed.text) == (503, True)


def test_a_store_that_failed_for_good_is_not_ready_and_ends_the_node(tmp_path: Path) -> None:
    def end_writer(_: sqlite3.Connection) -> None:
        raise SystemExit

    with run_node(tmp_path) as running:
        running.node.check_alive()
        assert isinstance(running.node.store, SqliteStore)
        with pytest.raises(StoreFailed, match="until the service starts again"):
            running.node.store.log._writer.change(end_writer)  # pyright: ignore[reportPrivateUsage]
        ready = running.client.get(f"{running.served.api}/readyz?verbose")
        assert (ready.status_code, "until the service starts again" in ready.text) == (503, True)
        with pytest.raises(PartStopped, match="until the service starts again"):
            running.node.check_alive()


def test_no_request_is_answered_500_while_the_service_stops(tmp_path: Path, family: dict[str, Any]) -> None:
    answers: list[int] = []
    with run_node(tmp_path, **family) as running:
        now = running.now_ns
        body = as_json(traces(a_span(startTimeUnixNano=str(now), endTimeUnixNano=str(now + 1)), service="shop"))
        begun = threading.Event()

        def send() -> None:
            with (
                httpx.Client(base_url=running.served.otlp_http, timeout=30.0) as client,
                contextlib.suppress(httpx.TransportError),
            ):
                while True:
                    answers.append(client.post("/v1/traces", content=body, headers=JSON).status_code)
                    begun.set()

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        assert begun.wait(30.0)
        running.node.close()
        for sender in senders:
            sender.join(60.0)
    assert set(answers) <= {200, 503}
    assert 200 in answers


def test_partitions_that_are_let_go_of_get_markers_until_they_are_gone(tmp_path: Path) -> None:
    with contextlib.closing(Node(settings_in(tmp_path))) as node:
        node.worker.acquire()
        node.worker.want(frozenset())  # they go at the end of a tick, which is a marker
        assert set(node.ticker.partitions()) == node.worker.held == set(range(node.store.log.n_partitions))
