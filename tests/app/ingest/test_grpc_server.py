"""OTLP/gRPC on a real socket, answered as the specification says."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import Any

import grpc
import pytest

from app.ingest.grpc_server import GrpcPlan, OtlpGrpc
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.receive import Receiver
from app.ingest.signals import Encoding, Signal
from app.store.contract import Log
from app.telemetry import Telemetry
from features.batch import Batch
from features.errors import InvalidSetting
from tests.app.ingest.raw_grpc import UnfinishedCalls
from tests.app.ingest.requests import a_span, as_protobuf, traces
from tests.app.ingest.servers import Ingest, serve_grpc, stored_log
from tests.app.ingest.wire import METHODS, call, failure_of
from tests.nodes import until

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
        server = OtlpGrpc(receiver, "default", "127.0.0.1:0", GrpcPlan(workers=1, body_timeout_s=0.2))
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


@contextmanager
def serve(log: Log, limits: Limits, **plan: Any) -> Generator[Ingest]:
    """Serve with a plan of threads and calls."""
    telemetry = Telemetry()
    receiver = Receiver(log, telemetry, limits, time_ns)
    server = OtlpGrpc(receiver, "default", "127.0.0.1:0", GrpcPlan(**plan))
    try:
        yield Ingest(f"127.0.0.1:{server.port}", log, telemetry, receiver, [])
    finally:
        server.close(0.1)


def test_calls_that_wait_for_a_thread_hold_no_more_than_64_kib_each(tmp_path: Path) -> None:
    workers, window, n_calls = 2, 65_535, 40
    with (
        stored_log(tmp_path) as log,
        serve(log, Limits(), workers=workers) as ingest,
        UnfinishedCalls(ingest.address, n_calls, 2 * MIB) as sender,
    ):
        sender.go_on(0.5)
        n_read = sum(n > window for n in sender.sent.values())
        assert len(sender.sent) == n_calls
        assert workers <= n_read <= workers + sender.n_ended, "a call that ended left its thread to another"


def test_one_connection_may_bring_an_eighth_of_the_calls(tmp_path: Path) -> None:
    with (
        stored_log(tmp_path) as log,
        serve(log, Limits(), workers=8, max_calls=64) as ingest,
        UnfinishedCalls(ingest.address, 64, MIB) as sender,
    ):
        sender.go_on(0.2)
        assert (sender.max_streams, len(sender.sent), sender.n_ended) == (8, 8, 0)


def test_a_call_is_held_as_what_its_message_may_be_while_it_is_read(tmp_path: Path) -> None:
    limits = Limits(max_body_bytes=4 * MIB, max_in_flight_bytes=64 * MIB, max_tenant_in_flight_bytes=32 * MIB)
    with stored_log(tmp_path) as log, serve(log, limits, workers=8) as ingest:
        with UnfinishedCalls(ingest.address, 3, 3 * MIB) as sender:
            sender.go_on(0.3)
            assert ingest.sample("foreshock_request_bytes_held") == 3 * 2 * MIB, "a sixteenth for each of eight threads"
        until(lambda: ingest.sample("foreshock_request_bytes_held") == 0, "the end of the calls")


def test_slow_senders_keep_their_threads_only_while_nobody_waits(tmp_path: Path) -> None:
    with (
        stored_log(tmp_path) as log,
        serve(log, Limits(), workers=4) as ingest,
        UnfinishedCalls(ingest.address, 4, MIB) as slow,
    ):
        slow.go_on(1.5)
        assert slow.n_ended == 0
        with grpc.insecure_channel(ingest.address) as channel:
            assert channel.unary_unary(METHODS["logs"])(b"", timeout=5) == b""
        slow.go_on(0.5)
        assert slow.n_ended == 1, "one thread was enough"
        assert ingest.telemetry.value("requests", protocol="grpc", signal="logs", code="NOT_RECEIVED") == 1


def test_forty_slow_senders_keep_nobody_waiting_for_ten_seconds(tmp_path: Path) -> None:
    with (
        stored_log(tmp_path) as log,
        serve(log, Limits()) as ingest,
        UnfinishedCalls(ingest.address, 40, MIB) as slow,
    ):
        slow.go_on(0.2)
        assert len(slow.sent) == 40
        with grpc.insecure_channel(ingest.address) as channel:
            assert channel.unary_unary(METHODS["logs"])(b"", timeout=10) == b""


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
