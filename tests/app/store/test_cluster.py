"""What a node asks before it trusts the store of a cluster."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from app.store.cluster import ask_servers, open_cluster
from app.telemetry import Telemetry
from features.errors import DataInUse, InvalidSetting
from tests.cluster.servers import Servers
from tests.nodes import settings_in


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
