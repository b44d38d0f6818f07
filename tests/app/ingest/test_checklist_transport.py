"""The checklist of OTLP 1.11, transport: items 1 to 8 of docs/otlp.md, against real servers on real sockets."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import sys
import zlib
from collections.abc import Callable, Generator
from pathlib import Path

import grpc
import httpx
import pytest

from app.ingest.limits import Limits
from app.ingest.signals import SIGNALS, Encoding, Signal
from features.batch import Batch
from tests.app.ingest.raw_grpc import call_packed
from tests.app.ingest.requests import a_log, as_json, as_protobuf, logs
from tests.app.ingest.servers import Ingest, serve_grpc, serve_http, stored_log
from tests.app.ingest.wire import GZIP, HEADERS, JSON, METHODS, PROTOBUF, WAYS, call, failure_of, open_wire, post, status_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 2**20
LIMITS = Limits(max_body_bytes=4 * MIB, max_packed_bytes=2 * MIB, max_in_flight_bytes=16 * MIB)
ONE_LOG = as_protobuf(logs(a_log()), "logs")
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "zstd": zstd.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "identity": bytes,
}


@pytest.fixture
def over_http(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_http(log, LIMITS) as found:
        yield found


@pytest.fixture
def over_grpc(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_grpc(log, LIMITS) as found:
        yield found


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("way", WAYS)
def test_item_01_three_signals_are_taken_on_their_paths(tmp_path: Path, way: str, signal: Signal) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        wire.send(signal, {})


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/profiles", "/v1/traces/", "/v1development/profiles"])
def test_item_01_another_path_is_answered_404(over_http: Ingest, path: str) -> None:
    response = post(over_http, path, b"", PROTOBUF)
    assert (response.status_code, status_of(response).code) == (404, 5)
    assert over_http.sample("foreshock_requests_total", protocol="http", signal="none", code="404") == 1


def test_item_01_another_method_of_grpc_is_unimplemented(over_grpc: Ingest) -> None:
    code, _ = failure_of(over_grpc, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", b"")
    assert code == grpc.StatusCode.UNIMPLEMENTED


def test_item_02_a_connection_is_kept_for_many_requests(over_http: Ingest) -> None:
    host, _, port = over_http.address.partition(":")
    request = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    with socket.create_connection((host, int(port)), timeout=30) as connection, connection.makefile("rb") as answers:
        for _ in range(20):
            connection.sendall(request)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            while (line := answers.readline()) != b"\r\n":
                assert not line.lower().startswith(b"connection")
            assert answers.read(2) == b"{}"


def test_item_02_a_chunked_body_without_a_length_is_taken(over_http: Ingest) -> None:
    body = as_protobuf(logs(*[a_log()] * 100), "logs")
    pieces = (body[start : start + 7] for start in range(0, len(body), 7))
    assert post(over_http, "/v1/logs", pieces, PROTOBUF).status_code == 200
    assert over_http.total("errors") == 100


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_item_03_compressed_bodies_are_taken(over_http: Ingest, encoding: str, spelled: Callable[[str], str]) -> None:
    body = as_protobuf(logs(*[a_log()] * 100), "logs")
    response = post(over_http, "/v1/logs", PACK[encoding](body), PROTOBUF | {"content-encoding": spelled(encoding)})
    assert (response.status_code, over_http.total("errors")) == (200, 100)
    assert over_http.sample("foreshock_body_bytes_total") == len(body)


def test_item_03_gzip_of_several_members_and_chunks_is_read_whole(over_http: Ingest) -> None:
    body = as_protobuf(logs(*[a_log()] * 100), "logs")
    packed = gzip.compress(body[:500]) + gzip.compress(body[500:])
    pieces = (packed[start : start + 7] for start in range(0, len(packed), 7))
    assert post(over_http, "/v1/logs", pieces, PROTOBUF | GZIP).status_code == 200
    assert over_http.total("errors") == 100


@pytest.mark.parametrize("encoding", sorted(set(PACK) - {"identity"}))
@pytest.mark.parametrize("damage", [lambda packed: b"no frame", lambda packed: packed[:-3], lambda packed: packed + b"tail"])
def test_item_03_corrupt_compression_is_answered_400(
    over_http: Ingest, encoding: str, damage: Callable[[bytes], bytes]
) -> None:
    response = post(over_http, "/v1/logs", damage(PACK[encoding](ONE_LOG)), PROTOBUF | {"content-encoding": encoding})
    assert (response.status_code, status_of(response).code, over_http.messages()) == (400, 3, [])


@pytest.mark.parametrize("encoding", ["snappy", "lz4", "br", "gzip, gzip", "deflate, gzip"])
@pytest.mark.parametrize(
    ("headers", "told"), [(PROTOBUF, "application/x-protobuf"), (JSON, "application/json")], ids=["protobuf", "json"]
)
def test_item_03_another_encoding_or_several_are_answered_400(
    over_http: Ingest, encoding: str, headers: dict[str, str], told: str
) -> None:
    response = post(over_http, "/v1/traces", b"x", headers | {"content-encoding": encoding})
    assert (response.status_code, response.headers["content-type"]) == (400, told)
    assert encoding in status_of(response).message


def test_item_03_encodings_in_two_headers_are_several(over_http: Ingest) -> None:
    headers = [("content-type", "application/json"), ("content-encoding", "gzip"), ("content-encoding", "gzip")]
    response = httpx.post(f"http://{over_http.address}/v1/logs", content=gzip.compress(b"{}"), headers=headers)
    assert (response.status_code, "gzip, gzip" in status_of(response).message) == (400, True)


@pytest.mark.parametrize("packed", [False, True])
def test_item_03_grpc_is_taken_with_and_without_gzip(over_grpc: Ingest, packed: bool) -> None:
    assert call(over_grpc, METHODS["logs"], as_protobuf(logs(*[a_log()] * 100), "logs"), packed=packed) == b""
    assert over_grpc.total("errors") == 100


def test_item_03_corrupt_gzip_in_grpc_is_an_invalid_argument(over_grpc: Ingest) -> None:
    code, status = failure_of(over_grpc, METHODS["logs"], gzip.compress(ONE_LOG)[:-3])
    assert (code, status.code) == (grpc.StatusCode.INVALID_ARGUMENT, 3)


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (gzip.compress(ONE_LOG), "OK"),
        (gzip.compress(ONE_LOG)[:-3], "INVALID_ARGUMENT"),
        (gzip.compress(ONE_LOG) + b"tail", "INVALID_ARGUMENT"),
        (b"\xff no frame", "INVALID_ARGUMENT"),
    ],
    ids=["whole", "cut", "tail", "none"],
)
def test_item_03_a_message_marked_as_gzip_is_read_as_such(over_grpc: Ingest, packed: bytes, code: str) -> None:
    call_packed(over_grpc.address, packed)
    assert over_grpc.sample("foreshock_requests_total", protocol="grpc", signal="logs", code=code) == 1
    assert over_grpc.total("errors") == (code == "OK")


def test_item_03_another_compression_of_grpc_is_unimplemented(over_grpc: Ingest) -> None:
    with grpc.insecure_channel(over_grpc.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(METHODS["logs"])(ONE_LOG, compression=grpc.Compression.Deflate, timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("n_bytes", [4 * MIB + 1, 12 * MIB])
def test_item_04_a_body_beyond_the_limit_is_answered_413(over_http: Ingest, n_bytes: int, chunked: bool) -> None:
    body = bytes(n_bytes)
    pieces = (body[start : start + 65536] for start in range(0, n_bytes, 65536))
    # The server hangs up on a client that goes on far beyond the limit; it may see that before the answer.
    with contextlib.suppress(httpx.TransportError) if n_bytes > 8 * MIB else contextlib.nullcontext():
        response = post(over_http, "/v1/logs", pieces if chunked else body, PROTOBUF)
        assert (response.status_code, status_of(response).code) == (413, 8)
    assert over_http.sample("foreshock_requests_total", protocol="http", signal="logs", code="413") == 1
    assert over_http.sample("foreshock_limited_total", reason="body_bytes") == 1
    assert over_http.messages() == []


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
def test_item_04_a_bomb_is_answered_413_after_decompression(over_http: Ingest, encoding: str) -> None:
    response = post(over_http, "/v1/traces", PACK[encoding](bytes(64 * MIB)), PROTOBUF | {"content-encoding": encoding})
    assert (response.status_code, status_of(response).code) == (413, 8)
    assert "4194304" in status_of(response).message
    assert over_http.sample("foreshock_limited_total", reason="inflated_bytes") == 1
    assert post(over_http, "/v1/traces", b"", PROTOBUF).status_code == 200
    assert over_http.sample("foreshock_request_bytes_held") == 0


def test_item_04_gzip_that_lies_about_its_size_is_taken_or_refused_by_what_it_holds(over_http: Ingest) -> None:
    plain = as_protobuf(logs(*[a_log(body={"stringValue": "x" * 4000})] * 400), "logs")
    for size in (
        0,
        5 * MIB,
        2**32 - 1,
    ):  # the last four bytes of gzip are checked by what inflates, so they are a lie told first
        member = gzip.compress(b"")[:-4] + size.to_bytes(4, "little")
        response = post(over_http, "/v1/logs", gzip.compress(plain) + member, PROTOBUF | GZIP)
        assert response.status_code == (200 if size == 0 else 400)
    assert over_http.total("errors") == 400


def test_item_04_a_compressed_body_has_a_limit_of_its_own(over_http: Ingest) -> None:
    body = b" " * (2 * MIB) + b"{}"
    assert post(over_http, "/v1/logs", body, JSON).status_code == 200
    response = post(over_http, "/v1/logs", gzip.compress(body, 0), JSON | GZIP)
    assert (response.status_code, "2097152" in status_of(response).message) == (413, True)


@pytest.mark.parametrize("packed", [False, True])
def test_item_04_grpc_beyond_the_limit_is_exhausted_for_good(tmp_path: Path, packed: bool) -> None:
    with stored_log(tmp_path) as log, serve_grpc(log, LIMITS) as ingest:
        code, status = failure_of(ingest, METHODS["traces"], bytes(4 * MIB + 1), packed=packed)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not any(detail.type_url.endswith("RetryInfo") for detail in status.details)
        assert call(ingest, METHODS["traces"], b"") == b""
    counted = "RESOURCE_EXHAUSTED" if packed else "NOT_RECEIVED"  # gRPC itself refuses what is not compressed
    assert ingest.sample("foreshock_requests_total", protocol="grpc", signal="traces", code=counted) == 1


def test_item_04_grpc_compressed_beyond_its_own_limit_is_exhausted_for_good(over_grpc: Ingest) -> None:
    code, status = failure_of(over_grpc, METHODS["logs"], gzip.compress(bytes(3 * MIB), 0))
    assert (code, status.code, list(status.details)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 8, [])
    assert over_grpc.sample("foreshock_limited_total", reason="body_bytes") == 1


def test_item_04_grpc_larger_than_its_own_default_is_taken(tmp_path: Path) -> None:
    body = as_protobuf(logs(a_log(body={"stringValue": "x" * 5 * MIB})), "logs")
    with stored_log(tmp_path) as log, serve_grpc(log, Limits()) as ingest:
        assert call(ingest, METHODS["logs"], body) == b""
        assert ingest.total("errors") == 1


@pytest.mark.parametrize("way", WAYS)
def test_item_04_answers_are_bounded_whatever_they_quote(tmp_path: Path, way: str) -> None:
    body = (
        as_json({"resourceSpans": [{"x" * 3 * MIB: 1, "scopeSpans": "\0" * MIB}]}) if way == "http-json" else b"\xff" * 3 * MIB
    )
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        _, status = wire.refusal("traces", body)
    assert 0 < status.ByteSize() < 16 * 1024


@pytest.mark.parametrize("content_type", ["APPLICATION/JSON", "application/json; charset=utf-8", "Application/Json ;q=1"])
def test_item_05_a_media_type_is_compared_without_case_and_parameters(over_http: Ingest, content_type: str) -> None:
    assert post(over_http, "/v1/logs", as_json(logs(a_log())), {"content-type": content_type}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/grpc"}])
def test_item_05_another_media_type_is_answered_415(over_http: Ingest, headers: dict[str, str]) -> None:
    response = post(over_http, "/v1/traces", b"x", headers)
    assert (response.status_code, response.headers["content-type"], status_of(response).code) == (415, "application/json", 3)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_item_05_another_method_is_answered_405(over_http: Ingest, method: str) -> None:
    response = httpx.request(method, f"http://{over_http.address}/v1/logs", headers=JSON)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert method == "HEAD" or status_of(response).code == 12


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_item_06_success_is_200_and_empty_in_the_encoding_of_the_request(
    over_http: Ingest, signal: Signal, encoding: Encoding
) -> None:
    body = b"{}" if encoding == "json" else b""
    response = post(over_http, f"/v1/{signal}", body, HEADERS[encoding])
    assert (response.status_code, response.content) == (200, body)
    assert response.headers["content-type"] == HEADERS[encoding]["content-type"]


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_item_06_errors_are_in_the_encoding_of_the_request(over_http: Ingest, encoding: Encoding) -> None:
    answers = [
        post(over_http, "/v1/traces", b"\xff", HEADERS[encoding]),
        post(over_http, "/v1/other", b"", HEADERS[encoding]),
        post(over_http, "/v1/traces", b"", HEADERS[encoding] | {"x-scope-orgid": "a b"}),
        post(over_http, "/v1/traces", bytes(4 * MIB + 1), HEADERS[encoding]),
        httpx.put(f"http://{over_http.address}/v1/logs", headers=HEADERS[encoding]),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 400, 413, 405]
    assert {answer.headers["content-type"] for answer in answers} == {HEADERS[encoding]["content-type"]}
    assert all(status_of(answer).message for answer in answers)


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_item_06_faults_and_overload_are_in_the_encoding_of_the_request(tmp_path: Path, encoding: Encoding) -> None:
    def broken(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = LIMITS) -> Batch:
        raise ZeroDivisionError

    with stored_log(tmp_path) as log, serve_http(log, LIMITS, decode=broken) as ingest:
        answers = [post(ingest, "/v1/logs", b"", HEADERS[encoding])]
        ingest.receiver.lag = lambda: LIMITS.max_lag + 1
        answers.append(post(ingest, "/v1/logs", b"", HEADERS[encoding]))
    assert [(answer.status_code, status_of(answer).code) for answer in answers] == [(500, 13), (503, 14)]
    assert {answer.headers["content-type"] for answer in answers} == {HEADERS[encoding]["content-type"]}


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("", False), ("gzip", True), ("deflate, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False), ("*", False)],
)
def test_item_07_answers_are_gzipped_only_when_accept_encoding_asks(over_http: Ingest, accepted: str, packed: bool) -> None:
    path = f"http://{over_http.address}/v1/traces"
    # What is quoted comes back as escapes, five letters each, and twice.
    headers = [("content-type", "application/json"), ("accept-encoding", accepted), (b"content-encoding", b"\x80" * 100)]
    with httpx.stream("POST", path, content=b"{}", headers=headers) as response:  # type: ignore[arg-type]
        raw = b"".join(response.iter_raw())
    assert response.status_code == 400
    assert response.headers.get("content-encoding", "") == ("gzip" if packed else "")
    assert json.loads(gzip.decompress(raw) if packed else raw)["code"] == 3
    small = httpx.post(path, content=b"{}", headers=JSON | {"accept-encoding": accepted})
    assert "content-encoding" not in small.headers  # a packet either way


@pytest.mark.parametrize("way", WAYS)
def test_item_08_what_stands_in_front_answers_with_a_status_too(tmp_path: Path, way: str) -> None:
    with stored_log(tmp_path) as log, open_wire(log, way) as wire:
        code, status = wire.refusal("logs", b"", tenant="a b")
    assert (code, status.code) == ("INVALID_ARGUMENT" if way == "grpc" else "400", 3)
    assert "X-Scope-OrgID" in status.message


def test_item_08_the_tenant_comes_from_its_header(over_http: Ingest) -> None:
    for headers in (JSON, JSON | {"X-Scope-OrgID": "team-a"}):
        post(over_http, "/v1/logs", as_json(logs(a_log())), headers)
    assert sorted(message.tenant for message in over_http.messages()) == ["default", "team-a"]


def test_item_08_the_tenant_comes_from_its_metadata(over_grpc: Ingest) -> None:
    for tenant in ("", "team-a"):
        call(over_grpc, METHODS["logs"], ONE_LOG, tenant=tenant)
    assert sorted(message.tenant for message in over_grpc.messages()) == ["default", "team-a"]
