"""The samples for nginx and HAProxy, started before real nodes."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.app.ingest.wire import METHODS, PROTOBUF
from tests.cluster.servers import free_port
from tests.deploy.front import DEPLOY, KINDS, NODES, PORTS, Front, command, nobody, placed, ports_of, run_front, spans
from tests.nodes import RunningNode, run_node
from tests.proxies import Proxy

pytestmark = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.system(kind)) for kind in KINDS], scope="module"
)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[RunningNode]]:
    with ExitStack() as until_end:
        yield [until_end.enter_context(run_node(tmp_path_factory.mktemp(f"node{n}"))) for n in range(2)]


@pytest.fixture(scope="module")
def front(kind: str, nodes: list[RunningNode], tmp_path_factory: pytest.TempPathFactory) -> Generator[Front]:
    """Two nodes, and a third one that died."""
    places = [*(ports_of(node.served) for node in nodes), nobody()]
    with run_front(kind, tmp_path_factory.mktemp(kind), places) as started:
        yield started


# The example of RFC 6455, 1.3; HAProxy looks whether a handshake is one.
HANDSHAKE = (
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
ACCEPTED = b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


class Pages:
    """Answers as a node's pages do, and keeps what it was asked; NiceGUI itself is there once in a process."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = client.recv(2**16)
            if b"/readyz" not in head:
                self.asked.append(head)
            if b"upgrade: websocket" in head.lower():
                client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" + ACCEPTED)
            else:
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")


def received(node: RunningNode) -> float:
    return node.metric("foreshock_records_total", signal="traces")


def test_requests_go_to_all_nodes_that_live_and_none_is_lost(front: Front, nodes: list[RunningNode]) -> None:
    before = [received(node) for node in nodes]
    with ThreadPoolExecutor(8) as senders, httpx.Client(base_url=f"http://{front.otlp_http}", timeout=30) as client:
        bodies = [spans(nodes[0].now_ns, 1000 + n) for n in range(60)]
        answers = list(senders.map(lambda body: client.post("/v1/traces", content=body, headers=PROTOBUF), bodies))
    assert [answer.status_code for answer in answers] == [200] * 60
    shares = [received(node) - was for node, was in zip(nodes, before, strict=True)]
    assert sum(shares) == 60
    assert min(shares) > 10


def test_a_body_as_large_as_otlp_allows_for_comes_through(front: Front, nodes: list[RunningNode]) -> None:
    body = spans(nodes[0].now_ns, 50_000, 30, large=os.urandom(500_000).hex())
    assert len(body) > 25 * 2**20
    headers = {**PROTOBUF, "content-encoding": "gzip"}
    answer = httpx.post(f"http://{front.otlp_http}/v1/traces", content=gzip.compress(body, 1), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def test_grpc_comes_through_with_its_tenant(front: Front, nodes: list[RunningNode]) -> None:
    before = sum(received(node) for node in nodes)
    with grpc.insecure_channel(front.otlp_grpc) as channel:
        call = channel.unary_unary(METHODS["traces"])
        answers = [
            call(spans(nodes[0].now_ns, 2000 + n, 2), metadata=(("x-scope-orgid", "acme"),), timeout=30) for n in range(20)
        ]
    assert {ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans for answer in answers} == {0}
    assert sum(received(node) for node in nodes) - before == 40


def test_rest_comes_through_and_metrics_do_not(front: Front, nodes: list[RunningNode]) -> None:
    with httpx.Client(base_url=f"http://{front.api}", timeout=30) as client:
        assert {client.get("/readyz").status_code for _ in range(20)} == {200}
        assert client.get("/api/v1/predictions").status_code == 200
        refused = client.get("/api/v1/predictions", params={"limit": 0})
        assert refused.headers["content-type"] == "application/problem+json"
        assert client.get("/metrics").status_code == 404
        error = {"message": "connection refused"}
        assert client.post("/api/v1/errors:classify", json=error).status_code == 200


def test_the_stream_is_not_held_back(front: Front, nodes: list[RunningNode]) -> None:
    for node in nodes:
        node.post("traces", spans(node.now_ns, 3000, 30), content_type=PROTOBUF["content-type"])
    with (
        httpx.Client(timeout=15) as client,
        client.stream("GET", f"http://{front.api}/api/v1/stream", params={"event": "prediction"}) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        for node in nodes:
            node.tick()
        assert next(line for line in lines if line.startswith("event: ")) == "event: prediction"


def test_a_page_and_its_socket_stay_at_one_node(kind: str, tmp_path: Path) -> None:
    with ExitStack() as until_end:
        pages = [until_end.enter_context(closing(Pages())) for _ in NODES]
        front = until_end.enter_context(run_front(kind, tmp_path, [{**nobody(), "api": page.port} for page in pages]))
        host, _, port = front.api.partition(":")
        for path in ("/", "/service/payment", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket") * 4:
            with socket.create_connection((host, int(port)), 10) as client:
                upgrade = HANDSHAKE if "websocket" in path else "connection: close\r\n"
                client.sendall(f"GET {path} HTTP/1.1\r\nhost: foreshock\r\n{upgrade}\r\n".encode())
                status = client.recv(2**16).split(b" ", 2)[1]
            assert status == (b"101" if "websocket" in path else b"200")
    asked = [page.asked for page in pages if page.asked]
    assert [len(one) for one in asked] == [12], "all of one visitor at one node"
    assert sum(b"upgrade: websocket" in head.lower() for head in asked[0]) == 4


def test_a_request_whose_answer_was_lost_is_passed_on(
    kind: str, nodes: list[RunningNode], tmp_path: Path, front: Front
) -> None:
    """A node that dies between having a request and answering it: the sender sees an answer of another one."""
    dying = Proxy(ports_of(nodes[0].served)["otlp_http"])
    places = [
        {**nobody(), "otlp_http": dying.port, "api": ports_of(nodes[0].served)["api"]},
        nobody(),
        ports_of(nodes[1].served),
    ]
    before = [received(node) for node in nodes]
    dying.mute_at(b"the answer to this is lost")
    with run_front(kind, tmp_path, places) as started, ThreadPoolExecutor(1) as sender:
        bodies = [spans(nodes[0].now_ns, 4000 + n, said="the answer to this is lost") for n in range(6)]

        def send(body: bytes) -> int:
            return httpx.post(f"http://{started.otlp_http}/v1/traces", content=body, headers=PROTOBUF, timeout=30).status_code

        asked = sender.submit(lambda: [send(body) for body in bodies])
        while not asked.done():
            if dying.lost_bytes:
                dying.cut()
            time.sleep(0.05)
        assert asked.result() == [200] * 6
    dying.close()
    shares = [received(node) - was for node, was in zip(nodes, before, strict=True)]
    assert sum(shares) > 6, "no request was with both, so that nothing was passed on"


def test_a_sample_passes_the_check_of_its_program(kind: str, tmp_path: Path) -> None:
    listens = {name: free_port() for name in PORTS}
    text = placed((DEPLOY / KINDS[kind]).read_text(), listens, [nobody()] * 3)
    assert not any(f"{node}:" in text for node in NODES)
    config = tmp_path / KINDS[kind]
    config.write_text(text.replace("/tmp/", f"{tmp_path}/"))
    check = [*command(kind, config, tmp_path), "-t"] if kind == "nginx" else ["haproxy", "-c", "-f", str(config)]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "warn" not in answer.stderr.lower()
