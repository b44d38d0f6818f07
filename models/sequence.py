"""A mean that is watched as it grows, with an interval that holds at all times at once.

`app.members` compares the losses of two models with it, hour by hour, and what was expected with what came: who looks after every hour
until something seems certain needs an interval that allows for looking so often.
"""

from __future__ import annotations

import json
from math import log, sqrt
from typing import Literal

import numpy as np

from features.arrays import FloatArray
from features.errors import InvalidValue, SnapshotMismatch

__all__ = ["Sequence", "Verdict"]

Verdict = Literal["below", "above", "open"]
"""Where the mean is beyond doubt, beside 0."""

_TIGHTEST = 24
"""Blocks after which the interval is as narrow as it can be made for one moment; it is wider before and after. A day of hours. Guessed."""

_FEWEST = 12
"""Blocks below which nothing is certain: the interval is right for many. Guessed."""


class Sequence:
    """The mean of rows, with an interval over blocks of time.

    Rows of a block hang together (one incident is seen by many of them), so a block counts once, whatever its number of rows: its rows are
    averaged. Blocks should be as long as the longest horizon, so that one seldom tells of the next.

    Parameters
    ----------
    block : int
        Ticks of a block.
    alpha : float
        Chance that the interval ever misses the mean, however long one looks.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Time-uniform central limit theory and asymptotic confidence sequences, Annals of
    Statistics 52 (the interval).
    Choe, Ramdas (2024), Comparing sequential forecasters, Operations Research 72 (its use for two forecasters).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> even, better = Sequence(60), Sequence(60)
    >>> for tick in range(0, 6000, 5):
    ...     noise = rng.normal(0.0, 0.1, 20)
    ...     even.learn(tick, noise)
    ...     better.learn(tick, noise - 0.05)
    >>> even.verdict(), better.verdict()
    ('open', 'below')
    """

    def __init__(self, block: int, alpha: float = 0.05) -> None:
        if block < 1 or not 0.0 < alpha < 1.0:
            raise InvalidValue(f"block must be at least 1 and alpha in (0, 1), got {block} and {alpha}")
        self.block = block
        self.alpha = alpha
        self.n_blocks = 0
        self._mean = self._squares = 0.0  # over closed blocks, as Welford keeps them
        self._open = -1
        self._sum, self._rows = 0.0, 0

    def learn(self, tick: int, values: FloatArray) -> None:
        """Take the values of a tick's rows, ticks in order; those of the block under way wait until a later one begins.

        Raises
        ------
        InvalidValue
            When a value is not finite.
        """
        if not len(values):
            return
        if not np.isfinite(values).all():
            raise InvalidValue(f"values must be finite, got {int((~np.isfinite(values)).sum())} that are not")
        number = tick // self.block
        if number != self._open:
            self._close()
            self._open = number
        self._sum += float(values.sum())
        self._rows += len(values)

    @property
    def mean(self) -> float:
        """Mean of the closed blocks, 0 before any."""
        return self._mean

    def interval(self) -> tuple[float, float] | None:
        """Return the interval of the mean, None while blocks are too few."""
        t = self.n_blocks
        if t < _FEWEST:
            return None
        wish = -2.0 * log(self.alpha)
        rho2 = (wish + log(wish + 1.0)) / _TIGHTEST
        spread = sqrt(self._squares / t)
        reach = spread * sqrt(2.0 * (t * rho2 + 1.0) / (t * t * rho2) * log(sqrt(t * rho2 + 1.0) / self.alpha))
        return self._mean - reach, self._mean + reach

    def verdict(self) -> Verdict:
        """Return on which side of 0 the mean is beyond doubt."""
        interval = self.interval()
        if interval is None:
            return "open"
        return "below" if interval[1] < 0 else "above" if interval[0] > 0 else "open"

    def snapshot(self) -> bytes:
        """Return what was seen as JSON; `restore` gives exactly the same numbers back."""
        state = {
            "version": 1,
            "block": self.block,
            "closed": [self.n_blocks, self._mean, self._squares],
            "open": [self._open, self._sum, self._rows],
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take what a snapshot had seen.

        Raises
        ------
        SnapshotMismatch
            When it is of another version or length of blocks.
        """
        state = json.loads(data)
        if state.get("version") != 1 or state.get("block") != self.block:
            raise SnapshotMismatch(
                f"sequence snapshot is of version {state.get('version')} and blocks of {state.get('block')} ticks, "
                f"expected version 1 and {self.block}"
            )
        self.n_blocks, self._mean, self._squares = state["closed"]
        self._open, self._sum, self._rows = state["open"]

    def _close(self) -> None:
        if not self._rows:
            return
        value = self._sum / self._rows
        self.n_blocks += 1
        before = value - self._mean
        self._mean += before / self.n_blocks
        self._squares += before * (value - self._mean)
        self._sum, self._rows = 0.0, 0
