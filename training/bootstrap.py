"""Intervals for scores of rows that hang together: resample blocks of time, not rows.

`training.evaluate` and `training.gate` use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from features.arrays import FloatArray, IntArray

__all__ = ["Blocks", "Interval", "average_precision", "blocks_of"]

Interval = tuple[float, float]
"""Lower and upper end."""

_ENDS = (0.05, 0.95)
"""Intervals are of 90 %, as those of predictions are."""

_RANKS = 512
"""Ranks that scores are cut into for resampled precision."""

_NEWTON_STEPS = 25
"""Far more than a fit of two numbers needs."""

_FEWEST = 2
"""Blocks below which nothing can be resampled."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rows assigned to blocks of time, and how often each resample takes each block.

    Parameters
    ----------
    of_row : IntArray
        Shape (n,), block of every row.
    counts : FloatArray
        Shape (resamples, blocks).
    """

    of_row: IntArray
    counts: FloatArray

    def mean(self, values: FloatArray) -> FloatArray:
        """Return each resample's mean of values (n,); NaN where a resample holds no row."""
        size = self.counts.shape[1]
        total = np.bincount(self.of_row, weights=values, minlength=size)
        rows = np.bincount(self.of_row, minlength=size)
        drawn = self.counts @ rows
        return np.divide(self.counts @ total, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)

    def average_precision(self, p: FloatArray, hit: FloatArray) -> FloatArray:
        """Return each resample's average precision; NaN where a resample holds no event.

        Scores are cut into ranks that are fine at the top and coarse below, so that all resamples are one
        matrix product; it moves the value by less than 0.005 where there are a thousand rows (tested).
        """
        rows, events = self._cells(_ranks(p), hit)
        found = np.cumsum(self.counts @ events, axis=1)
        named = np.cumsum(self.counts @ rows, axis=1)
        precision = np.divide(found, named, out=np.zeros_like(found), where=named > 0)
        area = np.sum(np.diff(found, axis=1, prepend=0.0) * precision, axis=1)
        total = found[:, -1]
        return np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)

    def auc(self, p: FloatArray, hit: FloatArray) -> FloatArray:
        """Return each resample's area under the ROC curve over the same ranks; NaN without both outcomes."""
        rows, events = self._cells(_ranks(p), hit)
        found = self.counts @ events
        missed = self.counts @ rows - found
        below = missed.sum(1, keepdims=True) - np.cumsum(missed, axis=1)
        won = np.sum(found * (below + 0.5 * missed), axis=1)
        pairs = found.sum(1) * missed.sum(1)
        return np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    def ratio(self, above: FloatArray, below: FloatArray) -> FloatArray:
        """Return each resample's sum of some values (n,) over the sum of others; NaN where that is 0."""
        size = self.counts.shape[1]
        over, under = (self.counts @ np.bincount(self.of_row, weights=v, minlength=size) for v in (above, below))
        return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)

    def slope(self, z: FloatArray, hit: FloatArray) -> FloatArray:
        """Return each resample's calibration slope of outcomes on log odds (n,), by Newton's method; NaN without both outcomes.

        Log odds are cut into 512 classes of equally many rows and stand for their class's mean.
        """
        order = np.argsort(z, kind="stable")
        classes = np.empty(len(z), np.int64)
        classes[order] = np.arange(len(z)) * _RANKS // max(len(z), 1)
        n_of = np.bincount(classes, minlength=_RANKS)
        mean = np.divide(np.bincount(classes, z, _RANKS), n_of, out=np.zeros(_RANKS), where=n_of > 0)
        mean -= np.average(mean, weights=n_of) if len(z) else 0.0  # slope and intercept hardly depend on each other then
        rows, events = self._cells(classes, hit)
        n, k = self.counts @ rows, self.counts @ events
        slope, intercept = np.ones(len(n)), np.full(len(n), logit(np.clip(hit.mean(), 1e-9, 1 - 1e-9)) if len(hit) else 0.0)
        for _ in range(_NEWTON_STEPS):
            p = expit(slope[:, None] * mean + intercept[:, None])
            gap, weight = k - n * p, n * p * (1.0 - p)
            a, b, c = weight.sum(1), (weight * mean).sum(1), (weight * mean**2).sum(1)
            first, second = gap.sum(1), (gap * mean).sum(1)
            scale = np.maximum(a * c - b * b, 1e-12)
            intercept += np.clip((c * first - b * second) / scale, -2.0, 2.0)
            slope += np.clip((a * second - b * first) / scale, -2.0, 2.0)
        mixed = (k.sum(1) > 0) & (k.sum(1) < n.sum(1))
        return np.where(mixed, slope, np.nan)

    def take(self, rows: IntArray) -> Blocks:
        """Return the blocks of some of the rows, with the same resamples."""
        return Blocks(self.of_row[rows], self.counts)

    def _cells(self, classes: IntArray, hit: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return rows and events by block and class, shape (blocks, classes)."""
        size = self.counts.shape[1]
        cells = self.of_row * _RANKS + classes
        shape = (size, _RANKS)
        rows = np.bincount(cells, minlength=size * _RANKS).reshape(shape).astype(np.float64)
        events = np.bincount(cells, weights=hit, minlength=size * _RANKS)
        return rows, events.reshape(shape).astype(np.float64)

    @staticmethod
    def interval(samples: FloatArray) -> Interval | None:
        """Return the 90 % interval of resampled scores, None when there are too few."""
        finite = samples[np.isfinite(samples)]
        if len(finite) < len(samples) / 2 or len(finite) < _FEWEST:
            return None
        low, high = np.quantile(finite, _ENDS)
        return float(low), float(high)


def blocks_of(as_of_s: IntArray, *, block_s: int, n_resamples: int, seed: int) -> Blocks:
    """Cut rows into blocks of time over all series, and draw resamples.

    Parameters
    ----------
    as_of_s : IntArray
        Shape (n,), unix seconds.
    block_s : int
        Length of a block, longer than the longest horizon, so that overlapping labels stay together.
    n_resamples : int
        How many.
    seed : int
        Same seed, same resamples.

    References
    ----------
    Künsch (1989), The jackknife and the bootstrap for general stationary observations, Annals of Statistics 17.

    Examples
    --------
    >>> blocks = blocks_of(np.arange(0, 36000, 60), block_s=7200, n_resamples=50, seed=0)
    >>> blocks.counts.shape, float(blocks.counts.sum())
    ((50, 5), 250.0)
    """
    if not len(as_of_s):
        return Blocks(np.zeros(0, np.int64), np.zeros((n_resamples, 1)))
    of_row = (as_of_s - as_of_s.min()) // block_s
    n_blocks = int(of_row.max()) + 1
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=n_resamples)
    return Blocks(of_row.astype(np.int64), counts.astype(np.float64))


def average_precision(p: FloatArray, hit: FloatArray) -> float:
    """Return the average precision, NaN without any event.

    Examples
    --------
    >>> round(average_precision(np.array([0.9, 0.8, 0.7]), np.array([1.0, 0.0, 1.0])), 4)
    0.8333
    """
    if not len(p):
        return float("nan")
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    return _precision(np.cumsum(hit[order])[ends], (ends + 1).astype(np.float64))


def _ranks(p: FloatArray) -> IntArray:
    """Return each row's rank class, 0 for the highest scores; equal scores share a class."""
    values, inverse, rows = np.unique(-p, return_inverse=True, return_counts=True)
    before = np.cumsum(rows) - rows
    # Square roots: the top hundredth of the rows has a tenth of the classes.
    classes = np.floor(np.sqrt(before / max(len(p), 1)) * _RANKS).astype(np.int64)
    return np.minimum(classes, _RANKS - 1)[inverse] if len(values) else np.zeros(0, np.int64)


def _precision(events: FloatArray, rows: FloatArray) -> float:
    """Return the area under precision by recall from cumulated counts at distinct scores."""
    if not len(events) or events[-1] <= 0:
        return float("nan")
    precision = np.divide(events, rows, out=np.zeros(len(rows)), where=rows > 0)
    return float(np.sum(np.diff(events, prepend=0.0) * precision) / events[-1])
