"""How far behind the work is, wherever it is done: what ingest goes by when it refuses new requests.

`app.ingest.receive` asks `Pressure` at every request; it looks at this node's worker, at what other nodes
say of theirs, and at the log, at most twice a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from app.store.contract import Log
from app.telemetry import Telemetry

__all__ = ["Member", "Pressure", "PressureParts"]

LOOK_S = 0.5
"""Seconds for which an answer is used again. Guessed: in as long a node takes in some thousand messages, far fewer than `ingest.max_lag`."""


class Member(Protocol):
    """What is read of another node."""

    @property
    def lag(self) -> int:
        """Entries that its worker has not absorbed."""
        ...

    @property
    def held(self) -> Collection[int]:
        """Partitions that its worker holds."""
        ...


@dataclass(frozen=True, slots=True)
class PressureParts:
    """What is looked at.

    Parameters
    ----------
    log : Log
        Counts what nobody reads.
    own_lag, held : callable
        Entries that this node's worker has not absorbed, and the partitions that it holds; 0 and none where it has no worker.
    others : callable
        The other nodes that live now; none where one node is alone.
    """

    log: Log
    own_lag: Callable[[], int]
    held: Callable[[], frozenset[int]]
    others: Callable[[], Iterable[Member]] = tuple


class Pressure:
    """Entries that wait for whoever is furthest behind, and those that wait for nobody.

    Of a partition that no node holds, the entries count that came since this process first saw it so: how far it was absorbed before,
    only its next holder knows. It errs low for that long; the bound of the log in bytes (`store.log_max_bytes`) does not.

    Parameters
    ----------
    parts : PressureParts
        What is looked at.
    telemetry : Telemetry
        Receives ``backlog``.
    monotonic : callable
        Seconds.
    """

    def __init__(self, parts: PressureParts, telemetry: Telemetry, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._look_at, self._value = float("-inf"), 0
        self._orphans: dict[int, int] = {}  # of each partition that nobody holds, where it ended when that was first seen
        telemetry.backlog.set_function(self)

    def __call__(self) -> int:
        """Return how many entries wait; from memory, and at most `LOOK_S` old."""
        now_s = self._monotonic()
        if now_s >= self._look_at and self._lock.acquire(blocking=False):  # one looks, the others take what is known
            try:
                self._look_at = now_s + LOOK_S
                self._value = self._look()
            finally:
                self._lock.release()
        return self._value

    def _look(self) -> int:
        parts = self._parts
        others = list(parts.others())
        held = parts.held().union(*(member.held for member in others))
        alone = set(range(parts.log.n_partitions)) - held
        self._orphans = {p: self._orphans.get(p, parts.log.end(p)) for p in alone}
        behind = max([parts.own_lag(), *(member.lag for member in others)])
        return behind + sum(parts.log.waiting(p, end) for p, end in self._orphans.items())
