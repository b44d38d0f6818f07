"""OTLP/gRPC on a real socket, answered as the specification says."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from time import time_ns

import grpc
import pytest

from app.ingest.grpc_server import OtlpGrpc
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.receive import Receiver
from app.ingest.signals import Encoding, Signal
from app.telemetry import Telemetry
from features.batch import Batch
from features.errors import InvalidSetting
from tests.app.ingest.requests import a_span, as_protobuf, traces
from tests.app.ingest.servers import Ingest, serve_grpc, stored_log
from tests.app.ingest.wire import METHODS, call, failure_of

LIMITS = Limits()
MIB = 2**20


@pytest.fixture
def ingest(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_grpc(log, Limits(max_body_bytes=6 * MIB, max_in_flight_bytes=6 * MIB)) as found:
        yield found


@pytest.mark.parametrize("method", METHODS.values())
def test_an_empty_request_is_fine(ingest: Ingest, method: str) -> None:
    assert call(ingest, method, b"") == b""


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_answered_is_in_the_log(ingest: Ingest, packed: bool) -> None:
    body = as_protobuf(traces(*[a_span()] * 7), "traces")
    assert call(ingest, METHODS["traces"], body, packed=packed, tenant="team-a") == b""
    assert ingest.total("total") == 7
    assert {message.tenant for message in ingest.messages()} == {"team-a"}
    assert ingest.sample("foreshock_requests_total", protocol="grpc", signal="traces", code="OK") == 1


def test_an_address_in_use_stops_the_start(ingest: Ingest) -> None:
    with pytest.raises(InvalidSetting, match=f"cannot listen on {ingest.address}"):
        OtlpGrpc(ingest.receiver, "default", ingest.address)


def test_a_message_that_stops_arriving_is_cancelled_and_gives_its_thread_back(tmp_path: Path) -> None:
    go = threading.Event()

    def stalled() -> Iterator[bytes]:
        go.wait(30)
        yield b""

    with stored_log(tmp_path) as log:
        receiver = Receiver(log, Telemetry(), Limits(), time_ns)
        server = OtlpGrpc(receiver, "default", "127.0.0.1:0", workers=1, body_timeout_s=0.2)
        try:
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                with pytest.raises(grpc.RpcError) as caught:
                    channel.stream_unary(METHODS["logs"])(stalled(), timeout=30)
                assert caught.value.code() == grpc.StatusCode.CANCELLED  # type: ignore[attr-defined]
                assert channel.unary_unary(METHODS["logs"])(b"", timeout=30) == b""
        finally:
            go.set()
            server.close()
    assert receiver.telemetry.value("requests", protocol="grpc", signal="logs", code="NOT_RECEIVED") == 1


def test_a_call_without_a_message_is_an_invalid_argument(ingest: Ingest) -> None:
    with grpc.insecure_channel(ingest.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(METHODS["logs"])(iter(()), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_a_fault_of_the_service_is_internal_and_survived(tmp_path: Path) -> None:
    def broken(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = LIMITS) -> Batch:
        if body:
            raise ZeroDivisionError
        return decode(body, signal, encoding, limits=limits)

    with stored_log(tmp_path) as log, serve_grpc(log, Limits(), decode=broken) as ingest:
        code, status = failure_of(ingest, METHODS["logs"], b"x")
        assert (code, status.code) == (grpc.StatusCode.INTERNAL, 13)
        assert call(ingest, METHODS["logs"], b"") == b""
        assert ingest.sample("foreshock_faults_total", place="grpc") == 1
        assert ingest.sample("foreshock_request_bytes_held") == 0
