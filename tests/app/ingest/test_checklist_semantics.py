"""The checklist of OTLP 1.11, semantics: items 9 to 14 and 25 of docs/otlp.md, against real servers on real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.ingest.grpc_server import GrpcPlan, OtlpGrpc
from app.ingest.limits import Limits
from app.ingest.receive import Receiver
from app.ingest.signals import SIGNALS, Signal
from app.settings import IngestSettings
from app.telemetry import Telemetry
from tests.app.ingest.requests import SECOND, a_log, a_point, a_span, as_json, as_protobuf, logs, metrics, traces, written
from tests.app.ingest.servers import serve_http, stored_log
from tests.app.ingest.wire import HEADERS, JSON, METHODS, PROTOBUF, WAYS, Wire, open_wire, post, status_of
from tests.builders import ListLog
from tests.lines import open_line
from tests.nodes import until

MIB = 2**20
RESPONSES = {"traces": ExportTraceServiceResponse, "logs": ExportLogsServiceResponse, "metrics": ExportMetricsServiceResponse}
EMPTY_ENVELOPES: dict[Signal, dict[str, Any]] = {
    "traces": {"resourceSpans": [{}, {"scopeSpans": [{}]}]},
    "logs": {"resourceLogs": [{}, {"scopeLogs": [{}]}]},
    "metrics": {"resourceMetrics": [{}, {"scopeMetrics": [{}, {"metrics": [{}]}]}]},
}


def minutes(signal: Signal, n: int) -> dict[str, Any]:
    """Return a request of one record a minute, each of which takes a row."""
    times = [str(minute * 60 * SECOND) for minute in range(1, n + 1)]
    if signal == "traces":
        return traces(*[a_span(endTimeUnixNano=time) for time in times])
    if signal == "logs":
        return logs(*[a_log(timeUnixNano=time) for time in times])
    return metrics({"name": "m", "gauge": {"dataPoints": [a_point(timeUnixNano=time) for time in times]}})


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("way", WAYS)
def test_item_09_empty_requests_and_envelopes_are_taken(tmp_path: Path, way: str, signal: Signal) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        empty = b"{}" if way == "http-json" else b""
        assert [wire.send(signal, request) for request in ({}, EMPTY_ENVELOPES[signal])] == [empty, empty]
        assert wire.send_bytes(signal, empty) == empty


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("way", WAYS)
def test_item_10_what_was_refused_is_told_as_partial_success(tmp_path: Path, way: str, signal: Signal) -> None:
    names = {"traces": "rejected_spans", "logs": "rejected_log_records", "metrics": "rejected_data_points"}
    with stored_log(tmp_path) as log, open_wire(log, way, Limits(max_rows=3)) as wire:
        answer = wire.send(signal, minutes(signal, 5))
        taken = wire.ingest.sample("foreshock_records_total", signal=signal)
        counted = wire.ingest.sample("foreshock_rejected_records_total", reason="rows")
    assert (taken, counted) == (3, 2)
    if way == "http-json":
        partial = json.loads(answer)["partialSuccess"]
        camel = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}[signal]
        assert (partial[camel], "3 rows" in partial["errorMessage"]) == ("2", True)
    else:
        partial = RESPONSES[signal].FromString(answer).partial_success
        assert (getattr(partial, names[signal]), "3 rows" in partial.error_message) == (2, True)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("way", WAYS)
def test_item_10_success_in_full_leaves_partial_success_unset(tmp_path: Path, way: str, signal: Signal) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        assert wire.send(signal, minutes(signal, 5)) == (b"{}" if way == "http-json" else b"")


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("way", WAYS)
def test_item_11_what_cannot_be_decoded_is_a_bad_request(tmp_path: Path, way: str, signal: Signal) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        code, status = wire.refusal(signal, b"\xff\xff")
        assert wire.ingest.messages() == []
    assert (code, status.code) == ("INVALID_ARGUMENT" if way == "grpc" else "400", 3)
    assert f"no OTLP {signal} request in {wire.encoding}" in status.message
    if way != "http-json":
        detail = BadRequest()
        assert status.details[0].Unpack(detail)
        assert detail.field_violations[0].field == "body"


def test_item_11_the_detail_of_a_bad_request_is_in_json_too(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log, serve_http(log, Limits()) as ingest:
        detail = post(ingest, "/v1/logs", b"[", JSON).json()["details"][0]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"][0]["field"] == "body"


def told_to_come_again(wire: Wire, limit: str, tenant: str = "", code: str = "503") -> None:
    """Send a request and look that it is refused as one to be sent again, and why."""
    found, status = wire.refusal("logs", written(logs(a_log()), "logs", wire.encoding), tenant)
    assert (found, status.code) == ("UNAVAILABLE" if wire.way == "grpc" else code, 14)
    assert wire.ingest.sample("foreshock_limited_total", reason=limit) == 1
    if wire.way == "grpc":
        detail = RetryInfo()
        assert status.details[0].Unpack(detail)
        assert detail.retry_delay.seconds == 1


@pytest.mark.parametrize("way", WAYS)
def test_item_12_without_room_the_answer_says_when_to_come_again(tmp_path: Path, way: str) -> None:
    limits = Limits(max_body_bytes=4 * MIB, max_in_flight_bytes=16 * MIB)
    with stored_log(tmp_path) as log, open_wire(log, way, limits) as wire:
        with wire.ingest.receiver.room.hold("other") as everything:
            everything.grow_to(16 * MIB)
            told_to_come_again(wire, "in_flight_bytes")
        wire.send("logs", logs(a_log()))


@pytest.mark.parametrize("way", WAYS)
def test_item_12_a_tenant_beyond_its_share_is_answered_429_and_others_are_taken(tmp_path: Path, way: str) -> None:
    limits = Limits(max_body_bytes=4 * MIB, max_in_flight_bytes=16 * MIB, max_tenant_in_flight_bytes=8 * MIB)
    with stored_log(tmp_path) as log, open_wire(log, way, limits) as wire, wire.ingest.receiver.room.hold("greedy") as share:
        share.grow_to(8 * MIB)
        told_to_come_again(wire, "tenant_in_flight_bytes", "greedy", "429")
        wire.send("logs", logs(a_log()))


@pytest.mark.parametrize("way", WAYS)
def test_item_12_a_node_that_fell_behind_takes_nothing_until_it_caught_up(tmp_path: Path, way: str) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way, Limits(max_lag=1000)) as wire:
        wire.ingest.receiver.lag = lambda: 1001
        told_to_come_again(wire, "lag")
        assert wire.ingest.messages() == []
        wire.ingest.receiver.lag = lambda: 1000
        wire.send("logs", logs(a_log()))


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_item_12_http_says_retry_after(tmp_path: Path, encoding: Any) -> None:
    with stored_log(tmp_path) as log, serve_http(log, Limits(max_lag=1)) as ingest:
        ingest.receiver.lag = lambda: 2
        response = post(ingest, "/v1/logs", b"", HEADERS[encoding])
    assert (response.status_code, response.headers["retry-after"], status_of(response).code) == (503, "1", 14)


@pytest.mark.parametrize("way", WAYS)
def test_item_12_a_log_that_fails_is_no_reason_to_drop(tmp_path: Path, way: str) -> None:
    with stored_log(tmp_path) as closed:
        pass
    with open_wire(closed, way) as wire:
        code, status = wire.refusal("logs", written(logs(a_log()), "logs", wire.encoding))
        assert wire.ingest.sample("foreshock_records_total", signal="logs") is None
    assert (code, status.code) == ("UNAVAILABLE" if way == "grpc" else "503", 14)


@pytest.mark.parametrize("way", WAYS)
def test_item_12_too_many_records_are_refused_for_good(tmp_path: Path, way: str) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way, Limits(max_records=3)) as wire:
        wire.send("logs", logs(*[a_log()] * 3))
        code, status = wire.refusal("logs", written(logs(*[a_log()] * 4), "logs", wire.encoding))
        assert wire.ingest.total("errors") == 3
        assert wire.ingest.sample("foreshock_limited_total", reason="records") == 1
    assert (code, status.code) == ("RESOURCE_EXHAUSTED" if way == "grpc" else "413", 8)
    assert "records in one request must be <= 3, got 4" in status.message
    assert not any(detail.type_url.endswith("RetryInfo") for detail in status.details)


class HeldLog(ListLog):
    """A log whose appends are durable when they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def append_later(self, messages: Sequence[tuple[int, str, bytes]]) -> Future[list[int]]:
        self.entered.set()
        assert self.go.wait(30)
        return super().append_later(messages)


