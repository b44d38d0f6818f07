"""Two workers that share a tenant's services on one cluster: one of them decides and tells of its learning, and a hand-over keeps what was learned."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from app.cache.documents import tenant_key
from app.main import Node
from app.replay import append_markers
from features.series import partition_of
from tests.app.ingest.requests import a_span, as_json, span_id, traces
from tests.families import a_cluster
from tests.nodes import settings_in, until

pytestmark = pytest.mark.cluster

TICK_S = 300
FIRST = 1_772_452_800 // TICK_S
PARTITIONS = 8
SERVICES = {"red": [f"s{n}" for n in range(4)], "blue": ["alone"]}


class Pair:
    """Two nodes whose workers the test moves, and the time that they are told."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        family, self.tick = a_cluster(), FIRST
        self.nodes: list[Node] = []
        for name in ("a", "b"):
            settings = settings_in(folder / name, features__tick_s=TICK_S, store__checkpoint_s=3600.0, **family)
            node = Node(settings, now_ns=lambda: self.tick * TICK_S * 10**9)
            self.nodes.append(stack.enter_context(closing(node)))

    def lives(self, ticks: int) -> None:
        for _ in range(ticks):
            for tenant, services in SERVICES.items():
                for service in services:
                    start_ns = self.tick * TICK_S * 10**9
                    spans = [
                        a_span(
                            spanId=span_id(n + 1), startTimeUnixNano=str(start_ns + n), endTimeUnixNano=str(start_ns + n + 1)
                        )
                        for n in range(2)
                    ]
                    self.nodes[0].receiver.take(tenant, "traces", "json", as_json(traces(*spans, service=service)))[1].result()
            self.tick += 1
            append_markers(self.nodes[0].store.log, range(self.tick, self.tick + 1), TICK_S)
            until(self._drained, f"tick {self.tick}")

    def _drained(self) -> bool:
        for node in self.nodes:
            node.worker.drain()
        return all(node.worker.flow.memory.tick == self.tick for node in self.nodes if node.worker.held)

    def shares(self, *parts: frozenset[int]) -> None:
        for node, part in zip(self.nodes, parts, strict=True):
            node.worker.want(part)
        for node in self.nodes:
            node.worker.drain()

    def told(self) -> dict[str, Any]:
        """Return what is shown of red's learning, as the cluster has it and not as a node has heard it."""
        found = self.nodes[0].store.documents.get("learning", tenant_key("red", "*"))
        assert found is not None
        return json.loads(found.value)

    def homes(self, tenant: str) -> list[bool]:
        return [node.home(tenant) for node in self.nodes]


def test_one_of_two_nodes_is_a_tenants_home_and_tells_of_its_learning(tmp_path: Path) -> None:
    placed = {tenant: [partition_of(tenant, s, PARTITIONS) for s in services] for tenant, services in SERVICES.items()}
    lowest = min(placed["red"])
    one = frozenset(range(lowest + 1))
    other = frozenset(range(PARTITIONS)) - one
    assert set(placed["red"]) & other, "both nodes have services of the tenant"
    with ExitStack() as stack:
        pair = Pair(tmp_path, stack)
        pair.shares(one, other)
        pair.lives(60)
        for tenant in SERVICES:
            holds = [min(placed[tenant]) in part for part in (one, other)]
            until(lambda tenant=tenant, holds=holds: pair.homes(tenant) == holds, f"the home of {tenant}")
        pair.lives(1)
        told = pair.told()
        learned = [node.worker.flow.learners.of("red").online.n_rows for node in pair.nodes]
        assert min(learned) > 0
        assert told["online_rows"] == learned[0] != learned[1], "of the home's learners"
        pair.shares(frozenset(), frozenset(range(PARTITIONS)))
        pair.lives(2)
        assert pair.nodes[1].worker.held == frozenset(range(PARTITIONS))
        until(lambda: pair.homes("red") == [False, True], "the new home")
        pair.lives(1)
        kept = pair.nodes[1].worker.flow.learners
        assert kept.of("red").online.n_rows >= max(learned)
        waiting = {kept.memory.directory.keys[row].service for p in kept.waiting("red").pending for row in p.rows.tolist()}
        assert waiting == set(SERVICES["red"])
        told = pair.told()
        assert told["online_rows"] == kept.of("red").online.n_rows
