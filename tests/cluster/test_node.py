"""A node whose log, state and documents lie in a cluster of three real servers."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.app.ingest.requests import a_span, as_json, traces
from tests.cluster.servers import Servers
from tests.nodes import counted, history_rows, run_node

pytestmark = pytest.mark.cluster

SPANS = 40


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.close()


def spans(now_ns: int, first: int) -> bytes:
    found = [
        a_span(
            startTimeUnixNano=str(now_ns + n),
            endTimeUnixNano=str(now_ns + n + 1),
            traceId=f"{first + n:032x}",
            spanId=f"{first + n:016x}",
            status={"code": 2} if n % 4 == 0 else {},
        )
        for n in range(SPANS)
    ]
    return as_json(traces(*found, service="shop"))


def test_counts_are_exact_and_predictions_go_on_whichever_server_dies(tmp_path: Path, servers: Servers) -> None:
    over: dict[str, Any] = {
        "nats_url": ",".join(servers.urls),
        "cluster__monitor_urls": tuple(servers.monitors),
        "cluster__partitions": 8,
        "cluster__streams": 2,
    }
    sent = 0
    with run_node(tmp_path, **over) as running:
        for number in range(3):
            for kill in (False, True):
                if kill:
                    servers.kill(number)
                assert running.post("traces", spans(running.now_ns, sent)).status_code == 200
                sent += SPANS
                running.tick()
            servers.start(number)
        assert counted(running.node, "total", "shop") == sent
        before = running.get("/api/v1/predictions/shop")
        rows = history_rows(tmp_path)
    with run_node(tmp_path, **over) as again:  # from the cluster alone: the folder holds nothing but history
        assert counted(again.node, "total", "shop") == sent
        assert again.get("/api/v1/predictions/shop")["id"] == before["id"]
        assert history_rows(tmp_path) == rows
        assert not (tmp_path / "store.db").exists()
