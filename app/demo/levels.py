"""Levels of every instance in one minute: heap, pool in use, waiting requests, disk, processor.

`app.demo.simulate` asks for them with the minute's Effects; `app.demo.render` writes them as metrics.
"""

from __future__ import annotations

import numpy as np

from app.demo.effects import Effects
from app.demo.topology import TOPOLOGY
from features.arrays import FloatArray

__all__ = ["LEVELS", "sample_levels"]

LEVELS = ("heap_bytes", "memory_bytes", "pool_used", "pool_waiting", "disk_ratio", "cpu_ratio")
"""Columns of the array that `sample_levels` returns."""

_SERVICE = TOPOLOGY.instance_service
_N = len(_SERVICE)
_HEAP = np.array([component.heap_bytes for component in TOPOLOGY.components], np.float64)[_SERVICE]
_POOL = np.array([component.pool for component in TOPOLOGY.components], np.float64)[_SERVICE]
# Fixed differences between instances, the same in every shop; guessed.
_TRAIT = np.random.default_rng(0x1E7E15).random((4, _N))
_GC_MINUTES = 6 + 40 * _TRAIT[0]
_ROTATE_MINUTES = 400 + 900 * _TRAIT[1]


def sample_levels(rng: np.random.Generator, now: Effects, load: float, minute: int) -> FloatArray:
    """Return the levels of all instances.

    Parameters
    ----------
    rng : Generator
        Randomness of this minute.
    now : Effects
        What Episodes do to the levels.
    load : float
        Traffic relative to an average minute.
    minute : int
        Minutes since the shop's start; decides where saw teeth stand.

    Returns
    -------
    FloatArray, shape (n_instances, len(LEVELS))
        Rows of dead instances are NaN.

    Examples
    --------
    >>> sample_levels(np.random.default_rng(1), Effects(1.0), 1.0, 0).shape
    (27, 6)
    """
    noise = rng.standard_normal((4, _N))
    heap_push, pool_push, disk_push = now.heap[_SERVICE], now.pool[_SERVICE], now.disk[_SERVICE]
    saw = (minute / _GC_MINUTES + _TRAIT[2]) % 1.0
    normal = 0.38 + 0.10 * _TRAIT[3] + 0.14 * saw + 0.03 * load
    # Instances of one service leak nearly, but not quite, alike.
    heap = normal + (0.97 - normal) * heap_push * (0.92 + 0.08 * _TRAIT[1]) + 0.012 * noise[0]
    used = 0.18 + 0.10 * load + 0.05 * noise[1]
    used = np.clip(used + (1.0 - used) * pool_push, 0.0, 1.0)
    waiting = np.floor(np.maximum(pool_push - 0.7, 0.0) / 0.3 * 12 * (1 + 0.3 * noise[2]) + 0.0)
    filled = 0.42 + 0.12 * _TRAIT[0] + 0.10 * ((minute / _ROTATE_MINUTES + _TRAIT[3]) % 1.0)
    disk = filled + (1.0 - filled) * disk_push + 0.001 * noise[3]
    cpu = 0.08 + 0.16 * load + 0.30 * heap_push**2 + 0.03 * np.abs(noise[2])
    levels = np.stack(
        [
            np.clip(heap, 0.05, 0.995) * _HEAP,
            np.clip(heap * 1.06 + 0.08, 0.05, 1.1) * _HEAP,
            np.round(used * _POOL),
            np.maximum(waiting, 0.0),
            np.clip(disk, 0.0, 1.0),
            np.clip(cpu, 0.0, 1.0),
        ],
        axis=1,
    )
    levels[now.dead[_SERVICE]] = np.nan
    return levels
