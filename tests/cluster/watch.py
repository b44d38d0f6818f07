"""Asks every node that lives, some times a second, how new its predictions are and who holds what."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from tests.cluster.nodes import Cluster, NodeProcess

__all__ = ["Sample", "Watch"]

_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """What one node said.

    Parameters
    ----------
    at : float
        When it was asked, on the monotonic clock.
    node : str
        Who.
    as_of : Mapping of str to float
        Unix second of the newest prediction by service.
    held : Mapping of int to str, optional
        Holders by partition; None where nodes do not tell.
    """

    at: float
    node: str
    as_of: Mapping[str, float]
    held: Mapping[int, str] | None


@dataclass(eq=False)
class Watch:
    """Collects samples on a thread."""

    cluster: Cluster
    samples: list[Sample] = field(default_factory=list[Sample])
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: dict[str, threading.Thread] = field(default_factory=dict[str, threading.Thread])

    def look(self) -> None:
        """Begin to ask all nodes that there are now; those that are asked already go on."""
        for node in self.cluster.nodes:
            if node.name not in self._threads:
                thread = threading.Thread(target=self._ask, args=(node,), name=f"watch-{node.name}", daemon=True)
                self._threads[node.name] = thread
                thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        for thread in self._threads.values():
            thread.join(10.0)

    def resumed(self, since: float, as_of: float, services: Collection[str], nodes: Sequence[NodeProcess]) -> float | None:
        """Return when all of some nodes had a prediction of every service newer than a unix second, None if that is not so yet."""
        found: list[float] = []
        for node in nodes:
            good = (s.at for s in self._since(since) if s.node == node.name and _all_newer(s.as_of, as_of, services))
            first = next(good, None)
            if first is None:
                return None
            found.append(first)
        return max(found, default=None)

    def handed_over(self, since: float, gone: Collection[str]) -> float | None:
        """Return when a node first said that every partition is held by one that is not gone, None if none said so yet."""
        partitions = range(self.cluster.shape.partitions)
        for sample in self._since(since):
            held = sample.held
            if held and sample.node not in gone and all(held.get(n) not in (None, *gone) for n in partitions):
                return sample.at
        return None

    @property
    def tells_holders(self) -> bool:
        """Whether nodes tell who holds what."""
        return any(sample.held is not None for sample in self.samples[-20:])

    def holders(self) -> frozenset[str]:
        """Return all that hold something, by what was heard last."""
        held = next((sample.held for sample in reversed(self.samples) if sample.held is not None), {})
        return frozenset(held.values())

    def _since(self, since: float) -> list[Sample]:
        return [sample for sample in list(self.samples) if sample.at >= since]

    def _ask(self, node: NodeProcess) -> None:
        with httpx.Client(base_url=node.api, timeout=1.0) as client:
            while not self._stop.wait(_PAUSE_S):
                if not node.alive or node.paused:
                    continue
                at = time.monotonic()
                try:
                    shown = client.get("/api/v1/predictions", params={"operations": "whole", "limit": 200}).raise_for_status()
                    items = shown.json()["items"]
                    as_of = {item["service"]: datetime.fromisoformat(item["as_of"]).timestamp() for item in items}
                    self.samples.append(Sample(at, node.name, as_of, _held(client)))
                except (httpx.HTTPError, ValueError):
                    continue


def _all_newer(as_of: Mapping[str, float], than: float, services: Collection[str]) -> bool:
    return all(as_of.get(service, 0.0) > than for service in services)


def _held(client: httpx.Client) -> Mapping[int, str] | None:
    answer = client.get("/api/v1/nodes")
    if answer.status_code == 404:
        return None
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    living = [item for item in items if item.get("state") != "dead"]  # of a dead one they show what it held last
    return {int(partition): str(item["id"]) for item in living for partition in item["partitions"]}
