"""Futures of threads on an event loop: each is awaited, and the loop wakes once for many."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from app.ingest.wakes import Wakes
from features.errors import StoreFailed


class CountingLoop(asyncio.SelectorEventLoop):
    """A loop that counts how often other threads woke it."""

    woken = 0

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.woken += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_what_one_flush_finished_wakes_the_loop_once() -> None:
    loop = CountingLoop()

    async def wait() -> int:
        wakes = Wakes(loop)
        futures = [Future[int]() for _ in range(100)]
        waiting = [wakes.wait(future) for future in futures]
        flush = threading.Thread(target=lambda: [future.set_result(1) for future in futures])
        flush.start()
        flush.join()  # the loop is held up meanwhile, as by other requests
        await asyncio.gather(*waiting)
        return loop.woken

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(wait()) == 1


def test_every_future_is_awaited_whenever_it_ends() -> None:
    async def wait() -> list[int]:
        wakes = Wakes(asyncio.get_running_loop())
        futures = [Future[int]() for _ in range(2000)]
        started = threading.Event()

        def finish(part: list[Future[int]]) -> None:
            started.wait(60)
            for n, future in enumerate(part):
                future.set_result(n)

        threads = [threading.Thread(target=finish, args=(futures[k::4],)) for k in range(4)]
        for thread in threads:
            thread.start()
        waiting = [wakes.wait(future) for future in futures]
        started.set()
        for one in waiting:
            await asyncio.wait_for(one, 60)
        return [future.result() for future in futures]

    assert sum(asyncio.run(wait())) == 4 * sum(range(500))


def test_what_a_future_raised_is_raised_and_a_finished_one_is_awaited_too() -> None:
    async def wait() -> None:
        wakes = Wakes(asyncio.get_running_loop())
        failed: Future[int] = Future()
        failed.set_exception(StoreFailed("disk"))
        with pytest.raises(StoreFailed, match="disk"):
            await wakes.wait(failed)
        cancelled: Future[int] = Future()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wakes.wait(cancelled)

    asyncio.run(wait())


def test_one_who_went_away_is_passed_over() -> None:
    async def wait() -> None:
        wakes = Wakes(asyncio.get_running_loop())
        gone, there = Future[int](), Future[int]()
        waiting = wakes.wait(gone), wakes.wait(there)
        waiting[0].cancel()
        gone.set_result(1)
        there.set_result(2)
        await waiting[1]
        assert not gone.cancelled()

    asyncio.run(wait())


def test_a_loop_that_has_ended_is_left_alone() -> None:
    future: Future[int] = Future()

    async def wait() -> None:
        Wakes(asyncio.get_running_loop()).wait(future)

    asyncio.run(wait())
    future.set_result(1)
    assert future.result() == 1


def test_what_fails_on_the_loop_keeps_no_other_from_being_called() -> None:
    async def wait() -> tuple[list[int], list[str]]:
        loop = asyncio.get_running_loop()
        reported: list[str] = []
        loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
        wakes, futures, called = Wakes(loop), [Future[int](), Future[int]()], list[int]()

        def fail(_: Future[int]) -> None:
            raise ValueError("of one")

        wakes.call(futures[0], fail)
        wakes.call(futures[1], lambda done: called.append(done.result()))
        for n, future in enumerate(futures):
            future.set_result(n)
        assert called == []
        await asyncio.sleep(0)
        return called, reported

    assert asyncio.run(wait()) == ([1], ["of one"])
