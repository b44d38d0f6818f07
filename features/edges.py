"""Who calls whom, with traffic, traces that failed at both ends, by how much the caller follows the callee, and how sure that is.

Reads a `features.memory.Memory` when a tick ends; the worker publishes what `edges_of` returns, and `features.causes` ranks along it.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, channel
from features.memory import Memory
from features.symptom import Edge
from features.windows import FINE

__all__ = ["MOST_LAG", "edges_of", "lags", "leads"]

MOST_LAG = 5
"""Windows by which a caller may follow its callee."""

_LEAST_TOGETHER = 0.5  # guessed: correlation of two services' troubles from which a lag means anything
_LEAST_WINDOWS = 12  # guessed: windows with traffic of both
_FAINT = 0.01
_LEAST_BITS = 10.0  # guessed: one in a thousand by chance, of which ten lags give as many chances
_FITS = 0.99  # correlation from which one is as good as another
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
    lag, lead_bits = _moving(memory, callers, callees)
    lag_s = lag * memory.plan.tick_s
    return [
        Edge(*edge, calls, float(_failed_together(memory, *ends)), *moving)
        for (edge, calls), ends, moving in zip(
            kept,
            zip(callers.tolist(), callees.tolist(), strict=True),
            zip(lag_s.tolist(), lead_bits.tolist(), strict=True),
            strict=True,
        )
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
    return _lags(_correlations(callee, caller, known))


def leads(callee: FloatArray, caller: FloatArray, known: BoolArray) -> FloatArray:
    """Return how much likelier it is that callees move first than that their callers do, in bits.

    Parameters
    ----------
    callee, caller : FloatArray, shape (e, w)
        Their troubles by window, oldest first.
    known : BoolArray, shape (e, w)
        Windows that say something of both.

    Returns
    -------
    FloatArray, shape (e,)
        Below 0 where callers move first; 0 where they move in the same window, or not together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> callee = rng.exponential(size=(1, 60))
    >>> later, known = np.roll(callee, 2, axis=1) + rng.normal(scale=0.5, size=(1, 60)), np.ones((1, 60), bool)
    >>> bool(leads(callee, later, known)[0] > 10.0), bool(leads(later, callee, known)[0] < -10.0)
    (True, True)

    Notes
    -----
    The log-likelihood ratio of two regressions with normal errors, of the caller on earlier windows of the callee and the other way
    round, each with the lag of 1 to 5 windows that fits best. Neighbouring windows are alike, so that fewer count.

    References
    ----------
    Bartlett (1946), On the theoretical specification and sampling properties of autocorrelated time-series, Supplement to the Journal
    of the Royal Statistical Society 8 (how many windows count).
    """
    return _leads(_correlations(callee, caller, known), callee, caller, known)


def _lags(forth: FloatArray) -> FloatArray:
    return np.where(forth.max(0) >= _LEAST_TOGETHER, forth.argmax(0), 0).astype(float)


def _leads(forth: FloatArray, callee: FloatArray, caller: FloatArray, known: BoolArray) -> FloatArray:
    if len(forth) == 1:  # of one window nothing moves first
        return np.zeros(len(callee))
    later, back = forth[1:].max(0), _correlations(caller, callee, known)[1:].max(0)
    best = np.maximum(later, back)
    alike = np.clip(_correlation(callee, callee, known, 1) * _correlation(caller, caller, known, 1), 0.0, _FITS)
    n = known.sum(1) * (1.0 - alike) / (1.0 + alike)
    bits_forth, bits_back = (-n / 2.0 * np.log2(1.0 - np.clip(one, 0.0, _FITS) ** 2) for one in (later, back))
    together = (best >= _LEAST_TOGETHER) & (best > forth[0])
    return np.where(together & (np.maximum(bits_forth, bits_back) >= _LEAST_BITS), bits_forth - bits_back, 0.0)


def _correlations(callee: FloatArray, caller: FloatArray, known: BoolArray) -> FloatArray:
    """Return the correlations, shape (lags, e), of callees with their callers 0 to 5 windows later."""
    return np.stack([_correlation(callee, caller, known, lag) for lag in range(min(MOST_LAG + 1, callee.shape[1]))])


def _correlation(callee: FloatArray, caller: FloatArray, known: BoolArray, lag: int) -> FloatArray:
    """Return the correlation of callees with their callers some windows later, 0 where too little is known."""
    first, later = callee[:, : callee.shape[1] - lag], caller[:, lag:]
    both = known[:, : known.shape[1] - lag] & known[:, lag:]
    n = np.maximum(both.sum(1), 1)
    a, b = (np.where(both, part - np.where(both, part, 0.0).sum(1, keepdims=True) / n[:, None], 0.0) for part in (first, later))
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    enough = (both.sum(1) >= _LEAST_WINDOWS) & (scale > 0)
    return np.where(enough, (a * b).sum(1) / np.where(enough, scale, 1.0), 0.0)


def _moving(memory: Memory, callers: IntArray, callees: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return of some edges the lags in windows, and by how many bits callees lead; 0 for external peers."""
    if not len(callers):
        return np.zeros(0), np.zeros(0)
    used, place = np.unique(np.concatenate([callers, np.maximum(callees, 0)]), return_inverse=True)
    values = memory.windows.recent(FINE, rows=used).astype(float)
    total, histogram = values[:, :, _TOTAL], values[:, :, N_CHANNELS:]
    slow = histogram @ _STEPS / np.maximum(histogram.sum(2), 1.0)
    trouble = np.log1p(np.maximum(values[:, :, _ERRORS], 0.0)) + slow
    caller, callee = place[: len(callers)], place[len(callers) :]
    of_both = trouble[callee], trouble[caller], (total[callee] > 0) & (total[caller] > 0)
    forth = _correlations(*of_both)
    return np.where(callees >= 0, _lags(forth), 0.0), np.where(callees >= 0, _leads(forth, *of_both), 0.0)


def _failed_together(memory: Memory, caller: int, callee: int) -> int:
    """Count the traces that lately failed at both ends, as far as they were kept."""
    if callee < 0:
        return 0
    ends = (memory.shares.traces(row, memory.tick) for row in (caller, callee))
    return len(set.intersection(*(set(one) for one in ends)))
