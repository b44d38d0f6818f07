"""OTLP/HTTP on a real socket, answered as the specification says."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Generator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import httpx
import pytest

from app.ingest.http import OtlpHttp
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.receive import Receiver
from app.ingest.signals import SIGNALS, Encoding, Signal
from app.telemetry import Telemetry
from features.batch import Batch
from tests.app.ingest.requests import a_log, a_span, as_protobuf, logs, traces, written
from tests.app.ingest.servers import Ingest, serve_http, stored_log
from tests.app.ingest.wire import GZIP, HEADERS, PROTOBUF, post, status_of
from tests.builders import ListLog

LIMITS = Limits()
MIB = 2**20


@pytest.fixture
def ingest(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_http(log, Limits(max_body_bytes=4 * MIB, max_in_flight_bytes=16 * MIB)) as found:
        yield found


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_an_empty_request_is_answered_200(ingest: Ingest, signal: Signal, encoding: Encoding, packed: bool) -> None:
    body = b"{}" if encoding == "json" else b""
    headers = HEADERS[encoding] | (GZIP if packed else {})
    response = post(ingest, f"/v1/{signal}", gzip.compress(body) if packed else body, headers)
    assert (response.status_code, response.content) == (200, body)
    assert response.headers["content-type"] == HEADERS[encoding]["content-type"]
    assert ingest.sample("foreshock_requests_total", protocol="http", signal=signal, code="200") == 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_what_was_answered_200_is_in_the_log(ingest: Ingest, encoding: Encoding, packed: bool) -> None:
    body = written(traces(*[a_span()] * 7), "traces", encoding)
    headers = HEADERS[encoding] | (GZIP if packed else {})
    assert post(ingest, "/v1/traces", gzip.compress(body) if packed else body, headers).status_code == 200
    assert ingest.total("total") == 7
    assert ingest.sample("foreshock_records_total", signal="traces") == 7
    assert ingest.sample("foreshock_body_bytes_total") == len(body)


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_odd_requests_are_taken_counted_and_visible(ingest: Ingest, encoding: Encoding) -> None:
    big = a_span(status={"code": 2}, attributes={"big": "x" * 2_000_000})
    many = [a_span(name=f"GET /{n}") for n in range(10_000)]
    for request in (traces(big), traces(*many), traces(a_span(endTimeUnixNano=str(2**63)))):
        assert post(ingest, "/v1/traces", written(request, "traces", encoding), HEADERS[encoding]).status_code == 200
    assert ingest.total("total") == 10_002
    seen = {
        reason: ingest.sample("foreshock_limited_total", reason=reason)
        for reason in ("attributes_cut", "operations_folded", "times_invalid")
    }
    assert seen == {"attributes_cut": 1, "operations_folded": 5904, "times_invalid": 1}


def test_requests_at_the_same_time_are_all_counted(ingest: Ingest) -> None:
    body = as_protobuf(logs(*[a_log()] * 10), "logs")
    with httpx.Client() as client, ThreadPoolExecutor(8) as threads:
        send = [
            threads.submit(client.post, f"http://{ingest.address}/v1/logs", content=body, headers=PROTOBUF) for _ in range(64)
        ]
        assert {future.result().status_code for future in send} == {200}
    assert ingest.total("logs") == 640


def test_a_body_that_stops_arriving_is_answered_408_and_gives_its_bytes_back() -> None:
    async def stalled() -> list[dict[str, object]]:
        receiver = Receiver(ListLog(), Telemetry(), Limits(), lambda: 0)
        app = OtlpHttp(receiver, "default", workers=1, body_timeout_s=0.01)
        sent: list[dict[str, object]] = []
        first: dict[str, object] = {"type": "http.request", "body": b"abc", "more_body": True}
        parts = iter([first])

        async def receive() -> dict[str, object]:
            for part in parts:
                return part
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: object) -> None:
            assert isinstance(message, dict)
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        await app({"type": "http", "method": "POST", "path": "/v1/logs", "headers": headers}, receive, send)
        app.close()
        assert receiver.telemetry.registry.get_sample_value("foreshock_request_bytes_held") == 0
        return sent

    start, body = asyncio.run(stalled())
    assert start["status"] == 408
    assert b"0.01 s" in body["body"]  # type: ignore[operator]


def test_a_sender_that_hangs_up_is_not_answered() -> None:
    async def gone() -> list[object]:
        app = OtlpHttp(Receiver(ListLog(), Telemetry(), Limits(), lambda: 0), "default", workers=1)
        sent: list[object] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        await app({"type": "http", "method": "POST", "path": "/v1/logs", "headers": headers}, receive, send)
        with pytest.raises(NotImplementedError, match="websocket"):
            await app({"type": "websocket"}, receive, send)
        app.close()
        return sent

    assert asyncio.run(gone()) == []


def test_a_request_that_comes_while_the_service_stops_is_answered_503_and_says_when_to_come_again(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log:
        app = OtlpHttp(Receiver(log, Telemetry(), Limits(), lambda: 0), "default", workers=1)
        app.close()
        sent: list[MutableMapping[str, object]] = []

        async def receive() -> MutableMapping[str, object]:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: MutableMapping[str, object]) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        asyncio.run(app({"type": "http", "path": "/v1/logs", "method": "POST", "headers": headers}, receive, send))
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in cast("list[tuple[bytes, bytes]]", sent[0]["headers"])
    assert b"the service is stopping" in cast("bytes", sent[1]["body"])


@pytest.mark.parametrize("n_records", [10, 1500])
def test_small_bodies_are_worked_on_by_the_loop_and_large_ones_by_a_thread(tmp_path: Path, n_records: int) -> None:
    names: list[str] = []

    def watched(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = LIMITS) -> Batch:
        names.append(threading.current_thread().name)
        return decode(body, signal, encoding, limits=limits)

    body = as_protobuf(logs(*[a_log(body={"stringValue": "x" * 1000})] * n_records), "logs")
    with stored_log(tmp_path) as log, serve_http(log, Limits(), decode=watched) as ingest:
        for content, headers in ((body, {}), (gzip.compress(body), GZIP)):
            assert post(ingest, "/v1/logs", content, PROTOBUF | headers).status_code == 200
        lying = gzip.compress(body) + gzip.compress(b"")  # its last member says that nothing comes out
        assert post(ingest, "/v1/logs", lying, PROTOBUF | GZIP).status_code == 200
        assert ingest.total("errors") == 3 * n_records
    assert [name.startswith("otlp-http") for name in names] == [n_records == 1500] * 3


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_fault_of_the_service_is_told_in_the_encoding_and_survived(tmp_path: Path, encoding: Encoding) -> None:
    def broken(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = LIMITS) -> Batch:
        if body:
            raise ZeroDivisionError
        return decode(body, signal, "protobuf", limits=limits)

    with stored_log(tmp_path) as log, serve_http(log, Limits(), decode=broken) as ingest:
        response = post(ingest, "/v1/logs", b"x", HEADERS[encoding])
        assert (response.status_code, status_of(response).code) == (500, 13)
        assert ingest.sample("foreshock_faults_total", place="http") == 1
        assert post(ingest, "/v1/logs", b"", HEADERS[encoding]).status_code == 200
        assert ingest.sample("foreshock_request_bytes_held") == 0
