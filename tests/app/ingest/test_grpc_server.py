"""OTLP/gRPC on a real socket, answered as the specification says."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from time import time_ns

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.ingest.grpc_server import OtlpGrpc
from app.ingest.limits import Limits
from app.ingest.receive import Receiver
from app.telemetry import Telemetry
from features.errors import InvalidSetting
from tests.app.ingest.requests import a_log, a_span, as_protobuf, logs, traces
from tests.app.ingest.servers import Ingest, serve_grpc, stored_log
from tests.builders import ListLog

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
MIB = 2**20


@pytest.fixture
def ingest(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_grpc(log, Limits(max_body_bytes=6 * MIB, max_in_flight_bytes=6 * MIB)) as found:
        yield found


def call(ingest: Ingest, method: str, body: bytes, *, packed: bool = False, tenant: str = "") -> bytes:
    compression = grpc.Compression.Gzip if packed else grpc.Compression.NoCompression
    metadata = (("x-scope-orgid", tenant),) if tenant else ()
    with grpc.insecure_channel(ingest.address) as channel:
        return channel.unary_unary(method)(body, compression=compression, metadata=metadata, timeout=30)


def failure_of(ingest: Ingest, method: str, body: bytes, **changes: object) -> tuple[grpc.StatusCode, Status]:
    with pytest.raises(grpc.RpcError) as caught:
        call(ingest, method, body, **changes)  # type: ignore[arg-type]
    details = dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin", b"")  # type: ignore[attr-defined]
    return caught.value.code(), Status.FromString(details)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", [TRACES, LOGS, METRICS])
def test_an_empty_request_is_fine(ingest: Ingest, method: str) -> None:
    assert call(ingest, method, b"") == b""


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_answered_is_in_the_log(ingest: Ingest, packed: bool) -> None:
    body = as_protobuf(traces(*[a_span()] * 7), "traces")
    assert call(ingest, TRACES, body, packed=packed, tenant="team-a") == b""
    assert ingest.total("total") == 7
    assert {message.tenant for message in ingest.messages()} == {"team-a"}
    assert ingest.sample("foreshock_requests_total", protocol="grpc", signal="traces", code="OK") == 1


def test_a_malformed_body_is_an_invalid_argument(ingest: Ingest) -> None:
    code, status = failure_of(ingest, LOGS, b"\xff\xff")
    assert (code, status.code) == (grpc.StatusCode.INVALID_ARGUMENT, 3)
    assert "no OTLP logs request" in status.message
    assert ingest.sample("foreshock_requests_total", protocol="grpc", signal="logs", code="INVALID_ARGUMENT") == 1


def test_a_wrong_tenant_is_an_invalid_argument(ingest: Ingest) -> None:
    code, status = failure_of(ingest, LOGS, b"", tenant="a b")
    assert (code, "X-Scope-OrgID" in status.message) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.mark.parametrize("packed", [False, True])
def test_a_message_beyond_the_limit_exhausts_before_and_after_decompression(ingest: Ingest, packed: bool) -> None:
    code, status = failure_of(ingest, TRACES, bytes(6 * MIB + 1), packed=packed)
    assert (code, list(status.details)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, [])
    assert call(ingest, TRACES, b"") == b""


def test_a_message_larger_than_the_default_of_grpc_is_taken(ingest: Ingest) -> None:
    body = as_protobuf(logs(a_log(body={"stringValue": "x" * 5 * MIB})), "logs")
    assert call(ingest, LOGS, body) == b""
    assert ingest.total("errors") == 1


def test_without_room_the_service_is_unavailable_and_says_when_to_come_again(ingest: Ingest) -> None:
    with ingest.receiver.room.hold() as hold:
        hold.grow_to(6 * MIB)
        code, status = failure_of(ingest, LOGS, as_protobuf(logs(a_log()), "logs"))
    detail = RetryInfo()
    assert (code, status.code) == (grpc.StatusCode.UNAVAILABLE, 14)
    assert status.details[0].Unpack(detail)
    assert detail.retry_delay.seconds == 1


def test_refused_records_are_answered_as_partial_success(tmp_path: Path) -> None:
    spans = [a_span(endTimeUnixNano=str(minute * 60 * 10**9)) for minute in range(1, 6)]
    with stored_log(tmp_path) as log, serve_grpc(log, Limits(max_rows=3)) as ingest:
        answer = ExportTraceServiceResponse.FromString(call(ingest, TRACES, as_protobuf(traces(*spans), "traces")))
    assert answer.partial_success.rejected_spans == 2


def test_another_method_is_unimplemented(ingest: Ingest) -> None:
    code, _ = failure_of(ingest, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", b"")
    assert code == grpc.StatusCode.UNIMPLEMENTED


def test_an_address_in_use_stops_the_start(ingest: Ingest) -> None:
    with pytest.raises(InvalidSetting, match=f"cannot listen on {ingest.address}"):
        OtlpGrpc(ingest.receiver, "default", ingest.address)


def test_a_log_that_fails_makes_the_service_unavailable_so_that_nothing_is_dropped(tmp_path: Path) -> None:
    with stored_log(tmp_path) as closed:
        pass
    with serve_grpc(closed, Limits()) as ingest:
        code, status = failure_of(ingest, LOGS, as_protobuf(logs(a_log()), "logs"))
    assert (code, len(status.details)) == (grpc.StatusCode.UNAVAILABLE, 1)


class HeldLog(ListLog):
    """A log whose appends wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def append_many(self, messages: Sequence[tuple[int, str, bytes]]) -> list[int]:
        self.entered.set()
        assert self.go.wait(30)
        return super().append_many(messages)


def test_calls_beyond_the_bound_are_refused_at_once() -> None:
    log, body = HeldLog(), as_protobuf(logs(a_log()), "logs")
    server = OtlpGrpc(Receiver(log, Telemetry(), Limits(), time_ns), "default", "127.0.0.1:0", workers=1, max_calls=1)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            first = channel.unary_unary(LOGS).future(body, timeout=30)
            assert log.entered.wait(30)
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(LOGS)(body, timeout=30)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
            log.go.set()
            assert first.result() == b""
    finally:
        log.go.set()
        server.close()
