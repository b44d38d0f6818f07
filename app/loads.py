"""How much each partition brings, held steady: what the members place partitions by must not waver.

`app.ownership` publishes what the holder measures, and learns what the other members publish.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

__all__ = ["SteadyLoads"]

_STEADY_S = 300.0
"""Seconds over which a load is averaged before it counts, longer than an owner that takes over needs to catch up. Guessed: placement answers
lasting differences, and every move costs a take-over."""

_FACTOR = 2.0  # what changes a load: placement itself counts in steps of two


@dataclass(slots=True)
class _Mean:
    since_s: float
    until_s: float
    total: float = 0.0  # entries


class SteadyLoads:
    """Entries a second by partition, as this node and the others publish them.

    Parameters
    ----------
    monotonic : callable
        Seconds.

    Examples
    --------
    >>> loads = SteadyLoads(iter([0.0, 150.0, 300.0, 600.0, 900.0]).__next__)
    >>> [loads.steadied({7: rate}, [7]) for rate in (90.0, 10.0, 30.0, 25.0, 50.0)]
    [{}, {}, {7: 20.0}, {7: 20.0}, {7: 50.0}]
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.known: dict[int, float] = {}
        self._monotonic = monotonic
        self._means: dict[int, _Mean] = {}

    def steadied(self, measured: Mapping[int, float], held: Collection[int]) -> dict[int, float]:
        """Return what to publish of the partitions that are held here."""
        now_s = self._monotonic()
        self._means = {partition: self._means.get(partition) or _Mean(now_s, now_s) for partition in held}
        for partition, mean in self._means.items():
            if partition in measured:
                mean.total += measured[partition] * (now_s - mean.until_s)
            mean.until_s = now_s
            if partition in measured and now_s - mean.since_s >= _STEADY_S:
                load = mean.total / (now_s - mean.since_s)
                if self._differs(partition, load):
                    self.known[partition] = round(load, 3)
                self._means[partition] = _Mean(now_s, now_s)
        return {partition: self.known[partition] for partition in sorted(held) if partition in self.known}

    def learn(self, published: Mapping[int, float], held: Collection[int]) -> None:
        """Take in what another member publishes, but of what is held here."""
        self.known.update({partition: load for partition, load in published.items() if partition not in held})

    def _differs(self, partition: int, load: float) -> bool:
        known = self.known.get(partition)
        return known is None or max(known, load) > _FACTOR * min(known, load)
