"""What a node asks before it trusts the store of a cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.store.cluster import ask_servers, open_cluster
from app.telemetry import Telemetry
from features.errors import DataInUse, InvalidSetting
from tests.cluster.servers import Servers, free_port
from tests.nodes import settings_in, until


@pytest.fixture
def unsynced(tmp_path: Path) -> Generator[Servers]:
    started = Servers(tmp_path, 1, sync="2m")
    yield started
    started.close()


def test_a_server_that_does_not_write_through_is_refused_unless_told_by_name(tmp_path: Path, unsynced: Servers) -> None:
    with pytest.raises(InvalidSetting, match="does not write through: set sync_interval: always"):
        ask_servers(unsynced.monitors, allow_unsynced=False)
    over = {"nats_url": unsynced.urls[0], "cluster__replicas": 1, "cluster__partitions": 2, "cluster__streams": 1}
    settings = settings_in(tmp_path / "data", **over, cluster__allow_unsynced=True)
    store = open_cluster(settings, lambda: None, Telemetry())  # type: ignore[arg-type, return-value]
    with pytest.raises(DataInUse):
        open_cluster(settings, lambda: None, Telemetry())  # type: ignore[arg-type, return-value]
    store.close()
    open_cluster(settings, lambda: None, Telemetry()).close()  # type: ignore[arg-type, return-value]


def test_servers_that_nobody_can_ask_are_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"cluster\.monitor_urls must name"):
        ask_servers((), allow_unsynced=False)
    with pytest.raises(InvalidSetting, match=r"http://127\.0\.0\.1:9 does not answer"):
        ask_servers(["http://127.0.0.1:9"], allow_unsynced=False)


def test_an_address_that_is_none_is_refused_by_the_setting() -> None:
    with pytest.raises(InvalidSetting, match=r"setting cluster\.monitor_urls: http://\[nowhere"):
        ask_servers(["http://[nowhere"], allow_unsynced=False)


def test_a_server_that_only_starts_is_asked_again() -> None:
    port, telemetry = free_port(), Telemetry()
    answers = {"config": {"sync_always": True}}

    class Monitor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answers).encode())

    def serve_late() -> None:
        until(lambda: telemetry.value("calls", target="monitor 0", outcome="failed") >= 1, "the first question")
        with HTTPServer(("127.0.0.1", port), Monitor) as server:
            server.timeout = 20.0
            server.handle_request()

    late = threading.Thread(target=serve_late)
    late.start()
    ask_servers([f"http://127.0.0.1:{port}"], False, telemetry)
    late.join()
    assert telemetry.value("retries", target="monitor 0") >= 1
