"""The shop's tables as arrays, which sampling reads.

`app.demo.shop` has the tables; `app.demo.traces`, `app.demo.levels` and `app.demo.effects` index these arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.demo.shop import COMPONENTS, DEPENDENCIES, EDGES, OPERATIONS, Component, Dependency, Edge, Operation
from features.arrays import BoolArray, FloatArray, IntArray

__all__ = ["TOPOLOGY", "Topology"]


@dataclass(frozen=True)
class Topology:
    """The shop's tables as arrays; indices are positions in `COMPONENTS`, `OPERATIONS`, `EDGES` and `DEPENDENCIES`.

    Examples
    --------
    >>> TOPOLOGY.services[TOPOLOGY.service[0]], len(TOPOLOGY.services)
    ('web', 12)
    """

    components: tuple[Component, ...]
    operations: tuple[Operation, ...]
    edges: tuple[Edge, ...]
    dependencies: tuple[Dependency, ...]

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Service names."""
        return tuple(component.name for component in self.components)

    @cached_property
    def service(self) -> IntArray:
        """Service of each operation, (n_operations,)."""
        return np.array([self.services.index(op.service) for op in self.operations], np.int64)

    @cached_property
    def rate(self) -> FloatArray:
        """Traces a minute that begin at each operation."""
        return np.array([op.rate for op in self.operations])

    @cached_property
    def latency(self) -> FloatArray:
        """Logarithm of the median seconds, and sigma, of each operation, (2, n_operations)."""
        return np.array([[np.log(op.median_ms / 1000), op.sigma] for op in self.operations]).T

    @cached_property
    def dependency(self) -> IntArray:
        """Dependency of each operation."""
        names = [dependency.name for dependency in self.dependencies]
        return np.array([names.index(op.dependency) for op in self.operations], np.int64)

    @cached_property
    def dependency_p(self) -> FloatArray:
        """How often each operation calls its dependency."""
        return np.array([op.dependency_p for op in self.operations])

    @cached_property
    def writes(self) -> BoolArray:
        """Which operations write to a disk."""
        return np.array([op.writes for op in self.operations])

    @cached_property
    def ends(self) -> IntArray:
        """Calling and called operation of each edge, (2, n_edges)."""
        names = [f"{op.service} {op.name}" for op in self.operations]
        return np.array([[names.index(edge.caller), names.index(edge.callee)] for edge in self.edges], np.int64).T

    @cached_property
    def edge_odds(self) -> FloatArray:
        """Probability of a call, and that its failure is fatal, of each edge, (2, n_edges)."""
        return np.array([[edge.p, edge.fatal] for edge in self.edges]).T

    @cached_property
    def queued(self) -> BoolArray:
        """Which edges are messages."""
        return np.array([edge.queued for edge in self.edges])

    @cached_property
    def fan_out(self) -> IntArray:
        """First edge and number of edges of each operation, (2, n_operations); edges are sorted by caller."""
        count = np.bincount(self.ends[0], minlength=len(self.operations))
        first = np.array([np.flatnonzero(self.ends[0] == i)[0] if count[i] else 0 for i in range(len(count))])
        return np.stack([first, count]).astype(np.int64)

    @cached_property
    def instances(self) -> IntArray:
        """First instance and number of instances of each service, (2, n_services)."""
        count = np.array([component.instances for component in self.components], np.int64)
        return np.stack([np.cumsum(count) - count, count])

    @cached_property
    def instance_service(self) -> IntArray:
        """Service of each instance."""
        return np.repeat(np.arange(len(self.components)), self.instances[1])

    def operations_of(self, service: int) -> tuple[int, ...]:
        """Return the operations of a service."""
        return tuple(np.flatnonzero(self.service == service).tolist())


TOPOLOGY = Topology(COMPONENTS, OPERATIONS, EDGES, DEPENDENCIES)
