"""Who owns what over a real server: a node that dies without a word, and how long it takes until others have what it held."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.membership import Membership
from app.ownership import OwnershipPlan
from app.store.jetstream import ClusterPlan, open_jetstream
from tests.cluster.servers import Servers
from tests.owners import ANode, Fence, a_member

pytestmark = pytest.mark.cluster

N = 16
ALL = frozenset(range(N))


@dataclass(frozen=True, slots=True)
class Running:
    """A node with a connection and a loop of its own."""

    node: ANode
    stop: threading.Event
    thread: threading.Thread
    close: Callable[[], None]


def started(servers: Servers, name: str, fence: Fence) -> Running:
    plan = ClusterPlan(partitions=4, streams=1, replicas=1)
    store = open_jetstream({"servers": servers.urls}, plan, lambda: datetime.now(UTC))
    node, stop = ANode(Membership(store.documents, a_member(name)), fence, OwnershipPlan(N)), threading.Event()
    thread = threading.Thread(target=node.ownership.run, args=(stop,), daemon=True)
    thread.start()
    return Running(node, stop, thread, store.close)


@pytest.fixture
def servers(tmp_path: Path) -> Generator[Servers]:
    running = Servers(tmp_path, 1)
    yield running
    running.close()


def until(met: Callable[[], bool], seconds: float = 60.0) -> float:
    began = time.monotonic()
    while not met():
        assert time.monotonic() - began < seconds
        time.sleep(0.002)
    return time.monotonic() - began


def test_a_node_that_stops_beating_is_replaced_within_seconds_and_one_that_leaves_within_less(servers: Servers) -> None:
    fence = Fence()
    a, b, c = (started(servers, name, fence) for name in "abc")
    nodes = [running.node for running in (a, b, c)]

    def shared(*among: ANode) -> bool:
        held = [n for node in among for n in node.holder.held]
        return sorted(held) == sorted(ALL) and all(node.ownership.nodes().unheld == [] for node in among)

    until(lambda: shared(*nodes))
    assert all(4 <= len(node.holder.held) <= 7 for node in nodes)

    c.stop.set()  # it beats no more, and says nothing
    c.thread.join(10.0)
    c.node.holder.want(frozenset())
    c.node.holder.tick()
    died_s = until(lambda: shared(a.node, b.node))
    assert b.node.ownership.nodes().states[2].state == "dead"

    leaving = threading.Thread(target=b.node.ownership.leave, args=(60.0,), daemon=True)
    leaving.start()
    until(lambda: not b.node.holder.wanted)
    b.node.holder.tick()
    left_s = until(lambda: a.node.holder.held == ALL)
    print(f"\ntaken over {died_s:.2f} s after the last beat of one that died, {left_s * 1000:.0f} ms after another let go")
    assert died_s < 5.0
    assert left_s < 2.0
    leaving.join(10.0)
    for running in (a, b, c):
        running.stop.set()
        running.thread.join(10.0)
        running.node.close()
        running.close()
