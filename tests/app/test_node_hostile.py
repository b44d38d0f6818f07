"""What hostile senders write to the HTTP listeners of a running node, as bytes: each shape is refused, and the node goes on."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from app.ingest.connections import MAX_HEAD_BYTES
from tests.app.ingest.requests import a_log, as_json, logs
from tests.nodes import RunningNode, run_node

BODY = as_json(logs(a_log()))
PORTS = ("api", "otlp_http")
ONE = {"api": b"POST /api/v1/errors:classify", "otlp_http": b"POST /v1/logs"}
GOOD = {"api": b'{"message": "deadlock detected"}', "otlp_http": BODY}
LISTED = {"api": b"GET /api/v1/incidents", "otlp_http": b"GET /v1/logs"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningNode]:
    with run_node(tmp_path_factory.mktemp("hostile"), server__keep_alive_s=2, ingest__body_timeout_s=2.0) as running:
        yield running


def said(node: RunningNode, port: str, *pieces: bytes, timeout_s: float = 30.0) -> bytes:
    """Send bytes, and return everything that comes until the node hangs up."""
    host, _, number = getattr(node.served, port).removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(number)), timeout=timeout_s) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        found = bytearray()
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                found += piece
    return bytes(found)


def statuses(answer: bytes) -> list[int]:
    """Return the statuses of all answers on a connection."""
    found: list[int] = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        found.append(int(head.split(b" ", 2)[1]))
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        answer = rest[length:]
    return found


def post(port: str, *headers: bytes, body: bytes | None = None, closing: bool = True) -> bytes:
    lines = [ONE[port] + b" HTTP/1.1", b"host: localhost", b"content-type: application/json", *headers]
    lines += [b"connection: close"] if closing else []
    return b"\r\n".join(lines) + b"\r\n\r\n" + (GOOD[port] if body is None else body)


def still_answers(node: RunningNode) -> None:
    assert node.get("/livez") == {"status": "ok"}
    assert node.post("logs", BODY).status_code == 200


SMUGGLED = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.mark.parametrize("port", PORTS)
class TestSmuggling:
    """No request may be read as two by one who reads its length another way than a proxy before it did."""

    def test_length_and_chunks_together_are_refused(self, node: RunningNode, port: str) -> None:
        for order in (
            (b"content-length: 6", b"transfer-encoding: chunked"),
            (b"transfer-encoding: chunked", b"content-length: 6"),
        ):
            answer = said(node, port, post(port, *order, body=b"0\r\n\r\n" + SMUGGLED, closing=False))
            assert statuses(answer) == [400]
        still_answers(node)

    def test_two_lengths_are_refused_even_if_they_agree(self, node: RunningNode, port: str) -> None:
        n = len(GOOD[port])
        for first, second in ((n, 0), (0, n), (n, n)):
            lengths = (b"content-length: %d" % first, b"content-length: %d" % second)
            assert statuses(said(node, port, post(port, *lengths, body=GOOD[port] + SMUGGLED, closing=False))) == [400]
        still_answers(node)

    @pytest.mark.parametrize(
        "length", [b"-1", b"+5", b"0x5", b"5, 5", b"5 5", b"", b"1_0", b"5;", b"9" * 40, "\u0665".encode()], ids=repr
    )
    def test_a_length_that_is_no_number_is_refused(self, node: RunningNode, port: str, length: bytes) -> None:
        answer = said(node, port, post(port, b"content-length: " + length, body=SMUGGLED, closing=False))
        assert statuses(answer) == [400]

    @pytest.mark.parametrize(
        "coding",
        [b"chunked, identity", b"identity", b"xchunked", b"chunked\x0b", b" chunked, chunked", b"gzip", b"\x00chunked"],
        ids=repr,
    )
    def test_a_framing_that_is_not_known_is_refused(self, node: RunningNode, port: str, coding: bytes) -> None:
        answer = said(node, port, post(port, b"transfer-encoding: " + coding, body=b"0\r\n\r\n" + SMUGGLED, closing=False))
        assert statuses(answer)[0] in {400, 501}
        assert len(statuses(answer)) == 1

    @pytest.mark.parametrize(
        "line",
        [
            b"transfer-encoding : chunked",
            b" transfer-encoding: chunked",
            b"content-length : 5",
            b"x y: z",
            b"x\x00: z",
            b": z",
            b"x",
        ],
        ids=repr,
    )
    def test_a_header_that_is_written_oddly_is_refused(self, node: RunningNode, port: str, line: bytes) -> None:
        answer = said(
            node, port, post(port, line, b"content-length: %d" % len(GOOD[port]), body=GOOD[port] + SMUGGLED, closing=False)
        )
        assert statuses(answer) == [400]

    @pytest.mark.parametrize(
        "chunk", [b"5;\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n", b"-5\r\n", b"5\nhello", b"fffffffffffffffff\r\n"], ids=repr
    )
    def test_a_chunk_that_is_framed_oddly_is_refused(self, node: RunningNode, port: str, chunk: bytes) -> None:
        answer = said(node, port, post(port, b"transfer-encoding: chunked", body=chunk))
        assert statuses(answer)[0] in {400, 422}

    def test_a_header_may_not_go_on_in_the_next_line(self, node: RunningNode, port: str) -> None:
        folded = b"x-scope-orgid: team-a\r\n content-length: 0"
        answer = said(node, port, post(port, folded, b"content-length: %d" % len(GOOD[port])))
        assert statuses(answer)[0] == 400


INJECTED = [
    "team-a\r\nx-injected: 1",
    "team-a\nx-injected: 1",
    "team-a\rx-injected: 1",
    "team-a\x00",
    "../../etc",
    "a b",
    "é",
    "%0d%0ax-injected:1",
]


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("name", INJECTED, ids=repr)
def test_no_tenant_name_brings_a_header_or_a_path_with_it(node: RunningNode, port: str, name: str) -> None:
    header = b"X-Scope-OrgID: " + name.encode()
    answer = said(node, port, post(port, header, b"content-length: %d" % len(GOOD[port])))
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"x-injected" not in head
    if b"\r\n" in header or b"\n" in header:  # a line of its own is a header of its own, which nothing reads
        assert statuses(answer)[0] in {200, 400}
    else:
        assert statuses(answer) == [400]


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "path",
    [
        b"/%0d%0ax-injected:%201",
        b"/api/v1/incidents/%0d%0ax-injected:%201",
        b"/\rx-injected: 1",
        b"/\x00",
        b"/a\x7fb",
        b"/\xff\xfe",
    ],
    ids=repr,
)
def test_no_path_brings_a_header_with_it(node: RunningNode, port: str, path: bytes) -> None:
    answer = said(node, port, b"GET " + path + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert statuses(answer)[0] in {400, 404, 405}
    assert b"\nx-injected" not in head
    assert b"\rx-injected" not in head


@pytest.mark.parametrize("key", ["k\r\nx-injected: 1", "k\rx", "k\x00", "k" * 256, "\u00ff\u00fe", " "], ids=repr)
def test_no_idempotency_key_brings_a_header_with_it(node: RunningNode, key: str) -> None:
    body = b'{"reason": "hostile"}'
    request = (
        b"POST /api/v1/training-runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
    )
    answer = said(
        node, "api", request + b"content-length: %d\r\nidempotency-key: %b\r\n\r\n%b" % (len(body), key.encode("latin-1"), body)
    )
    assert statuses(answer)[0] in {202, 400, 409, 422, 429, 503}
    assert b"x-injected" not in answer.partition(b"\r\n\r\n")[0].lower()


TRAVERSALS = [
    b"/../etc/passwd",
    b"/..%2f..%2fetc%2fpasswd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/%252e%252e/etc/passwd",
    b"//etc/passwd",
    b"/api/v1/../../livez",
    b"/api/v1/models/..%2f..%2fsigning.key",
    b"/api/v1/models/%2e%2e%2f%2e%2e%2fsigning.key",
    b"/api/v1/models/..%5c..%5csigning.key",
    b"/api/v1/models/%00",
    b"/api/v1/models/x%00.json",
    b"/api/v1/backtests/..%2f..%2fstore.db",
    b"/api/v1/backtests/..%2f..%2fstore.db/page",
    b"/api/v1/backtests/%2e%2e/page",
    b"/api/v1/training-runs/..%2f..%2fsigning.key",
    b"/api/v1/training-runs/%00",
    b"/api/v1/incidents/..%2f..%2fsigning.key",
    b"/api/v1/predictions/..%2f..%2fstore.db",
    b"/api/v1/predictions/%00",
    b"/api/v1/alerts/..%2f..%2fstore.db",
    b"/api/v1/silences/..%2f..%2fstore.db",
    b"/api/v1/feedback/..%2f..%2fstore.db",
    b"/api/v1/trends/..%2f..%2fstore.db",
]


@pytest.mark.parametrize("path", TRAVERSALS, ids=repr)
def test_no_path_leads_out_of_what_is_served(node: RunningNode, path: bytes) -> None:
    key = (node.node.settings.data / "signing.key").read_bytes()
    answer = said(node, "api", b"GET " + path + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert statuses(answer)[0] in {400, 404, 405, 422}
    assert b"root:" not in answer
    assert b"SQLite format" not in answer
    assert key not in answer


@pytest.mark.parametrize("suffix", ["..%2f..%2fsigning.key:promote", "%2e%2e:promote", "x%00:promote", "x%0d%0ay:promote"])
def test_no_name_of_a_model_is_a_path(node: RunningNode, suffix: str) -> None:
    answer = node.client.post(f"{node.served.api}/api/v1/models/{suffix}", json={"who": "x"})
    assert answer.status_code in {404, 422}
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize("port", PORTS)
class TestSize:
    def test_a_head_is_bounded_in_bytes_and_in_number(self, node: RunningNode, port: str) -> None:
        for more in (b"x: " + b"a" * MAX_HEAD_BYTES, b"\r\n".join([b"x: y"] * 300), b"cookie: " + b"a=b; " * 20_000):
            assert statuses(said(node, port, post(port, more, b"content-length: 2", body=b"{}")))[0] == 431
        still_answers(node)

    def test_a_body_is_bounded_whether_it_says_its_length_or_not(self, node: RunningNode, port: str) -> None:
        most = 64 * 2**20
        declared = said(node, port, post(port, b"content-length: %d" % (most + 1), body=b"a" * 2**20))
        assert declared == b"" or statuses(declared)[0] in {408, 413}
        chunk = b"100000\r\n" + b"a" * 2**20 + b"\r\n"
        chunked = said(node, port, post(port, b"transfer-encoding: chunked", body=b""), *[chunk] * 200)
        assert chunked == b"" or statuses(chunked)[0] in {400, 413, 422}
        still_answers(node)

    def test_one_who_sends_a_byte_now_and_then_is_given_up(self, node: RunningNode, port: str) -> None:
        # A head: two seconds, `server.keep_alive_s`; the node hangs up although bytes came in between.
        begun = ONE[port] + b" HTTP/1.1\r\nhost: localhost\r\n"
        assert said(node, port, *(begun[n : n + 1] for n in range(len(begun)))) == b""
        # A body: two seconds, `ingest.body_timeout_s`.
        slow = said(node, port, post(port, b"content-length: 1000", body=b'{"a'))
        assert slow == b"" or statuses(slow) == [408]
        still_answers(node)


def test_a_problem_quotes_what_it_was_asked_as_text(node: RunningNode) -> None:
    path = b"/api/v1/%3Cscript%3Ealert(1)%3C/script%3E"
    answer = said(node, "api", b"GET " + path + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == 404


def test_a_proxy_is_not_what_this_is(node: RunningNode) -> None:
    for port in PORTS:
        asked = b"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nhost: 169.254.169.254\r\nconnection: close\r\n\r\n"
        assert statuses(said(node, port, asked))[0] in {400, 404, 405}
        connect = b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: 169.254.169.254:80\r\n\r\n"
        assert statuses(said(node, port, connect))[0] in {400, 404, 405}


def test_files_of_the_node_hold_only_names_that_it_made(node: RunningNode) -> None:
    folder: Path = node.node.settings.data
    names = {path.name for path in folder.rglob("*")}
    assert not [name for name in names if ".." in name or "\x00" in name or "injected" in name]
