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

from app.ingest.connections import MAX_HEAD_BYTES
from app.ingest.limits import Limits
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


def test_a_head_that_is_too_large_is_answered_431_with_a_status(ingest: Ingest) -> None:
    head, _, body = told(ingest, HEAD + b"x: " + b"a" * MAX_HEAD_BYTES).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert str(MAX_HEAD_BYTES) in json.loads(body)["message"]


def test_a_head_below_the_bound_and_large_bodies_pass_on_one_connection(ingest: Ingest) -> None:
    body = b'{"x":"' + b"a" * 300_000 + b'"}'
    request = HEAD + b"x: " + b"a" * 60_000 + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    closing = request.replace(b"host: x", b"host: x\r\nconnection: close")
    assert told(ingest, request, request, closing).count(b"HTTP/1.1 200 OK") == 3


BODY = as_protobuf(logs(a_log()), "logs")
PLAIN = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
ORDINARY = PLAIN + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
LAST = ORDINARY.replace(b"host: x", b"host: x\r\nconnection: close")


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
