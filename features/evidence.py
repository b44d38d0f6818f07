"""What speaks for each category of a service's next incident: its errors, and the incidents that were found so far.

`app.publish` reads it for what is served, `training.dataset` for what `models.categories` learns from.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from features.facts import CATEGORIES
from features.memory import Memory

__all__ = ["REMEMBERED_S", "SOURCES", "PastIncidents", "evidence"]

SOURCES = ("now", "hour", "own", "tenant", "last")
"""Errors of the service in 15 windows, and in 60; incidents of the service, and of its tenant; its newest incident."""

REMEMBERED_S = 30 * 86_400
"""Seconds for which an incident counts: as long as its document is kept, so that a restart forgets nothing."""

_NOW, _HOUR = 15, 60


class PastIncidents:
    """Categories of the incidents that the rule found, by service, each known from its detection on.

    Examples
    --------
    >>> past = PastIncidents()
    >>> past.add(0, "network", 600)
    >>> past.add(0, "data", 1200)
    >>> past.counts(1)[0, :2].tolist(), past.last(1)[0, :2].tolist()
    ([1.0, 1.0], [0.0, 1.0])
    """

    def __init__(self) -> None:
        self._found: list[tuple[int, int, int]] = []  # unix seconds of detection, row of the service, code; ascending

    def add(self, row: int, category: str, detected_s: int) -> None:
        """Count an incident; the order of calls does not matter.

        Parameters
        ----------
        row : int
            Row of the whole service.
        category : str
            One of `features.facts.CATEGORIES`; any other is left out.
        detected_s : int
            Unix seconds.
        """
        if category in CATEGORIES:
            insort(self._found, (detected_s, row, CATEGORIES.index(category)))

    def forget(self, now_s: int) -> None:
        """Leave out what was detected more than `REMEMBERED_S` before a time in unix seconds."""
        del self._found[: bisect_left(self._found, (now_s - REMEMBERED_S,))]

    def counts(self, length: int) -> FloatArray:
        """Return incidents by service and category, shape (length, 14)."""
        counts = np.zeros((length, len(CATEGORIES)))
        _, row, code = self._columns()
        np.add.at(counts, (row, code), 1.0)
        return counts

    def last(self, length: int) -> FloatArray:
        """Return 1 at the category of each service's newest incident, 0 elsewhere, shape (length, 14)."""
        newest = np.full(length, -1)
        _, row, code = self._columns()
        newest[row] = code  # where a row stands twice, the later one holds
        return (newest[:, None] == np.arange(len(CATEGORIES))).astype(np.float64)

    def _columns(self) -> IntArray:
        return np.array(self._found, np.int64).reshape(-1, 3).T


def evidence(memory: Memory, past: PastIncidents, rows: IntArray) -> Float32Array:
    """Return how much each source counts of each category, as of the memory's tick.

    Parameters
    ----------
    memory : Memory
        What is known of the services.
    past : PastIncidents
        What was found by the tick.
    rows : IntArray, shape (n,)
        Rows of whole services.

    Returns
    -------
    Float32Array, shape (n, sources, 14)
        In the order of `SOURCES` and of `features.facts.CATEGORIES`.

    Examples
    --------
    >>> from features.series import SeriesKey
    >>> memory, past = Memory(), PastIncidents()
    >>> rows = np.array([memory.row_of_history(SeriesKey("a", name, "*")) for name in ("web", "cart")])
    >>> past.add(0, "network", 600)
    >>> evidence(memory, past, rows)[:, :, 0].tolist()
    [[0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    """
    past.forget(memory.tick * memory.plan.tick_s)
    length, tenant = len(memory.directory), memory.pools().tenant
    own = past.counts(length)
    of_tenant = np.zeros((len(memory.tenants), len(CATEGORIES)))
    np.add.at(of_tenant, tenant, own)
    parts = (memory.facts.categories(_NOW), memory.facts.categories(_HOUR), own, of_tenant[tenant], past.last(length))
    return np.stack([part[rows] for part in parts], axis=1).astype(np.float32)