def test_item_12_calls_beyond_the_bound_are_told_at_once_to_come_again() -> None:
    log, telemetry = HeldLog(), Telemetry()
    server = OtlpGrpc(Receiver(log, telemetry, Limits(), time_ns), "default", "127.0.0.1:0", GrpcPlan(workers=1, max_calls=1))
    body = as_protobuf(logs(a_log()), "logs")
    try:
        # A connection of its own each: of one connection the server takes only so many at a time, and the rest wait.
        own = [("grpc.use_local_subchannel_pool", 1)]
        address = f"127.0.0.1:{server.port}"
        with grpc.insecure_channel(address, own) as one, grpc.insecure_channel(address, own) as other:
            export = other.unary_unary(METHODS["logs"])
            first = one.unary_unary(METHODS["logs"]).future(body, timeout=30)
            assert log.entered.wait(30)
            with pytest.raises(grpc.RpcError) as caught:
                export(body, timeout=30)
            details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]  # type: ignore[attr-defined]
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
            assert Status.FromString(details).details[0].type_url.endswith("RetryInfo")
            log.go.set()
            assert first.result() == b""

            def taken() -> bool:
                try:
                    return export(body, timeout=30) == b""
                except grpc.RpcError:
                    return False

            until(taken, "a next call")  # a call is counted out a moment after its sender has the answer
    finally:
        log.go.set()
        server.close()
    assert telemetry.value("limited", reason="calls") >= 1


