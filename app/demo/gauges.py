"""Name the levels of an instance as OpenTelemetry metrics of its language.

`app.demo.levels` draws the values; `app.demo.render` and `app.demo.live` send the Readings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from app.demo.minute import Minute
from app.demo.topology import TOPOLOGY

__all__ = ["Metric", "metrics_of", "readings"]

_HEAPS = {
    "java": "jvm.memory.used",
    "go": "go.memory.used",
    "dotnet": "dotnet.gc.last_collection.heap.size",
    "nodejs": "v8js.memory.heap.used",
    "python": "cpython.memory.heap.used",
    "rust": "process.allocator.heap.used",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a service.

    Parameters
    ----------
    name, unit : str
        By the semantic conventions where they have one.
    is_sum : bool
        Whether it is an up-down counter; otherwise a gauge.
    attributes : tuple of (str, str)
        Of its one data point.
    is_count : bool
        Whether its value is a whole number.
    """

    name: str
    unit: str
    is_sum: bool
    attributes: tuple[tuple[str, str], ...] = ()
    is_count: bool = False


@cache
def metrics_of(service: int) -> tuple[Metric, ...]:
    """Return the metrics of a service, in the order of `app.demo.levels.LEVELS`.

    Examples
    --------
    >>> [metric.name for metric in metrics_of(5)][:3]
    ['jvm.memory.used', 'process.memory.usage', 'db.client.connection.count']
    """
    component = TOPOLOGY.components[service]
    pool = (("db.client.connection.pool.name", f"{component.name}-pool"),)
    return (
        Metric(_HEAPS[component.language], "By", component.language != "dotnet", (), True),
        Metric("process.memory.usage", "By", True, (), True),
        Metric("db.client.connection.count", "{connection}", True, (*pool, ("db.client.connection.state", "used")), True),
        Metric("db.client.connection.pending_requests", "{request}", True, pool, True),
        Metric("system.filesystem.utilization", "1", False, (("system.filesystem.mountpoint", f"/var/lib/{component.name}"),)),
        Metric("process.cpu.utilization", "1", False),
    )


def readings(minute: Minute) -> Iterator[tuple[int, tuple[Metric, ...], list[float]]]:
    """Yield each living instance with its metrics and their values in the same order.

    Parameters
    ----------
    minute : Minute
        The minute.

    Yields
    ------
    (instance, metrics, values)
    """
    for instance, service in enumerate(TOPOLOGY.instance_service.tolist()):
        row = minute.levels[instance]
        if not np.isnan(row[0]):
            yield instance, metrics_of(service), row.tolist()
