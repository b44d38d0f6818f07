"""Gives work on an event loop its turn: some milliseconds of it, then a look at the sockets, then more of it in order.

`app.ingest.http` decodes here. Work that is ready all at once would otherwise run all at once: with hundreds of
requests under way neither a refusal nor an answer that was durable long ago left for a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar

__all__ = ["LONGEST_S", "TURN_S", "Turns"]

T = TypeVar("T")

TURN_S = 0.01
"""Seconds of work in a turn at least. Guessed: ten requests of 512 spans, far more than a look at the sockets costs, far less than a sender notices."""

LONGEST_S = 0.25
"""Seconds of work in a turn at most. Guessed: what a sender may wait for a refusal."""


class Turns:
    """Work of one event loop, in order, a bounded time of it between two looks at what else is to be done.

    A turn is as long as what else the loop did since the last one, within bounds. Otherwise refusing requests would leave
    no time for those that were taken: measured on a machine that others kept busy, 100 a second instead of 300.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Whose work it is; every call comes from it.
    turn_s, longest_s : float
        Seconds after which work waits for the next turn: at least, and at most where much else is to be done.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        turn_s: float = TURN_S,
        longest_s: float = LONGEST_S,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._loop = loop
        self._least_s = self._turn_s = turn_s
        self._longest_s = longest_s
        self._clock = clock
        self._ended_s = clock()
        self._spent_s = 0.0
        self._ends = False
        self._waiting: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()

    @property
    def over(self) -> bool:
        """Whether new work has to wait."""
        return self._spent_s >= self._turn_s or bool(self._waiting)

    def run(self, work: Callable[[], T]) -> T:
        """Do work at once, in the turn that is not over, and return what it returns."""
        begun = self._clock()
        if not self._ends:
            self._ended_s = begun  # the loop may have slept since the last turn
        try:
            return work()
        finally:
            self._spent_s += self._clock() - begun
            self._end()

    def later(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return a future of what work returns or raises in one of the next turns; cancelled, it is not begun."""
        here: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append((here, work))
        self._end()
        return here

    def _end(self) -> None:
        if not self._ends:
            self._ends = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        else_s = self._clock() - self._ended_s - self._spent_s
        self._turn_s = max(self._least_s, min(else_s, self._longest_s))
        self._spent_s, self._ends = 0.0, False
        self._work_off()
        self._ended_s = self._clock() - self._spent_s

    def _work_off(self) -> None:
        while self._waiting:
            here, work = self._waiting.popleft()
            if here.done():
                continue  # the one who waited went away
            try:
                here.set_result(self.run(work))
            except Exception as exc:  # belongs to the one who waits
                here.set_exception(exc)
            if self._spent_s >= self._turn_s:
                return
