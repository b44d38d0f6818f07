"""What stands between the shop and several nodes: whichever node dies, every request counts once."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from app.demo.relay import Relay
from tests.app.ingest.requests import a_span, as_json, traces
from tests.cluster.servers import free_port
from tests.nodes import TICK_NS, counted, run_node
from tests.proxies import Proxy

JSON = {"content-type": "application/json"}


def a_request(number: int, now_ns: int | None = None) -> bytes:
    at = str(now_ns or time.time_ns())
    span = a_span(traceId=f"{number + 1:032x}", spanId=f"{number + 1:016x}", startTimeUnixNano=at, endTimeUnixNano=at)
    return as_json(traces(span, service="shop"))


@contextmanager
def relay_to(*targets: str, **changes: float) -> Generator[Relay]:
    relay = Relay(targets, **changes)  # type: ignore[arg-type]
    try:
        yield relay
    finally:
        relay.close()


@contextmanager
def answering(*statuses: int) -> Generator[tuple[str, list[bytes]]]:
    """A receiver that gives these answers in turn, the last one for ever, and keeps what came."""
    came: list[bytes] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(statuses[min(len(came), len(statuses)) - 1])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", came
    finally:
        server.shutdown()
        server.server_close()


def test_every_request_counts_once_though_one_node_is_gone_and_one_loses_its_answers(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        losing = Proxy(int(running.served.otlp_http.rpartition(":")[2]))
        losing.mute_at(b"shop")
        nodes = (f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{losing.port}", running.served.otlp_http)
        with relay_to(*nodes) as relay:
            for number in range(30):
                answer = httpx.post(f"{relay.url}/v1/traces", content=a_request(number, running.now_ns), headers=JSON)
                assert answer.status_code == 200
            while not relay.settle(0.1):
                losing.cut()
                losing.mute_at(b"shop")
            relayed = relay.relayed
        losing.close()
        assert (relayed.taken, relayed.lost, relayed.waiting) == (30, 0, 0)
        assert relayed.again > 10
        assert losing.lost_bytes
        running.tick(2)
        assert counted(running.node, "total", "shop") == 30
        assert running.now_ns % TICK_NS == 0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_to_come_again_comes_again_as_it_was(status: int) -> None:
    with answering(status, 200) as (url, came), relay_to(url) as relay:
        httpx.post(f"{relay.url}/v1/traces", content=b"as it was", headers=JSON)
        assert relay.settle(10.0)
        assert came == [b"as it was"] * 2
        assert relay.relayed.taken == relay.relayed.again == 1


def test_what_is_refused_for_good_is_lost_at_once() -> None:
    with answering(400) as (url, came), relay_to(url) as relay:
        httpx.post(f"{relay.url}/v1/traces", content=b"nonsense", headers=JSON)
        assert relay.settle(10.0)
        assert len(came) == relay.relayed.lost == 1


def test_what_no_node_takes_is_given_up_in_the_end() -> None:
    with relay_to(f"http://127.0.0.1:{free_port()}", retry_s=0.3) as relay:
        httpx.post(f"{relay.url}/v1/traces", content=b"nobody is there", headers=JSON)
        assert relay.settle(10.0)
        assert relay.relayed.lost == 1
        assert relay.relayed.again > 1


def test_when_too_much_waits_the_sender_is_told() -> None:
    with relay_to(f"http://127.0.0.1:{free_port()}", senders=1, size=1) as relay:
        answers = [httpx.post(f"{relay.url}/v1/traces", content=b"wait", headers=JSON) for _ in range(6)]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
