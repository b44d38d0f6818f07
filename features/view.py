"""What was known of all series at one tick, read once from a Memory for all feature groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from features.batch import N_CHANNELS, channel
from features.memory import Memory
from features.onsets import Pools
from features.rates import given_traffic, quantile, surprise
from features.rhythm import EXPECTED

__all__ = ["View"]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Arrays over all series as of the end of a tick.

    Parameters
    ----------
    memory : Memory
        The state; it must not change while the view is used.
    fine, coarse : Float32Array, shape (n, 60, WIDTH)
        Windows, oldest first.
    expected : FloatArray, shape (n, 4)
        Usual counts of a window at this hour, in the order of `features.rhythm.EXPECTED`.
    pools : Pools
        Who borrows from whom.
    """

    memory: Memory
    fine: Float32Array
    coarse: Float32Array
    expected: FloatArray
    pools: Pools

    @classmethod
    def of(cls, memory: Memory) -> View:
        """Read a Memory."""
        return cls(
            memory,
            memory.windows.fine().astype(np.float32, copy=False),
            memory.windows.coarse().astype(np.float32, copy=False),
            memory.rhythm.expected(memory.tick - 1),
            memory.pools(),
        )

    @property
    def whole(self) -> IntArray:
        """Row of the service of every series, shape (n,)."""
        return self.memory.directory.whole

    def counts(self, name: str) -> FloatArray:
        """Return a channel of the fine windows, shape (n, 60)."""
        return self.fine[:, :, channel(name)].astype(float)

    def sum(self, name: str, length: int) -> FloatArray:
        """Return the sum of a channel over the last windows, shape (n,)."""
        return self.fine[:, -length:, channel(name)].sum(1, dtype=float)

    def histogram(self, length: int, skip: int = 0) -> FloatArray:
        """Return the duration histogram of the last windows but the newest `skip`, shape (n, N_BUCKETS)."""
        end = self.fine.shape[1] - skip
        return self.fine[:, end - length : end, N_CHANNELS:].sum(1, dtype=float)

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
