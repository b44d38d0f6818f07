"""Brings what threads of the log finish to an event loop, which wakes once for all that one flush made durable.

`app.ingest.http` waits here for the futures of `app.ingest.receive.Receiver.take`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

__all__ = ["Wakes"]

T = TypeVar("T")


class Wakes:
    """Futures of threads, awaited by one event loop.

    `asyncio.wrap_future` wakes the loop once a future, each by a system call.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop that awaits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: deque[tuple[Callable[[Future[Any]], None], Future[Any]]] = deque()
        self._woken = False

    def wait(self, future: Future[T]) -> asyncio.Future[None]:
        """Return a future of the loop that is done when a thread's future is; to be called on the loop.

        Parameters
        ----------
        future : concurrent.futures.Future
            Whatever it returns is left in it.

        Returns
        -------
        asyncio.Future
            Raises what `future` raised. Cancelling it leaves `future` alone.
        """
        here: asyncio.Future[None] = self._loop.create_future()
        self.call(future, partial(_pass_on, here))
        return here

    def call(self, future: Future[T], then: Callable[[Future[T]], None]) -> None:
        """Call with a thread's future on the loop once it is done, and not before this returns.

        Parameters
        ----------
        future : concurrent.futures.Future
            Handed on as it is.
        then : callable
            What it raises goes to the loop's handler of exceptions.
        """
        future.add_done_callback(partial(self._note, then))

    def _note(self, then: Callable[[Future[T]], None], done: Future[T]) -> None:
        self._done.append((then, done))
        # Noted first, asked second: `_settle` forgets that it was woken before it looks what is there.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._woken = False
        while self._done:
            then, done = self._done.popleft()
            try:
                then(done)
            except Exception as exc:  # the others go on
                self._loop.call_exception_handler({"message": "what waited for a thread failed", "exception": exc})


def _pass_on(here: asyncio.Future[None], done: Future[Any]) -> None:
    if here.done():
        return  # the one who waited went away
    if done.cancelled():
        here.cancel()
    elif (error := done.exception()) is not None:
        here.set_exception(error)
    else:
        here.set_result(None)
