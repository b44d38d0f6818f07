"""Who calls whom: edges between services.

Edges come from what callers say of their peers (`Call`) and from parent and child spans that arrive in
different requests (`features.join`). `features.neighbours` spreads signals along them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from itertools import islice

import numpy as np

from features.arrays import FloatArray, IntArray

__all__ = ["Graph", "resolve"]

_MAX_EDGES = 100_000  # guessed: five tenants at their bound; about 30 MB
_MAX_TENANT_EDGES = 20_000  # guessed: 1,000 services with 20 callees each
_FADE_TICKS = 24 * 60.0
_FAINT = 0.01  # calls below which an edge says nothing: about five time constants after a single call


def resolve(peer: str, services: Container[str]) -> str:
    """Return the service that a peer's address means, or the address itself for an external one.

    Parameters
    ----------
    peer : str
        ``payment``, ``payment:8080``, ``payment.shop.svc.cluster.local``, ...
    services : Container of str
        Names of the tenant's services.

    Examples
    --------
    >>> resolve("payment.shop.svc:8080", {"payment"}), resolve("bank-api:443", {"payment"})
    ('payment', 'bank-api:443')
    """
    host = peer.partition("://")[2].partition("/")[0] if "://" in peer else peer
    host = host.partition(":")[0]
    return next((name for name in (peer, host, host.partition(".")[0]) if name in services), peer)


class Graph:
    """Calls between services (and to external peers) with a fading count.

    Parameters
    ----------
    fade_ticks : float
        Time constant of the fading, in ticks.

    Examples
    --------
    >>> graph = Graph()
    >>> graph.add("default", "web", "cart", 5.0, tick=10)
    >>> callers, callees, calls = graph.arrays(10, {("default", "web"): 0, ("default", "cart"): 3})
    >>> callers.tolist(), callees.tolist(), calls.tolist()
    ([0], [3], [5.0])
    """

    def __init__(self, fade_ticks: float = _FADE_TICKS) -> None:
        self.fade_ticks = fade_ticks
        self.edges: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._counts: Counter[str] = Counter()  # edges by tenant

    def add(self, tenant: str, caller: str, callee: str, calls: float, tick: int) -> None:
        """Count calls from a service to another, or to an external peer."""
        if caller == callee:
            return
        before, then = self.edges.pop((tenant, caller, callee), (0.0, tick))
        self.edges[tenant, caller, callee] = (before * self._fade(then, tick) + calls, tick)
        self._forget(tenant)

    def arrays(self, tick: int, rows: Mapping[tuple[str, str], int]) -> tuple[IntArray, IntArray, FloatArray]:
        """Return rows of callers, rows of callees and faded calls, of edges that still weigh 0.01 calls.

        Parameters
        ----------
        tick : int
            Now.
        rows : Mapping of (tenant, service) to int
            Rows of whole services; edges to anything else are left out.
        """
        kept = [
            (rows[tenant, caller], rows[tenant, callee], calls * self._fade(then, tick))
            for (tenant, caller, callee), (calls, then) in self.edges.items()
            if (tenant, caller) in rows and (tenant, callee) in rows and calls * self._fade(then, tick) >= _FAINT
        ]
        callers, callees, weights = zip(*kept, strict=True) if kept else ((), (), ())
        return np.array(callers, np.int64), np.array(callees, np.int64), np.array(weights, float)

    def _forget(self, tenant: str) -> None:
        """Drop the tenant's edges, then anybody's, that were quiet for longest, past the bounds."""
        self._counts[tenant] += len(self.edges) - self._counts.total()
        if self._counts[tenant] > _MAX_TENANT_EDGES:
            # Some more at once, so that a stream of new names does not look through all edges for each.
            surplus = self._counts[tenant] - _MAX_TENANT_EDGES + _MAX_TENANT_EDGES // 16
            self._drop(list(islice((edge for edge in self.edges if edge[0] == tenant), surplus)))
        if len(self.edges) > _MAX_EDGES:
            self._drop(list(islice(self.edges, len(self.edges) - _MAX_EDGES + _MAX_EDGES // 16)))

    def _drop(self, edges: Iterable[tuple[str, str, str]]) -> None:
        for edge in edges:
            del self.edges[edge]
            self._counts[edge[0]] -= 1

    def _fade(self, then: int, now: int) -> float:
        return math.exp((then - now) / self.fade_ticks)