def test_item_12_requests_beyond_the_bound_are_told_at_once_to_come_again(tmp_path: Path) -> None:
    body, settings = as_protobuf(logs(a_log()), "logs"), IngestSettings(max_calls=1)
    with stored_log(tmp_path) as log, serve_http(log, Limits(), settings=settings) as ingest, ThreadPoolExecutor(1) as threads:
        append_later, held = log.append_later, Future[list[int]]()
        log.append_later = lambda messages: held  # type: ignore[method-assign]
        send = partial(httpx.post, f"http://{ingest.address}/v1/logs", content=body, headers=PROTOBUF)
        waiting = threads.submit(send)
        until(lambda: ingest.telemetry.value("request_bytes_held") == len(body), "a request that waits for the log")
        refused = send()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert Status.FromString(refused.content).details[0].type_url.endswith("RetryInfo")
        log.append_later = append_later  # type: ignore[method-assign]
        held.set_result([1])
        assert waiting.result().status_code == 200
        assert send().status_code == 200
        assert ingest.telemetry.value("limited", reason="calls") == 1


@pytest.mark.parametrize("way", WAYS)
def test_item_13_a_request_that_comes_again_counts_once(tmp_path: Path, way: str) -> None:
    request = traces(*[a_span(status={"code": 2}, spanId=f"{n:016x}") for n in range(1, 6)])
    with open_line(tmp_path) as line, open_wire(line.store.log, way) as wire:
        for _ in range(3):
            wire.send("traces", request)
        line.end_tick()
        line.end_tick()
        assert sum(line.telemetry.values("errors").values()) == 5
        assert line.telemetry.value("repeated_batches") == 2


@pytest.mark.parametrize("way", ["http-protobuf", "grpc"])
def test_item_14_unknown_protobuf_fields_are_ignored(tmp_path: Path, way: str) -> None:
    body = as_protobuf(traces(a_span()), "traces")
    unknown = b"\xf8\x07\x01" + b"\xfa\x07\x03abc" + b"\xfd\x07abcd" + b"\xf9\x07abcdefgh"  # field 127 in every wire type
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        assert wire.send_bytes("traces", unknown + body + unknown) == b""
        assert wire.ingest.total("total") == 1


