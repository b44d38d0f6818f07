"""OTLP/HTTP on a real socket, answered as the specification says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Generator, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from app.ingest.http import OtlpHttp
from app.ingest.limits import Limits
from app.ingest.otlp import SIGNALS, Encoding, Signal
from app.ingest.receive import Receiver
from app.telemetry import Telemetry
from tests.app.ingest.requests import a_log, a_span, as_json, as_protobuf, logs, traces, written
from tests.app.ingest.servers import Ingest, serve_http, stored_log
from tests.builders import ListLog

PROTOBUF, JSON = {"content-type": "application/x-protobuf"}, {"content-type": "application/json"}
HEADERS: dict[Encoding, dict[str, str]] = {"protobuf": PROTOBUF, "json": JSON}
GZIP = {"content-encoding": "gzip"}
MIB = 2**20


@pytest.fixture
def ingest(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_http(log, Limits(max_body_bytes=4 * MIB, max_in_flight_bytes=16 * MIB)) as found:
        yield found


def post(ingest: Ingest, path: str, content: bytes | Iterator[bytes], headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"http://{ingest.address}{path}", content=content, headers=headers, timeout=30)


def status_of(response: httpx.Response) -> Status:
    """Read the Status of an answer in the encoding that its content type names."""
    if response.headers["content-type"] == "application/x-protobuf":
        return Status.FromString(response.content)
    found = json.loads(response.content)
    return Status(code=found["code"], message=found["message"])


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


@pytest.mark.parametrize("content_type", ["APPLICATION/JSON", "application/json; charset=utf-8"])
def test_a_media_type_is_compared_without_case_and_parameters(ingest: Ingest, content_type: str) -> None:
    assert post(ingest, "/v1/logs", as_json(logs(a_log())), {"content-type": content_type}).status_code == 200


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_malformed_body_is_answered_400_with_a_status_in_its_encoding(ingest: Ingest, encoding: Encoding) -> None:
    response = post(ingest, "/v1/traces", b"\xff\xff", HEADERS[encoding])
    assert (response.status_code, response.headers["content-type"]) == (400, HEADERS[encoding]["content-type"])
    status = status_of(response)
    assert status.code == 3
    assert f"no OTLP traces request in {encoding}" in status.message
    if encoding == "json":
        assert response.json()["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    else:
        detail = BadRequest()
        assert status.details[0].Unpack(detail)
        assert detail.field_violations[0].field == "body"
    assert ingest.sample("foreshock_requests_total", protocol="http", signal="traces", code="400") == 1


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/grpc"}])
def test_another_content_type_is_answered_415_in_json(ingest: Ingest, headers: dict[str, str]) -> None:
    response = post(ingest, "/v1/traces", b"x", headers)
    assert (response.status_code, response.headers["content-type"], status_of(response).code) == (415, "application/json", 3)


@pytest.mark.parametrize("content_encoding", ["zstd", "snappy", "br"])
def test_another_content_encoding_is_answered_400(ingest: Ingest, content_encoding: str) -> None:
    response = post(ingest, "/v1/traces", b"x", PROTOBUF | {"content-encoding": content_encoding})
    assert (response.status_code, response.headers["content-type"]) == (400, "application/x-protobuf")
    assert content_encoding in status_of(response).message


def test_corrupt_gzip_is_answered_400(ingest: Ingest) -> None:
    response = post(ingest, "/v1/traces", b"no gzip", PROTOBUF | GZIP)
    assert (response.status_code, status_of(response).code) == (400, 3)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_answered_405(ingest: Ingest, method: str) -> None:
    response = httpx.request(method, f"http://{ingest.address}/v1/logs", headers=JSON)
    assert (response.status_code, response.headers["allow"], status_of(response).code) == (405, "POST", 12)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/profiles", "/v1/traces/", "/v1development/profiles"])
def test_another_path_is_answered_404(ingest: Ingest, path: str) -> None:
    response = post(ingest, path, b"", PROTOBUF)
    assert (response.status_code, status_of(response).code) == (404, 5)
    assert ingest.sample("foreshock_requests_total", protocol="http", signal="none", code="404") == 1


@pytest.mark.parametrize("tenant", ["a b", "../x", "x" * 200])
def test_a_wrong_tenant_is_answered_400(ingest: Ingest, tenant: str) -> None:
    response = post(ingest, "/v1/logs", as_json(logs(a_log())), JSON | {"x-scope-orgid": tenant})
    assert (response.status_code, ingest.messages()) == (400, [])


def test_the_tenant_comes_from_its_header(ingest: Ingest) -> None:
    for headers in (JSON, JSON | {"X-Scope-OrgID": "team-a"}):
        post(ingest, "/v1/logs", as_json(logs(a_log())), headers)
    assert sorted(message.tenant for message in ingest.messages()) == ["default", "team-a"]


def test_a_gzip_bomb_is_answered_413_and_the_service_goes_on(ingest: Ingest) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    response = post(ingest, "/v1/traces", bomb, PROTOBUF | GZIP)
    assert (response.status_code, status_of(response).code) == (413, 8)
    assert "4194304" in status_of(response).message
    assert ingest.sample("foreshock_requests_total", protocol="http", signal="traces", code="413") == 1
    assert post(ingest, "/v1/traces", b"", PROTOBUF).status_code == 200
    assert ingest.sample("foreshock_request_bytes_held") == 0


@pytest.mark.parametrize("n_bytes", [4 * MIB + 1, 12 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_answered_413(ingest: Ingest, n_bytes: int, chunked: bool) -> None:
    body = bytes(n_bytes)
    pieces = (body[start : start + 65536] for start in range(0, n_bytes, 65536))
    if n_bytes > 8 * MIB:
        # The server hangs up on a client that goes on far beyond the limit; it may see that before the answer.
        with contextlib.suppress(httpx.TransportError):
            assert post(ingest, "/v1/logs", pieces if chunked else body, PROTOBUF).status_code == 413
        assert ingest.sample("foreshock_requests_total", protocol="http", signal="logs", code="413") == 1
    else:
        assert post(ingest, "/v1/logs", pieces if chunked else body, PROTOBUF).status_code == 413
    assert ingest.messages() == []


def test_a_chunked_body_of_several_gzip_members_is_read_whole(ingest: Ingest) -> None:
    body = as_protobuf(logs(*[a_log()] * 100), "logs")
    packed = gzip.compress(body[:500]) + gzip.compress(body[500:])
    pieces = (packed[start : start + 7] for start in range(0, len(packed), 7))
    response = post(ingest, "/v1/logs", pieces, PROTOBUF | GZIP)
    assert (response.status_code, ingest.total("errors")) == (200, 100)


def test_refused_records_are_answered_as_partial_success(tmp_path: Path) -> None:
    spans = [a_span(endTimeUnixNano=str(minute * 60 * 10**9)) for minute in range(1, 6)]
    with stored_log(tmp_path) as log, serve_http(log, Limits(max_rows=3)) as ingest:
        response = post(ingest, "/v1/traces", as_protobuf(traces(*spans), "traces"), PROTOBUF)
        assert response.status_code == 200
        partial = ExportTraceServiceResponse.FromString(response.content).partial_success
        assert partial.rejected_spans == 2
        assert "3 rows" in partial.error_message
        found = post(ingest, "/v1/traces", as_json(traces(*spans)), JSON).json()["partialSuccess"]
        assert found["rejectedSpans"] == "2"
        assert ingest.sample("foreshock_rejected_records_total", reason="rows") == 4


def test_without_room_the_answer_is_503_and_says_when_to_come_again(ingest: Ingest) -> None:
    with ingest.receiver.room.hold() as hold:
        hold.grow_to(16 * MIB)
        response = post(ingest, "/v1/logs", as_protobuf(logs(a_log()), "logs"), PROTOBUF)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    status, detail = status_of(response), RetryInfo()
    assert status.code == 14
    assert status.details[0].Unpack(detail)
    assert detail.retry_delay.seconds == 1
    assert post(ingest, "/v1/logs", as_protobuf(logs(a_log()), "logs"), PROTOBUF).status_code == 200


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


def test_a_log_that_fails_is_answered_503_so_that_nothing_is_dropped(tmp_path: Path) -> None:
    with stored_log(tmp_path) as closed:
        pass
    with serve_http(closed, Limits()) as ingest:
        response = post(ingest, "/v1/logs", as_json(logs(a_log())), JSON)
    assert (response.status_code, response.headers["retry-after"], status_of(response).code) == (503, "1", 14)
    assert ingest.sample("foreshock_records_total", signal="logs") is None


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
