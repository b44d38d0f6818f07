"""What HAProxy does by `/readyz`; nginx asks nobody."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.main import Node
from tests.app.ingest.wire import PROTOBUF
from tests.deploy.front import Ports, nobody, ports_of, run_front, spans
from tests.nodes import run_node, settings_in, until

pytestmark = pytest.mark.system("haproxy")


@pytest.fixture
def unready(tmp_path: Path) -> Generator[Ports]:
    """A node that listens without its worker, and so is not ready."""
    with closing(Node(settings_in(tmp_path / "unready"))) as node:
        ports = ports_of(node.start_servers())
        assert httpx.get(f"http://127.0.0.1:{ports['api']}/readyz").status_code == 503
        yield ports


def records_of(ports: Ports) -> float:
    lines = httpx.get(f"http://127.0.0.1:{ports['api']}/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith('foreshock_records_total{signal="traces"}')), 0.0)


def send(address: str, first: int, n: int) -> list[int]:
    bodies = [spans(time.time_ns(), first + i) for i in range(n)]
    return [httpx.post(f"http://{address}/v1/traces", content=body, headers=PROTOBUF).status_code for body in bodies]


def test_a_node_that_is_not_ready_gets_nothing_while_another_one_is(tmp_path: Path, unready: Ports) -> None:
    with (
        run_node(tmp_path / "ready") as ready,
        run_front("haproxy", tmp_path, [unready, ports_of(ready.served), nobody()]) as front,
    ):

        def none_fails() -> bool:
            return {httpx.get(f"http://{front.api}/readyz").status_code for _ in range(10)} == {200}

        until(none_fails, "the node that is not ready to be left out")
        before = records_of(unready)
        assert send(front.otlp_http, 1000, 20) == [200] * 20
        assert records_of(unready) == before
        assert ready.metric("foreshock_records_total", signal="traces") >= 20


def test_while_none_is_ready_those_that_live_take_what_comes(tmp_path: Path, unready: Ports) -> None:
    with run_front("haproxy", tmp_path, [unready, unready, unready]) as front:
        for part in ("otlp_http", "api"):
            until(
                lambda part=part: f"backend {part} has no server available" in front.log.read_text(),
                f"the checks of {part} to fail",
            )
        assert send(front.otlp_http, 2000, 10) == [200] * 10
        assert records_of(unready) >= 10
        assert httpx.get(f"http://{front.api}/livez").status_code == 200
