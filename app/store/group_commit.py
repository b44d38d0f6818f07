"""The one writer of a store: gathers what concurrent callers want changed into few flushes to disk.

`app.store.sqlite_log`, `sqlite_checkpoints` and `sqlite_documents` submit pieces of work; one thread
runs them in order on the one writing connection, many in a transaction, and answers each caller through a
future once the transaction is durable. A change of its own kind runs in a savepoint of its own; what many
callers want alike goes through a lane, which makes it for all of them at once.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Generic, TypeVar

from app.telemetry import Telemetry
from features.errors import Overloaded, StoreFailed
from features.values import hot_value

__all__ = ["GroupCommit", "Lane", "Work"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")

MAX_GROUP_BYTES = 32 * 2**20
"""Bytes after which a group is closed. Guessed: about a tenth of a second of disk, so no caller waits longer behind it."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One atomic change.

    Parameters
    ----------
    change : Callable
        Runs on the writing connection, inside a savepoint. It may run twice (a transaction that fails as
        a whole is tried again piece by piece), so it changes nothing but the database.
    n_bytes : int
        Bytes that count as in flight until the change is durable or refused.
    committed : Callable, optional
        Runs on the writing thread with the result once it is durable, before the caller is answered.
    """

    change: Callable[[sqlite3.Connection], T]
    n_bytes: int = 0
    committed: Callable[[T], None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lane(Generic[A, R]):
    """One kind of change, made in one go for all callers that wait for it.

    Parameters
    ----------
    change : Callable
        Runs on the writing connection with what the callers gave, in order, and returns a result for each.
        There is no savepoint: what it raises takes the whole transaction back, and everybody is tried again
        alone. So it may run twice, as `Work.change`.
    committed : Callable
        Runs on the writing thread with what the callers gave and their results once they are durable, before
        any of them is answered.
    """

    change: Callable[[sqlite3.Connection, Sequence[A]], Sequence[R]]
    committed: Callable[[Sequence[A], Sequence[R]], None]


@hot_value(eq=False)
class _Waiting:
    work: Work[Any] | None
    lane: Lane[Any, Any] | None
    given: Any
    n_bytes: int
    answer: Future[Any]


@hot_value(eq=False)
class _Outcome:
    waiting: _Waiting
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """A thread that owns the writing connection of a store.

    A group is closed when as many callers wait as the last group held (they are back: nobody else is
    expected) or when the window is over; one caller on its own therefore never waits for the window.

    Parameters
    ----------
    connect : Callable
        Opens the writing connection in autocommit mode; called once, on the writer's thread.
    window_s : float
        Seconds for which a group waits for further callers, at least 0.
    max_in_flight_bytes : int
        Bound of the sum of `Work.n_bytes` that waits. One piece larger than the bound is let in alone.
    telemetry : Telemetry
        Receives ``append_seconds``, ``bytes_in_flight`` and ``faults``.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], window_s: float, max_in_flight_bytes: int, telemetry: Telemetry
    ) -> None:
        self._window_s = window_s
        self._max_in_flight_bytes = max_in_flight_bytes
        self._telemetry = telemetry
        self._arrived = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._in_flight_bytes = 0
        self._expected = 1
        self._closing = False
        self._failure = ""
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(connect, started), name="store-writer", daemon=True)
        self._thread.start()
        started.result()

    @property
    def failure(self) -> str:
        """Why nothing is written any more, empty while all is well."""
        return self._failure

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue a change and return at once.

        Parameters
        ----------
        work : Work
            The change.

        Returns
        -------
        Future
            Its result once it is durable, or what it raised.

        Raises
        ------
        Overloaded
            When the bound of bytes in flight is reached.
        StoreFailed
            When the store is closed, or its connection failed for good.
        """
        answer: Future[T] = Future()
        self._queue_up(_Waiting(work, None, None, work.n_bytes, answer))
        return answer

    def submit_to(self, lane: Lane[A, R], given: A, n_bytes: int) -> Future[R]:
        """Queue what a lane is to change for this caller and return at once.

        Parameters
        ----------
        lane : Lane
            Which kind of change.
        given : object
            Handed to it.
        n_bytes : int
            As in `Work`.

        Returns
        -------
        Future
            The lane's result for this caller once it is durable, or what it raised.

        Raises
        ------
        Overloaded, StoreFailed
            As `submit`.
        """
        answer: Future[R] = Future()
        self._queue_up(_Waiting(None, lane, given, n_bytes, answer))
        return answer

    def _queue_up(self, waiting: _Waiting) -> None:
        with self._arrived:
            if self._closing:
                raise StoreFailed(self._failure or "the store is closed")
            total = self._in_flight_bytes + waiting.n_bytes
            if waiting.n_bytes and self._in_flight_bytes and total > self._max_in_flight_bytes:
                raise Overloaded(
                    f"bytes in flight must be at most {self._max_in_flight_bytes}, "
                    f"got {self._in_flight_bytes} waiting and {waiting.n_bytes} new"
                )
            self._in_flight_bytes = total
            self._queue.append(waiting)
            if len(self._queue) == 1 or len(self._queue) == self._expected:
                self._arrived.notify()

    def change(self, change: Callable[[sqlite3.Connection], T], committed: Callable[[T], None] | None = None) -> T:
        """Run a change and return its result once it is durable.

        Parameters
        ----------
        change, committed
            As in `Work`.

        Raises
        ------
        StoreFailed
            When the disk refused it or the store is closed; nothing was changed.
        """
        return self.submit(Work(change, committed=committed)).result()

    def close(self) -> None:
        """Finish what waits, then stop; a second call does nothing."""
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()
        self._thread.join()

    def _run(self, connect: Callable[[], sqlite3.Connection], started: Future[None]) -> None:
        try:
            connection = connect()
        except Exception as exc:  # raised again in the constructor, in the thread that asked
            started.set_exception(exc)
            return
        started.set_result(None)
        while group := self._gather():
            outcomes: list[_Outcome] = []
            try:
                try:
                    self._commit(connection, group, outcomes)
                finally:  # what is certain is told first, whatever comes then
                    self._settle(outcomes)
            except BaseException as exc:  # whatever it was: those who wait, and those who come, must hear of it
                self._fail(exc, group)
                break
        _close(connection)

    def _fail(self, exc: BaseException, group: list[_Waiting]) -> None:
        """Answer everybody who waits and take nothing more: what state the connection is in, nobody knows."""
        logger.critical("the store writes nothing any more until it is started again", exc_info=exc)
        self._telemetry.faults.labels(place="store").inc()
        with self._arrived:
            self._failure = f"the store failed and is closed until the service starts again: {exc!r}"
            self._closing = True
            group += self._queue
            self._queue.clear()
            self._in_flight_bytes = 0
            self._telemetry.bytes_in_flight.set(0)
        for waiting in group:
            if not waiting.answer.done():  # the others were answered before it failed
                _answer(_Outcome(waiting, error=StoreFailed(self._failure)))

    def _gather(self) -> list[_Waiting]:
        with self._arrived:
            while not self._queue and not self._closing:
                self._arrived.wait()
            deadline = time.monotonic() + self._window_s
            while len(self._queue) < self._expected and not self._closing:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._arrived.wait(left)
            self._telemetry.bytes_in_flight.set(self._in_flight_bytes)
            group: list[_Waiting] = []
            n_bytes = 0
            while self._queue and n_bytes < MAX_GROUP_BYTES:
                group.append(self._queue.popleft())
                n_bytes += group[-1].n_bytes
            self._expected = max(1, len(group))
            return group

    def _commit(self, connection: sqlite3.Connection, group: list[_Waiting], outcomes: list[_Outcome]) -> None:
        """Make the changes and note what became of each, as soon as it is certain."""
        started = time.perf_counter()
        try:
            made = _transact(connection, group)
        except Exception as exc:  # of whatever kind, it belongs to one of the callers
            self._telemetry.faults.labels(place="store").inc()
            if connection.in_transaction:
                connection.rollback()
            if len(group) == 1:
                outcomes.append(_Outcome(group[0], error=exc))
                return
            # Someone's change made the whole transaction fail, by its size say: the others must not pay for it.
            for waiting in group:
                self._commit(connection, [waiting], outcomes)
            return
        self._telemetry.append_seconds.observe(time.perf_counter() - started)
        outcomes += made

    def _settle(self, outcomes: list[_Outcome]) -> None:
        for tell in _followers(outcomes):
            try:
                tell()
            except Exception:  # the change is durable; the writer of everybody must not end with it
                self._telemetry.faults.labels(place="store").inc()
        with self._arrived:
            self._in_flight_bytes -= sum(outcome.waiting.n_bytes for outcome in outcomes)
            self._telemetry.bytes_in_flight.set(self._in_flight_bytes)
        for outcome in outcomes:
            _answer(outcome)


def _close(connection: sqlite3.Connection) -> None:
    try:
        connection.close()
    except sqlite3.Error:
        logger.exception("the store's connection could not be closed")


def _transact(connection: sqlite3.Connection, group: list[_Waiting]) -> list[_Outcome]:
    connection.execute("BEGIN IMMEDIATE")
    outcomes: list[_Outcome] = []
    for lane, run in groupby(group, key=_lane):
        together = list(run)
        if lane is None:
            outcomes += [_alone(connection, waiting) for waiting in together]
        else:
            results = lane.change(connection, [waiting.given for waiting in together])
            outcomes += map(_Outcome, together, results)
    connection.execute("COMMIT")
    return outcomes


def _lane(waiting: _Waiting) -> Lane[Any, Any] | None:
    return waiting.lane


def _alone(connection: sqlite3.Connection, waiting: _Waiting) -> _Outcome:
    assert waiting.work is not None  # what waits for no lane is work
    connection.execute("SAVEPOINT work")
    try:
        outcome = _Outcome(waiting, waiting.work.change(connection))
    except Exception as exc:  # belongs to the caller, who receives it; the others go on
        if not connection.in_transaction:
            raise sqlite3.OperationalError(f"the transaction was rolled back: {exc}") from exc
        connection.execute("ROLLBACK TO work")
        outcome = _Outcome(waiting, error=exc)
    connection.execute("RELEASE work")
    return outcome


def _followers(outcomes: list[_Outcome]) -> list[Callable[[], None]]:
    """Return what is to be told of changes that are durable now, a lane once for all of its own."""
    found: list[Callable[[], None]] = []
    made = [outcome for outcome in outcomes if outcome.error is None]
    for lane, run in groupby(made, key=lambda outcome: outcome.waiting.lane):
        together = list(run)
        if lane is not None:
            given, results = [outcome.waiting.given for outcome in together], [outcome.result for outcome in together]
            found.append(partial(lane.committed, given, results))
        for outcome in together:
            if outcome.waiting.work is not None and outcome.waiting.work.committed is not None:
                found.append(partial(outcome.waiting.work.committed, outcome.result))
    return found


def _answer(outcome: _Outcome) -> None:
    answer, error = outcome.waiting.answer, outcome.error
    if not answer.set_running_or_notify_cancel():
        return  # the caller went away; the change is durable all the same
    if isinstance(error, sqlite3.Error):
        failed = StoreFailed(f"the store refused a write: {error}")
        failed.__cause__ = error
        answer.set_exception(failed)
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(outcome.result)
