"""What is answered before there is a request, and how much of one may come without a body."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from app.ingest.connections import MAX_HEAD_BYTES
from app.ingest.limits import Limits
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
