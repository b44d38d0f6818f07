"""Incidents of services that lie on two nodes become one group, and another home goes on with it when the first one is killed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.series import partition_of
from tests.app.ingest.requests import a_span, as_protobuf, traces
from tests.cluster.load import Load
from tests.cluster.nodes import Cluster, NodeProcess, Shape

pytestmark = pytest.mark.cluster

SHAPE = Shape(nodes=3, servers=3, partitions=6, streams=2)
REQUESTS = 20  # a tick
CALM = timedelta(seconds=10 * SHAPE.tick_s)
PATIENCE_S = 180.0


class Cascade:
    """Requests that go through some services, one after the other, in one trace; those of `broken` fail in each that they reach."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.services: tuple[str, ...] = ()
        self.broken: tuple[str, ...] = ()
        self._made = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def begin(self, *services: str) -> None:
        self.services = services
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(60.0)

    def _send(self) -> None:
        pause_s = SHAPE.tick_s / REQUESTS
        while not self._stop.wait(pause_s):
            self._made += 1
            now_ns = time.time_ns()
            for depth, service in enumerate(self.services):
                failed: dict[str, Any] = {"status": {"code": 2, "message": "no space left"}} if service in self.broken else {}
                span = a_span(
                    traceId=f"{self._made:032x}",
                    spanId=f"{self._made * 10 + depth:016x}",
                    startTimeUnixNano=str(now_ns - 10**7),
                    endTimeUnixNano=str(now_ns),
                    **failed,
                )
                self._insist(as_protobuf(traces(span, service=service), "traces"))

    def _insist(self, body: bytes) -> None:
        while not self._stop.is_set() and not any(not Load.post(node.ports["http"], body) for node in self.cluster.living):
            self._stop.wait(0.2)


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[Cluster]:
    running = Cluster(tmp_path, SHAPE)
    yield running
    running.close()


def until(cluster: Cluster, met: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := met():
                return found
        except httpx.HTTPError:
            pass  # a node that is busy, or starts
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {node.name}\n{node.tail()}" for node in cluster.nodes)
            raise TimeoutError(f"waited {PATIENCE_S:g} s for {what}\n{logs}")
        time.sleep(0.2)


def asked(node: NodeProcess, path: str) -> Any:
    return httpx.get(f"{node.api}/api/v1/{path}", timeout=5.0).raise_for_status().json()


def holders(cluster: Cluster) -> dict[int, NodeProcess]:
    """Return who holds each partition, by what the first living node sees."""
    by_name = {node.name: node for node in cluster.living}
    told = asked(cluster.living[0], "nodes")
    held = {p: by_name[one["id"]] for one in told["items"] if one["id"] in by_name for p in one["partitions"]}
    return held if len(held) == SHAPE.partitions and not told["unheld"] else {}


def evenly(held: dict[int, NodeProcess]) -> dict[int, NodeProcess]:
    """Return who holds what once nothing has to move any more."""
    counts = Counter(node.name for node in held.values())
    return held if len(counts) == SHAPE.nodes and len(set(counts.values())) == 1 else {}


def service_in(partition: int) -> str:
    return next(name for n in range(10_000) if partition_of("default", name := f"svc-{n}", SHAPE.partitions) == partition)


def as_of(node: NodeProcess, service: str) -> datetime:
    return datetime.fromisoformat(asked(node, f"predictions/{service}")["as_of"])


def group_of_all(node: NodeProcess, services: set[str]) -> dict[str, Any] | None:
    """Return the only group, once it has open incidents of all of some services."""
    incidents = {one["id"]: one["service"] for one in asked(node, "incidents?limit=500")["items"]}
    groups = asked(node, "groups")["items"]
    if len(groups) != 1 or not services <= {incidents.get(name, "") for name in groups[0]["incidents"]}:
        return None
    return groups[0]


def group_ids(node: NodeProcess) -> set[str | None]:
    return {one["group_id"] for one in asked(node, "incidents?limit=500")["items"]}


def test_incidents_on_two_nodes_are_one_group_and_it_keeps_its_name_when_its_home_is_killed(cluster: Cluster) -> None:
    held = until(cluster, lambda: evenly(holders(cluster)), "two partitions a node")
    home = held[0]  # the lowest partition with a service decides who is home
    others = sorted(p for p, node in held.items() if node is not home)
    first, second, third = (service_in(p) for p in (0, others[0], others[-1]))
    survivor = held[others[0]]
    cascade = Cascade(cluster)
    cascade.begin(first, second, third)
    try:
        until(
            cluster,
            lambda: {one["service"] for one in asked(survivor, "services")["items"]} == {first, second, third},
            "all services",
        )
        began = as_of(survivor, third)
        until(cluster, lambda: as_of(survivor, third) - began >= CALM, "a past in which nothing fails")
        assert asked(survivor, "groups")["items"] == []
        cascade.broken = (first, second)
        before = until(cluster, lambda: group_of_all(survivor, {first, second}), "one group of both")
        assert held == holders(cluster), "the services lie where they lay"
        home.kill()
        cascade.broken = (first, second, third)
        after = until(cluster, lambda: group_of_all(survivor, {first, second, third}), "the third incident in the same group")
        assert after["id"] == before["id"]
        assert set(before["incidents"]) <= set(after["incidents"])
        assert after["merged"] == []
        assert {one["service"] for one in after["services"]} >= {first, second, third}
        assert {cause["service"] for cause in after["causes"]} <= {first, second, third}
        until(cluster, lambda: group_ids(survivor) == {after["id"]}, "every incident in that group")
        assert [one["id"] for node in cluster.living for one in asked(node, "groups")["items"]] == [after["id"]] * 2
    finally:
        cascade.end()
