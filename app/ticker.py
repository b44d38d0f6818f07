"""The wall clock of a live node: writes a marker at every tick's end, and lets expired documents go.

`app.main` runs it in a thread. Markers are messages of the log (`app.replay.append_markers`); the worker closes ticks at them. Of a
partition that was taken over the marker of the present tick is written at once, since its last owner may have died before it did. One that
is there twice changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from app.replay import append_markers
from app.store.contract import Log
from app.telemetry import Telemetry
from features.errors import ForeshockError, PartStopped

__all__ = ["Ticker", "forget_hourly"]

logger = logging.getLogger(__name__)

_RETRY_S = 1.0
_LOOK_S = 0.25  # guessed: how long a partition that was taken over waits for its marker
_PURGE_S = 3_600.0


class Ticker:
    """Writes what the wall clock says into the log.

    Parameters
    ----------
    log : Log
        Gets the markers.
    purge : callable
        Removes expired documents, a bounded number of them, and returns how many; asked once an hour, and until none is left.
    telemetry : Telemetry
        Where it counts.
    tick_s : int
        Seconds of a window.
    partitions : callable
        Returns those that are owned now.
    """

    def __init__(
        self, log: Log, purge: Callable[[], int], telemetry: Telemetry, tick_s: int, partitions: Callable[[], Iterable[int]]
    ) -> None:
        self.log = log
        self.purge = purge
        self.telemetry = telemetry
        self.tick_s = tick_s
        self.partitions = partitions
        self._written: dict[int, int] = {}  # the newest marker that was written here, by owned partition
        self._purge_due = 0.0

    def run(self, stop: threading.Event) -> None:
        """Write a marker whenever a tick ends, until told to stop.

        Raises
        ------
        PartStopped
            When the store has ended.
        """
        while not stop.is_set():
            tick = time.time_ns() // 10**9 // self.tick_s
            owned = {number: self._written.get(number, 0) for number in self.partitions()}
            due = [number for number, written in owned.items() if written < tick]
            if due:
                self._insist(partial(append_markers, self.log, range(tick, tick + 1), self.tick_s, due), stop)
            self._written = owned | dict.fromkeys(due, tick)
            self._insist(self._purge_hourly, stop)
            stop.wait(min(max((tick + 1) * self.tick_s - time.time(), 0.01), _LOOK_S))

    def _insist(self, write: Callable[[], None], stop: threading.Event) -> None:
        """Write, and write again while the store refuses: a disk that is full now may not be in an hour."""
        while not stop.is_set():
            try:
                write()
                return
            except PartStopped:
                raise
            except ForeshockError as exc:
                if not exc.retryable:
                    raise
                logger.error("the clock could not write: %s", exc)
                self.telemetry.faults.labels(place="clock").inc()
                stop.wait(_RETRY_S)

    def _purge_hourly(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._purge_due and not self.purge():
            self._purge_due = now_s + _PURGE_S  # a bounded number goes at a time; the rest at the next tick


def forget_hourly(purge: Callable[[], int], stop: threading.Event) -> None:
    """Let expired documents go until told to stop, on a node without a clock.

    Parameters
    ----------
    purge : callable
        Removes expired documents, a bounded number of them, and returns how many.
    stop : Event
        Ends it.
    """
    while not stop.wait(_PURGE_S):
        while purge() and not stop.is_set():
            pass
