"""Who calls whom: edges between services, and the join of span ends that finds them.

Edges come from what callers say of their peers (`Call`) and from parent and child spans that arrive in
different requests (`EdgeJoin`). `features.neighbours` spreads signals along them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from features.arrays import IntArray, UInt64Array

__all__ = ["EdgeJoin", "Graph", "resolve"]

_MAX_EDGES = 20_000  # guessed: 1,000 services with 20 callees each
_MAX_ENDS = 50_000  # guessed: a minute of sampled span ends of a partition
_FADE_TICKS = 24 * 60.0


def resolve(peer: str, services: Mapping[str, int]) -> int | None:
    """Return the row of the service that a peer's address means, None for an external one.

    Parameters
    ----------
    peer : str
        ``payment``, ``payment:8080``, ``payment.shop.svc.cluster.local``, ...
    services : Mapping of str to int
        Rows of whole services by name.

    Examples
    --------
    >>> resolve("payment.shop.svc:8080", {"payment": 3}), resolve("bank-api", {"payment": 3})
    (3, None)
    """
    host = peer.partition("://")[2].partition("/")[0] if "://" in peer else peer
    host = host.partition(":")[0]
    for name in (peer, host, host.partition(".")[0]):
        if name in services:
            return services[name]
    return None


class Graph:
    """Calls between services with a fading count.

    Parameters
    ----------
    fade_ticks : float
        Time constant of the fading, in ticks.

    Examples
    --------
    >>> graph = Graph()
    >>> graph.add(0, 1, 5.0, tick=10)
    >>> callers, callees, calls = graph.arrays(10)
    >>> callers.tolist(), callees.tolist(), calls.tolist()
    ([0], [1], [5.0])
    """

    def __init__(self, fade_ticks: float = _FADE_TICKS) -> None:
        self.fade_ticks = fade_ticks
        self.edges: dict[tuple[int, int], tuple[float, int]] = {}

    def add(self, caller: int, callee: int, calls: float, tick: int) -> None:
        """Count calls between two rows of whole services."""
        if caller == callee:
            return
        before, then = self.edges.pop((caller, callee), (0.0, tick))
        self.edges[caller, callee] = (before * float(np.exp((then - tick) / self.fade_ticks)) + calls, tick)
        if len(self.edges) > _MAX_EDGES:
            del self.edges[next(iter(self.edges))]  # the one that was quiet for longest

    def arrays(self, tick: int) -> tuple[IntArray, IntArray, np.ndarray]:
        """Return callers, callees and faded calls of the edges that still weigh 0.01 calls."""
        items = [(a, b, n * float(np.exp((then - tick) / self.fade_ticks))) for (a, b), (n, then) in self.edges.items()]
        kept = [item for item in items if item[2] >= 0.01]
        callers, callees, calls = zip(*kept, strict=True) if kept else ((), (), ())
        return np.array(callers, np.int64), np.array(callees, np.int64), np.array(calls, float)


class EdgeJoin:
    """Finds edges from span ends: a caller's span id is the parent id of its callee.

    Both ends come to the partition of their trace in any order; what finds no partner is forgotten
    once 50,000 newer ends wait.

    Examples
    --------
    >>> join = EdgeJoin()
    >>> one = np.array([7], np.uint64)
    >>> join.match(one, one, ["web"], [0]), join.match(one, one, ["cart"], [1])
    ([], [('web', 'cart')])
    """

    def __init__(self) -> None:
        self.callers: dict[tuple[int, int], str] = {}
        self.callees: dict[tuple[int, int], list[str]] = {}

    def match(self, trace: UInt64Array, span: UInt64Array, services: Iterable[str], roles: Iterable[int]) -> list[tuple[str, str]]:
        """Take span ends and return the (caller, callee) pairs that they complete."""
        found: list[tuple[str, str]] = []
        for key, service, role in zip(zip(trace.tolist(), span.tolist(), strict=True), services, roles, strict=True):
            if role == 0:
                self.callers[key] = service
                found.extend((service, callee) for callee in self.callees.pop(key, []))
            elif key in self.callers:
                found.append((self.callers[key], service))
            else:
                self.callees.setdefault(key, []).append(service)
        self._forget()
        return [(a, b) for a, b in found if a != b]

    def snapshot(self) -> dict[str, list[list[object]]]:
        """Return both sides as plain lists."""
        callees = [[*key, name] for key, names in self.callees.items() for name in names]
        return {"callers": [[*key, name] for key, name in self.callers.items()], "callees": callees}

    def restore(self, snapshot: Mapping[str, list[list[object]]]) -> None:
        """Put a snapshot back."""
        self.callers = {(int(str(t)), int(str(s))): str(name) for t, s, name in snapshot["callers"]}
        self.callees = {}
        for trace, span, name in snapshot["callees"]:
            self.callees.setdefault((int(str(trace)), int(str(span))), []).append(str(name))

    def _forget(self) -> None:
        while len(self.callers) > _MAX_ENDS:
            del self.callers[next(iter(self.callers))]
        while len(self.callees) > _MAX_ENDS:
            del self.callees[next(iter(self.callees))]
