"""Three nodes of one cluster, each with a role of its own, do together what one node does alone."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.main import Node, Served
from app.replay import append_markers
from features.series import partition_of
from features.view import View
from tests.app.ingest.requests import a_span, as_json, traces
from tests.families import a_cluster
from tests.nodes import TICK_NS, settings_in, until

pytestmark = pytest.mark.cluster

OF_FORECASTS = {"supervision", "correlation", "channels", "senders", "alerting", "fitting", "otlp_export"}
PARTS = {"receiver", "worker", "jobs", "ticker", "champions", *OF_FORECASTS}
NOW_NS = 1_772_452_800 * 10**9
JSON = {"content-type": "application/json"}


@dataclass
class Trio:
    """A node of each role, and where they listen."""

    nodes: dict[str, Node]
    served: dict[str, Served]
    client: httpx.Client

    def get(self, role: str, path: str) -> httpx.Response:
        return self.client.get(self.served[role].api + path)


@pytest.fixture
def trio(tmp_path: Path) -> Generator[Trio]:
    family = a_cluster()
    with ExitStack() as stack:
        nodes: dict[str, Node] = {}
        for role in ("ingest", "worker", "api"):
            node = Node(settings_in(tmp_path / role, roles=role, **family), now_ns=lambda: NOW_NS)
            nodes[role] = stack.enter_context(closing(node))
        nodes["worker"].start_worker()
        nodes["api"].start_jobs()
        served = {role: node.start_servers() for role, node in nodes.items()}
        for role, node in nodes.items():
            node.start_peers(served[role])
        until(lambda: len(nodes["worker"].worker.held) == nodes["worker"].store.log.n_partitions, "the worker's partitions")
        yield Trio(nodes, served, stack.enter_context(httpx.Client(timeout=60.0)))


def test_what_one_takes_in_another_forecasts_and_a_third_answers(trio: Trio) -> None:
    span = a_span(startTimeUnixNano=str(NOW_NS), endTimeUnixNano=str(NOW_NS + 10**6))
    address = f"{trio.served['ingest'].otlp_http}/v1/traces"
    assert trio.client.post(address, content=as_json(traces(span, service="shop")), headers=JSON).status_code == 200
    tick = NOW_NS // TICK_NS
    append_markers(trio.nodes["worker"].store.log, range(tick, tick + 3), 60)
    until(lambda: trio.get("api", "/api/v1/predictions/shop").status_code == 200, "the forecast")
    assert trio.get("api", "/api/v1/predictions").json()["items"][0]["service"] == "shop"
    run = trio.client.post(f"{trio.served['api'].api}/api/v1/training-runs", json={"reason": "a test"})
    assert run.status_code == 202
    path = f"/api/v1/training-runs/{run.json()['id']}"
    until(lambda: trio.get("api", path).json()["state"] == "failed", "the run's end")
    assert "must hold at least 10 incidents" in trio.get("api", path).json()["error"], "its own history holds nothing"


def test_each_looks_after_its_own_part_and_names_the_role_that_it_lacks(trio: Trio) -> None:
    expected = {"ingest": {"log"}, "worker": {"log", "worker", "models"}, "api": {"log", "cache"}}
    for role, checks in expected.items():
        assert trio.get(role, "/livez").status_code == 200
        ready = trio.get(role, "/readyz?verbose")
        assert (ready.status_code, set(ready.json()["checks"])) == (200, checks), ready.text
        assert "foreshock_http_requests_total" in trio.get(role, "/metrics").text
    for role in ("ingest", "worker"):
        missing = trio.get(role, "/api/v1/predictions")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
        assert missing.json()["detail"] == (
            f"GET /api/v1/predictions is answered by nodes with the role api, and this one has {role}; ask another node"
        )
        posted = trio.client.post(f"{trio.served[role].api}/api/v1/feedback", json={})
        assert (posted.status_code, posted.json()["type"]) == (404, "urn:foreshock:problem:not-found")
    for role in ("worker", "api"):
        assert (trio.served[role].otlp_http, trio.served[role].otlp_grpc) == ("", "")
    assert trio.get("api", "/api/v1/predictions").json()["items"] == []


def test_none_makes_what_its_role_does_not_need(trio: Trio) -> None:
    made = {role: PARTS & set(vars(node)) for role, node in trio.nodes.items()}
    assert made == {"ingest": {"receiver"}, "worker": {"worker", "champions"}, "api": {"jobs"}}
    trio.nodes["worker"].store.documents.put("services", "default/x", b"{}")
    until(lambda: bool(trio.nodes["api"].store.documents.items("services")), "what an api node follows")
    assert len(trio.nodes["ingest"].peers.nodes().states) == 3
    assert trio.nodes["ingest"].store.documents.items("services") == [], "it knows the others, and nothing more"


def test_what_came_before_the_first_worker_is_not_late(tmp_path: Path) -> None:
    family = {**a_cluster(), "features__tick_s": 1, "features__lateness_s": 2}
    with (
        closing(Node(settings_in(tmp_path / "ingest", roles="ingest", **family))) as ingest,
        httpx.Client(timeout=60.0) as client,
    ):
        address = f"{ingest.start().otlp_http}/v1/traces"
        n_partitions, begun = ingest.store.log.n_partitions, time.time()
        services = sorted(("shop", "till"), key=lambda name: -partition_of("default", name, n_partitions))
        for at_s, service in zip((0.0, 5.0), services, strict=True):  # the partition that is read first is the younger one
            until(lambda at_s=at_s: time.time() >= begun + at_s, "the time of the next span")
            now = time.time_ns()
            body = as_json(traces(a_span(startTimeUnixNano=str(now), endTimeUnixNano=str(now)), service=service))
            assert client.post(address, content=body, headers=JSON).status_code == 200
        with closing(Node(settings_in(tmp_path / "worker", roles="worker", **family))) as worker:
            worker.start()
            until(lambda: counted(worker) == 2.0, "both spans in windows")
            assert worker.telemetry.value("late_groups") == 0.0


def counted(node: Node) -> float:
    """Return the requests of whole services that a node's memory holds."""
    memory = node.worker.flow.memory
    return float(View.of(memory).sum("total", 60)[memory.directory.is_whole[: len(memory.directory)]].sum())


def test_start_begins_what_the_roles_say(tmp_path: Path) -> None:
    family, threads = a_cluster(), dict[str, set[str]]()
    for roles in ("ingest", "worker", "api", "worker,api", "ingest,worker,api"):
        with closing(Node(settings_in(tmp_path / roles, roles=roles, **family))) as node:
            node.start()
            threads[roles] = {thread.name for thread in node._threads}  # pyright: ignore[reportPrivateUsage]
            node.check_alive()
    forecasts = {"worker", "clock", "triggers", "groups", "alerts", "alert thresholds"}
    assert threads == {
        "ingest": {"otlp-http", "clock", "api", "peers"},
        "worker": {*forecasts, "api", "peers"},
        "api": {"forgetting", "api", "peers"},
        "worker,api": {*forecasts, "api", "peers"},
        "ingest,worker,api": {"otlp-http", *forecasts, "api", "peers"},
    }
