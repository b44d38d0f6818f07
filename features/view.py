"""What was known of all series at one tick, read once from a Memory for all feature groups."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import N_CHANNELS, channel
from features.memory import Memory
from features.onsets import Pools
from features.rates import given_traffic, quantile, surprise
from features.rhythm import EXPECTED

__all__ = ["View"]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Arrays over all series, or a range of them, as of the end of a tick.

    Parameters
    ----------
    memory : Memory
        The state; it must not change while the view is used.
    expected : FloatArray, shape (n, 4)
        Usual counts of a window at this hour, in the order of `features.rhythm.EXPECTED`.
    pools : Pools
        Who borrows from whom.
    rows : slice
        Which series; everything below has as many rows.
    """

    memory: Memory
    expected: FloatArray
    pools: Pools
    rows: slice = field(default_factory=lambda: slice(None))
    _sums: dict[tuple[int, int], FloatArray] = field(default_factory=dict[tuple[int, int], FloatArray])  # of all series
    _counts: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])

    @classmethod
    def of(cls, memory: Memory) -> View:
        """Read a Memory."""
        return cls(memory, memory.rhythm.expected(memory.tick - 1), memory.pools())

    def part(self, rows: slice) -> View:
        """Return a range of the series, for what looks at no others."""
        pools = Pools(self.pools.whole[rows], self.pools.tenant[rows], self.pools.beyond)
        return View(self.memory, self.expected[rows], pools, rows, self._sums)

    @property
    def whole(self) -> IntArray:
        """Row of the service of every series, shape (n,)."""
        return self.pools.whole

    def counts(self, name: str) -> FloatArray:
        """Return a channel of the fine windows, shape (n, 60)."""
        if name not in self._counts:
            self._counts[name] = self.memory.windows.channel(channel(name), self.rows)
        return self._counts[name]

    def sum(self, name: str, length: int) -> FloatArray:
        """Return the sum of a channel over the last windows, shape (n,)."""
        return self._summed(length)[:, channel(name)]

    def histogram(self, length: int, skip: int = 0) -> FloatArray:
        """Return the duration histogram of the last windows but the newest `skip`, shape (n, N_BUCKETS)."""
        return self._summed(length, skip)[:, N_CHANNELS:]

    def histogram_before(self) -> FloatArray:
        """Return the duration histogram of all that is kept from before the fine windows, shape (n, N_BUCKETS)."""
        return self._summed(0)[:, N_CHANNELS:]

    def usual(self, name: str) -> FloatArray:
        """Return the usual count of a window at this hour, shape (n,)."""
        return self.expected[:, EXPECTED.index(name)]

    def usual_given_traffic(self, name: str, length: int) -> FloatArray:
        """Return the count expected over the last windows at the usual share of the traffic that came, shape (n,)."""
        return given_traffic(self.usual(name), self.usual("total"), self.sum("total", length), length)

    def surprise(self, name: str, length: int) -> FloatArray:
        """Return -log10 of the Poisson tail of a channel over the last windows, shape (n,)."""
        return surprise(self.sum(name, length), self.usual_given_traffic(name, length))

    def latency_shift(self, q: float, length: int, before: int) -> FloatArray:
        """Return the log of a latency quantile against that of the windows before, 0 where either is empty."""
        now, then = quantile(self.histogram(length), q), quantile(self.histogram(before, skip=length), q)
        known = (now > 0) & (then > 0)
        return np.where(known, np.log(np.where(known, now, 1.0) / np.where(known, then, 1.0)), 0.0)

    def _summed(self, length: int, skip: int = 0) -> FloatArray:
        """Return the sums of all columns over the last windows but the newest `skip`; for no length over all before the fine ones."""
        windows, asked = self.memory.windows, (length, skip)
        if asked not in self._sums:
            self._sums[asked] = windows.sums(length, skip)
        return self._sums[asked][self.rows]
