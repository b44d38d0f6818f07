"""Who calls whom, with traffic, traces that failed at both ends, and by how much the caller follows the callee.

Reads a `features.memory.Memory` when a tick ends; the worker publishes what `edges_of` returns, and `features.causes` ranks along it.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, channel
from features.memory import Memory
from features.symptom import Edge
from features.windows import FINE

__all__ = ["MOST_LAG", "edges_of", "lags"]

MOST_LAG = 5
"""Windows by which a caller may follow its callee."""

_LEAST_TOGETHER = 0.5  # guessed: correlation of two services' troubles from which a lag means anything
_LEAST_WINDOWS = 12  # guessed: windows with traffic of both
_FAINT = 0.01
_ERRORS, _TOTAL = channel("errors"), channel("total")
_STEPS = np.arange(N_BUCKETS, dtype=float)


def edges_of(memory: Memory) -> list[Edge]:
    """Return the edges that still weigh a hundredth of a call, of callers whose partitions this memory holds.

    Parameters
    ----------
    memory : Memory
        With windows closed.

    Examples
    --------
    >>> memory = Memory()
    >>> memory.graph.add("default", "web", "cart", 5.0, tick=0)
    >>> edges_of(memory)
    []
    """
    rows, tick, graph = memory.services(), memory.tick, memory.graph
    kept = [
        (edge, calls * float(np.exp((then - tick) / graph.fade_ticks)))
        for edge, (calls, then) in graph.edges.items()
        if edge[:2] in rows
    ]
    kept = [(edge, calls) for edge, calls in kept if calls >= _FAINT]
    callers = np.array([rows[edge[:2]] for edge, _ in kept], np.int64)
    callees = np.array([rows.get((edge[0], edge[2]), -1) for edge, _ in kept], np.int64)
    lag_s = _lags(memory, callers, callees) * memory.plan.tick_s
    return [
        Edge(*edge, calls, float(_failed_together(memory, caller, callee)), lag)
        for (edge, calls), caller, callee, lag in zip(kept, callers.tolist(), callees.tolist(), lag_s.tolist(), strict=True)
    ]


def lags(callee: FloatArray, caller: FloatArray, known: BoolArray) -> FloatArray:
    """Return by how many windows callers follow their callees.

    Parameters
    ----------
    callee, caller : FloatArray, shape (e, w)
        Their troubles by window, oldest first.
    known : BoolArray, shape (e, w)
        Windows that say something of both.

    Returns
    -------
    FloatArray, shape (e,)
        In [0, 5]; 0 too where they do not move together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> callee = rng.exponential(size=(1, 60))
    >>> lags(callee, np.roll(callee, 2, axis=1), np.ones((1, 60), bool)).tolist()
    [2.0]
    """
    tried = range(min(MOST_LAG + 1, callee.shape[1]))
    found = np.stack([_correlation(callee, caller, known, lag) for lag in tried])
    return np.where(found.max(0) >= _LEAST_TOGETHER, found.argmax(0), 0).astype(float)


def _correlation(callee: FloatArray, caller: FloatArray, known: BoolArray, lag: int) -> FloatArray:
    """Return the correlation of callees with their callers some windows later, 0 where too little is known."""
    first, later = callee[:, : callee.shape[1] - lag], caller[:, lag:]
    both = known[:, : known.shape[1] - lag] & known[:, lag:]
    n = np.maximum(both.sum(1), 1)
    a, b = (np.where(both, part - np.where(both, part, 0.0).sum(1, keepdims=True) / n[:, None], 0.0) for part in (first, later))
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    enough = (both.sum(1) >= _LEAST_WINDOWS) & (scale > 0)
    return np.where(enough, (a * b).sum(1) / np.where(enough, scale, 1.0), 0.0)


def _lags(memory: Memory, callers: IntArray, callees: IntArray) -> FloatArray:
    """Return the lags of some edges in windows; 0 for external peers."""
    if not len(callers):
        return np.zeros(0)
    used, place = np.unique(np.concatenate([callers, np.maximum(callees, 0)]), return_inverse=True)
    values = memory.windows.recent(FINE, rows=used).astype(float)
    total, histogram = values[:, :, _TOTAL], values[:, :, N_CHANNELS:]
    slow = histogram @ _STEPS / np.maximum(histogram.sum(2), 1.0)
    trouble = np.log1p(np.maximum(values[:, :, _ERRORS], 0.0)) + slow
    caller, callee = place[: len(callers)], place[len(callers) :]
    found = lags(trouble[callee], trouble[caller], (total[callee] > 0) & (total[caller] > 0))
    return np.where(callees >= 0, found, 0.0)


def _failed_together(memory: Memory, caller: int, callee: int) -> int:
    """Count the traces that lately failed at both ends, as far as they were kept."""
    if callee < 0:
        return 0
    ends = (memory.shares.traces(row, memory.tick) for row in (caller, callee))
    return len(set.intersection(*(set(one) for one in ends)))
