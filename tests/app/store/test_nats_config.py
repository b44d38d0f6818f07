"""Servers that really start with what is written for them."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.store.cluster import ask_servers
from app.store.jetstream import ClusterPlan, open_jetstream
from app.store.nats_config import Ports, server_configs
from features.errors import InvalidValue, StoreFailed
from tests.cluster.servers import BINARY, free_port, until_listening


@pytest.mark.parametrize("hosts", [[], ["a", "b"], ["a", "a", "b"], list("abcdef")])
def test_hosts_that_make_no_cluster_are_refused(hosts: list[str]) -> None:
    with pytest.raises(InvalidValue, match="three to five"):
        server_configs(hosts, "data")


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue, match="got 'a b'"):
        server_configs(["a b"], "data")


@pytest.mark.cluster
def test_three_servers_find_each_other_and_let_only_those_in_who_show_the_token(tmp_path: Path) -> None:
    hosts, ports, token = (
        ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
        Ports(free_port(), free_port(), free_port()),
        'a "quoted" t:k@n',
    )
    with ExitStack() as running:
        for host in hosts:
            path = tmp_path / f"{host}.conf"
            path.write_text(server_configs(hosts, str(tmp_path / host), ports, token)[host])
            process = running.enter_context(subprocess.Popen([BINARY, "-c", path, "-l", tmp_path / f"{host}.log"]))
            running.callback(process.kill)
        for host in hosts:
            until_listening(ports.client, host)
        ask_servers([f"http://{host}:{ports.monitor}" for host in hosts], allow_unsynced=False)
        servers = [f"nats://{host}:{ports.client}" for host in hosts]
        plan = ClusterPlan(partitions=4, streams=2, replicas=3)
        with pytest.raises(StoreFailed, match="Authorization"):
            open_jetstream({"servers": servers, "max_reconnect_attempts": 1}, plan, lambda: datetime.now(UTC))
        with open_jetstream({"servers": servers, "token": token}, plan, lambda: datetime.now(UTC)) as store:
            assert store.documents.put("members", "a", b"1")