@pytest.mark.parametrize("signal", SIGNALS)
def test_item_25_collector_json_and_proto_http(tmp_path: Path, signal: Signal) -> None:
    """Its TestJSONHTTP and TestProtoHTTP: what was sent is what was received, in either encoding."""
    with stored_log(tmp_path) as log, serve_http(log, Limits()) as ingest:
        for headers in (JSON, {"content-type": "application/json; charset=utf-8"}, {"content-type": "APPLICATION/JSON"}):
            assert post(ingest, f"/v1/{signal}", as_json(minutes(signal, 5)), headers).status_code == 200
        assert post(ingest, f"/v1/{signal}", as_protobuf(minutes(signal, 5), signal), PROTOBUF).status_code == 200
        assert ingest.sample("foreshock_records_total", signal=signal) == 20


@pytest.mark.parametrize("signal", SIGNALS)
def test_item_25_collector_handle_invalid_requests(tmp_path: Path, signal: Signal) -> None:
    """Its TestHandleInvalidRequests and TestOTLPReceiverNoContentType, with a Status where it answers plain text."""
    with stored_log(tmp_path) as log, serve_http(log, Limits()) as ingest:
        url = f"http://{ingest.address}/v1/{signal}"
        answers = [
            httpx.post(url, content=b"1234"),
            httpx.post(url, content=b"1234", headers={"content-type": "invalid"}),
            *(httpx.request(method, url, headers=PROTOBUF) for method in ("GET", "PATCH", "DELETE", "PUT")),
        ]
    assert [answer.status_code for answer in answers] == [415, 415, 405, 405, 405, 405]
    assert all(status_of(answer).code for answer in answers)


def closing_while(send: Callable[[], bool], close: Callable[[], object], after: int) -> int:
    """Send from four threads, close after some requests, and return how many were acknowledged."""
    acknowledged, some = [0], threading.Event()

    def keep_sending() -> int:
        n = 0
        while send():
            n += 1
            acknowledged[0] += 1
            if acknowledged[0] >= after:
                some.set()
        return n

    with ThreadPoolExecutor(4) as threads:
        counts = [threads.submit(keep_sending) for _ in range(4)]
        assert some.wait(60)
        close()
        return sum(count.result() for count in counts)


def in_log(log: Any) -> int:
    """Return how many messages a log holds."""
    return sum(len(log.read(part, 0, 10**6)) for part in range(log.n_partitions))


def test_item_25_collector_shutdown_over_http_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Its TestShutdown: what was answered 200 is there, though the server stops under load."""
    with stored_log(tmp_path) as log:
        context = serve_http(log, Limits())
        ingest = context.__enter__()
        names = numbers()

        def send() -> bool:
            body = as_json(logs(a_log(body={"stringValue": next(names)})))
            try:
                return post(ingest, "/v1/logs", body, JSON).status_code == 200
            except httpx.TransportError:
                return False

        acknowledged = closing_while(send, lambda: context.__exit__(None, None, None), 50)
        assert 50 <= acknowledged <= in_log(log) <= acknowledged + 4


def test_item_25_collector_shutdown_over_grpc_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Its TestShutdown over gRPC."""
    with stored_log(tmp_path) as log:
        server = OtlpGrpc(Receiver(log, Telemetry(), Limits(), time_ns), "default", "127.0.0.1:0")
        names = numbers()
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            export = channel.unary_unary(METHODS["logs"])

            def send() -> bool:
                try:
                    export(as_protobuf(logs(a_log(body={"stringValue": next(names)})), "logs"), timeout=30)
                except grpc.RpcError:
                    return False
                return True

            acknowledged = closing_while(send, server.close, 50)
        assert 50 <= acknowledged <= in_log(log) <= acknowledged + 4


def numbers() -> Iterator[str]:
    """Return texts that differ; taken by several threads."""
    return map(str, iter(range(10**9)))
