"""What is answered before there is a request, and how much of one may come without a body."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.ingest.connections import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from app.ingest.limits import Limits
from app.settings import IngestSettings, ServerSettings
from features.errors import StoreFailed
from tests.app.ingest.requests import a_log, as_protobuf, logs
from tests.app.ingest.servers import Ingest, serve_http, stored_log


@pytest.fixture
def ingest(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_http(log, Limits()) as found:
        yield found


def told(ingest: Ingest, *pieces: bytes) -> bytes:
    """Send bytes until the server answers and hangs up, and return what it said."""
    host, _, port = ingest.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it hung up already; what it said is read below
            for piece in pieces:
                connection.sendall(piece)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                said += piece
        return said


def test_what_is_no_http_is_answered_400_with_a_status(ingest: Ingest) -> None:
    head, _, body = told(ingest, b"\x16\x03\x01\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == 3


BODY = as_protobuf(logs(a_log()), "logs")
PLAIN = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
ORDINARY = PLAIN + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
LAST = ORDINARY.replace(b"host: x", b"host: x\r\nconnection: close")
HEAD = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
ENDLESS = {
    "one header": (HEAD + b"x: ", b"a" * 4096),
    "many headers": (HEAD, b"x: y\r\n" * 512),
    "a path": (b"POST /", b"a" * 4096),
    "the extension of a chunk": (HEAD + b"transfer-encoding: chunked\r\n\r\n1;", b"a" * 4096),
    "trailers": (HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"x: y\r\n" * 512),
}


@pytest.mark.parametrize("begun", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_head_without_end_is_cut_off(ingest: Ingest, begun: tuple[bytes, bytes]) -> None:
    begin, more = begun
    host, _, port = ingest.address.partition(":")
    most, sent = 64 * MAX_HEAD_BYTES, 0  # far more than the kernel holds beside
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(begin)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < most:
                connection.sendall(more)
                sent += len(more)
    assert sent < most


LARGE = {
    "without end": HEAD + b"x: " + b"a" * MAX_HEAD_BYTES,
    "whole": HEAD + b"x: " + b"a" * MAX_HEAD_BYTES + b"\r\ncontent-length: 2\r\n\r\n{}",
    "of many headers": HEAD + b"x: y\r\n" * MAX_HEADERS + b"content-length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("request_", LARGE.values(), ids=LARGE.keys())
def test_a_head_that_is_too_large_is_answered_431_with_a_status(ingest: Ingest, request_: bytes) -> None:
    head, _, body = told(ingest, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert str(MAX_HEAD_BYTES) in json.loads(body)["message"]
    assert ingest.sample("foreshock_requests_total", protocol="http", signal="none", code="431") == 1
    assert ingest.sample("foreshock_limited_total", reason="head") == 1


def test_what_frames_a_body_wrongly_is_answered_in_the_encoding_of_the_request(ingest: Ingest) -> None:
    head, _, body = told(ingest, PLAIN + b"transfer-encoding: chunked\r\n\r\nzz\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/x-protobuf" in head
    assert Status.FromString(body).code == Code.INVALID_ARGUMENT
    assert ingest.sample("foreshock_requests_total", protocol="http", signal="none", code="400") == 1


def taken(connection: socket.socket, piece: bytes, most: int) -> int:
    """Return how many bytes go until the server stops reading, or hangs up."""
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < most:
            sent += connection.send(piece)
    return sent


def test_one_who_writes_without_waiting_for_answers_is_read_no_further(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log:
        log.append_later = lambda messages: Future()  # type: ignore[method-assign]
        with serve_http(log, Limits()) as ingest:
            host, _, port = ingest.address.partition(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
                connection.settimeout(1)
                assert taken(connection, ORDINARY * 50, 64 * 2**20) < 8 * 2**20
            while ingest.sample("foreshock_limited_total", reason="pipelined") != 1:
                time.sleep(0.01)


def test_one_who_reads_no_answers_is_read_no_further(ingest: Ingest) -> None:
    host, _, port = ingest.address.partition(":")
    request = ORDINARY.replace(b"/v1/logs", b"/v1/" + b"n" * 200)
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
        connection.settimeout(2)
        assert taken(connection, request * (MAX_PIPELINED // 2), 256 * 2**20) < 64 * 2**20


SILENT = {"from the start": b"", "in its first head": HEAD, "in a later head": ORDINARY + HEAD}


@pytest.mark.parametrize("begun", SILENT.values(), ids=SILENT.keys())
def test_a_connection_that_falls_silent_is_closed_like_an_idle_one(tmp_path: Path, begun: bytes) -> None:
    with stored_log(tmp_path) as log, serve_http(log, Limits(), server_settings=ServerSettings(keep_alive_s=1)) as found:
        assert told(found, begun).count(b"HTTP/1.1 200 OK") == begun.count(b"content-length")


def test_one_connection_too_many_is_answered_503_and_closed(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log, serve_http(log, Limits(), server_settings=ServerSettings(max_connections=2)) as found:
        host, _, port = found.address.partition(":")
        with contextlib.ExitStack() as until:
            for _ in range(2):
                until.enter_context(socket.create_connection((host, int(port))))
            said = told(found, LAST)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in said
            assert found.sample("foreshock_limited_total", reason="connections") == 1
        while not told(found, LAST).startswith(b"HTTP/1.1 200 OK"):  # the server may learn a moment later that they went
            time.sleep(0.01)


def test_senders_of_a_byte_a_second_leave_room_for_the_others(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log, serve_http(log, Limits(), settings=IngestSettings(max_calls=2)) as found:
        host, _, port = found.address.partition(":")
        with contextlib.ExitStack() as until:
            for _ in range(20):
                slow = until.enter_context(socket.create_connection((host, int(port))))
                slow.sendall(PLAIN + b"transfer-encoding: chunked\r\n\r\n1\r\n\n\r\n")
            time.sleep(1.2)  # they are no longer waited for, but read by tasks of their own
            assert told(found, LAST).startswith(b"HTTP/1.1 200 OK")


def test_a_request_to_speak_another_protocol_is_answered_in_this_one_with_its_body_taken(ingest: Ingest) -> None:
    upgrade = b"host: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk"
    asking = ORDINARY.replace(b"host: x", upgrade)
    chunked = asking.replace(b"content-length: %d\r\n\r\n" % len(BODY), b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY))
    said = told(ingest, asking + asking[:20], asking[20:120], asking[120:], chunked + b"\r\n0\r\n\r\n", LAST)
    assert said.count(b"HTTP/1.1 200 OK") == 4
    assert ingest.total("logs") == 4


def test_a_proxy_is_not_what_this_is(ingest: Ingest) -> None:
    assert told(ingest, b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_what_the_server_waits_for_no_longer_when_it_stops_is_answered_503_with_a_status(tmp_path: Path) -> None:
    begun = PLAIN + b"content-length: 100000\r\n\r\n" + b"\x00" * 70_000
    with stored_log(tmp_path) as log, ThreadPoolExecutor(1) as threads:
        with serve_http(log, Limits()) as found:
            said = threads.submit(told, found, begun)
            while found.sample("foreshock_request_bytes_held") != 70_000:
                time.sleep(0.01)
        head, _, body = said.result().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head
    assert Status.FromString(body).code == Code.UNAVAILABLE


def test_a_head_below_the_bound_and_large_bodies_pass_on_one_connection(ingest: Ingest) -> None:
    body = b'{"x":"' + b"a" * 300_000 + b'"}'
    request = HEAD + b"x: " + b"a" * 60_000 + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    closing = request.replace(b"host: x", b"host: x\r\nconnection: close")
    assert told(ingest, request, request, closing).count(b"HTTP/1.1 200 OK") == 3


def test_an_ordinary_request_is_answered_in_one_piece_with_what_describes_its_body(ingest: Ingest) -> None:
    assert told(ingest, ORDINARY, LAST) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    assert ingest.total("logs") == 2
    assert ingest.sample("foreshock_requests_total", protocol="http", signal="logs", code="200") == 2
    assert ingest.sample("foreshock_request_bytes_held") == 0


def test_requests_that_come_before_their_answers_are_answered_in_order(ingest: Ingest) -> None:
    wrong = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{"
    said = told(ingest, ORDINARY + wrong + ORDINARY.replace(b"/v1/logs", b"/v1/none") + ORDINARY + LAST)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"404", b"200", b"200"]
    assert ingest.total("logs") == 3


def in_pieces(ingest: Ingest, request: bytes, pause_s: float) -> bytes:
    host, _, port = ingest.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (request[:-9], request[-9:-5], request[-5:]):
            connection.sendall(piece)
            time.sleep(pause_s)
        return connection.recv(65536)


def test_a_body_that_comes_in_pieces_is_collected(ingest: Ingest) -> None:
    assert in_pieces(ingest, ORDINARY, 0.02).startswith(b"HTTP/1.1 200 OK")
    assert ingest.total("logs") == 1


def test_a_body_that_is_waited_for_too_long_is_read_and_timed_by_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingest.connections._PATIENCE_S", 0.01)
    with stored_log(tmp_path) as log, serve_http(log, Limits()) as found:
        assert in_pieces(found, ORDINARY, 0.05).startswith(b"HTTP/1.1 200 OK")
    with stored_log(tmp_path) as log, serve_http(log, Limits(), body_timeout_s=0.02) as found:
        assert in_pieces(found, ORDINARY[:-5], 0.05).startswith(b"HTTP/1.1 408 ")


def test_a_body_beyond_what_is_collected_is_taken_by_the_application(ingest: Ingest) -> None:
    body = as_protobuf(logs(*[a_log(body={"stringValue": "x" * 1000})] * 100), "logs")
    large = LAST.replace(b"content-length: %d" % len(BODY), b"content-length: %d" % len(body))
    assert told(ingest, large[: -len(BODY)] + body).startswith(b"HTTP/1.1 200 OK")
    assert ingest.total("logs") == 100


def test_a_small_body_that_inflates_to_much_is_taken_by_a_thread(ingest: Ingest) -> None:
    padding = b"\x20\x00" * 2**20  # an unknown field
    for body in gzip.compress(BODY + padding), gzip.compress(BODY + padding) + gzip.compress(b""):
        head = b"connection: close\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
        assert told(ingest, PLAIN + head + body).startswith(b"HTTP/1.1 200 OK")
    assert ingest.total("logs") == 2


def test_a_sender_that_hangs_up_leaves_nothing_held(ingest: Ingest) -> None:
    host, _, port = ingest.address.partition(":")
    for sent in (ORDINARY[:-5], ORDINARY):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(sent)
    assert told(ingest, LAST).startswith(b"HTTP/1.1 200 OK")
    assert ingest.sample("foreshock_request_bytes_held") == 0


def test_requests_that_the_log_holds_up_are_answered_before_the_server_stops(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log:
        held: Future[list[int]] = Future()
        log.append_later = lambda messages: held  # type: ignore[method-assign]
        with ThreadPoolExecutor(1) as threads, serve_http(log, Limits()) as ingest:
            said = threads.submit(told, ingest, ORDINARY)
            while not ingest.sample("foreshock_request_bytes_held"):
                time.sleep(0.01)
            threading.Timer(0.3, held.set_result, [[1]]).start()
        answer = said.result()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"connection: close\r\n\r\n")


def test_what_the_log_refuses_later_is_answered_503(tmp_path: Path) -> None:
    with stored_log(tmp_path) as log:
        refused: Future[list[int]] = Future()
        refused.set_exception(StoreFailed("the disk is full"))
        log.append_later = lambda messages: refused  # type: ignore[method-assign]
        with serve_http(log, Limits()) as ingest:
            said = told(ingest, LAST)
            assert ingest.sample("foreshock_request_bytes_held") == 0
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in said
