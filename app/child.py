"""Work in a process of its own, at low priority: what it says of its progress, and what came of it.

`app.jobs` gives it training runs and backtests. The two processes talk over a pipe that nobody else holds.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import TypeVar

from app.history.contract import History
from app.own_log import set_up_log
from features.errors import ForeshockError, InvalidValue

__all__ = ["Child"]

T = TypeVar("T")


class Child:
    """Runs work in a child process, one at a time.

    Parameters
    ----------
    open_history : callable
        Opens history; called in the child, so it must be picklable.
    timeout_s : float
        Seconds after which work is stopped.
    stop : Event
        Ends work at once.
    """

    def __init__(self, open_history: Callable[[], History], timeout_s: float, stop: threading.Event) -> None:
        self.open_history = open_history
        self.timeout_s = timeout_s
        self.stop = stop

    def run(self, what: str, work: Callable[..., T], told: Callable[[float], None]) -> T:
        """Do some work and return what came of it.

        Parameters
        ----------
        what : str
            Names it in messages, such as ``training``.
        work : callable
            Takes ``history`` and ``progress`` by name; it and what it returns must be picklable.
        told : callable
            Receives the share done, here.

        Raises
        ------
        InvalidValue
            When the work failed, died, took too long or was stopped.
        """
        ours, theirs = Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_work, args=(theirs, work, self.open_history), name=f"foreshock-{what}")
        process.start()
        theirs.close()
        try:
            # On Windows a pipe's end is of another class with the same methods.
            return self.follow(what, ours, told)  # pyright: ignore[reportArgumentType, reportReturnType]
        finally:
            ours.close()
            if process.is_alive():
                process.terminate()
            process.join()

    def follow(self, what: str, pipe: Connection, told: Callable[[float], None]) -> object:
        """Read what the child says until it is done; see `run`."""
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline and not self.stop.is_set():
            if not pipe.poll(min(0.5, self.timeout_s)):
                continue
            try:
                kind, value = pipe.recv()
            except EOFError:
                raise InvalidValue(f"the {what} process died; its log says more") from None
            if kind == "progress":
                told(value)
            elif kind == "failed":
                raise InvalidValue(value)
            else:
                return value
        raise InvalidValue("the service was stopped" if self.stop.is_set() else f"{what} took over {self.timeout_s:g} s")


def _work(pipe: Connection, work: Callable[..., object], open_history: Callable[[], History]) -> None:
    """Work in this process, and send what came of it."""
    os.nice(10)
    set_up_log()
    try:
        pipe.send(("done", work(history=open_history(), progress=lambda share: pipe.send(("progress", share)))))
    except ForeshockError as exc:
        pipe.send(("failed", str(exc)))
    finally:
        pipe.close()
