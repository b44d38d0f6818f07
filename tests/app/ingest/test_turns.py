"""Work that takes turns with everything else on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from app.ingest.turns import TURN_S, Turns
from features.errors import MalformedBody


class Clock:
    """Seconds that pass while work is done."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_work(clock: Clock, done: list[int], n: int, took_s: float = 0.5) -> Callable[[], int]:
    """Return work that takes a time, notes its number and returns it."""

    def work() -> int:
        clock.now += took_s
        done.append(n)
        return n

    return work


def test_work_runs_at_once_until_the_turn_is_over_and_in_order_afterwards() -> None:
    clock, done, looks = Clock(), list[int](), list[int]()

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        turns = Turns(loop, turn_s=1.0, clock=clock)
        first: list[int] = []
        while not turns.over:
            first.append(turns.run(a_work(clock, done, len(first))))
        waiting = [turns.later(a_work(clock, done, n)) for n in range(2, 10)]

        def look() -> None:  # the loop's turn at its sockets: it comes up once between two turns of work
            looks.append(len(done))
            if not waiting[-1].done():
                loop.call_soon(look)

        loop.call_soon(look)
        return first + await asyncio.gather(*waiting)

    assert asyncio.run(run()) == list(range(10))
    assert done == list(range(10))
    assert looks == [4, 6, 8, 10]


@pytest.mark.parametrize(("else_s", "n"), [(0.25, 2), (2.0, 4), (100.0, 6)])
def test_a_turn_is_as_long_as_what_else_the_loop_did_within_bounds(else_s: float, n: int) -> None:
    clock, done, looks = Clock(), list[int](), list[int]()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns(loop, turn_s=1.0, longest_s=3.0, clock=clock)
        clock.now += 1000.0  # nothing was to be done
        turns.run(a_work(clock, done, 0, 1.0))
        waiting = [turns.later(a_work(clock, done, k)) for k in range(1, 40)]

        def look() -> None:
            looks.append(len(done))
            clock.now += else_s
            if not waiting[-1].done():
                loop.call_soon(look)

        loop.call_soon(look)
        await asyncio.gather(*waiting)

    asyncio.run(run())
    assert {b - a for a, b in pairwise(looks[1:-1])} == {n}
    assert looks[0] == 3, "sleep before the first work is not what else was done"


def test_a_new_turn_lets_work_run_at_once_again() -> None:
    clock = Clock()

    async def run() -> tuple[bool, bool]:
        turns = Turns(asyncio.get_running_loop(), clock=clock)
        turns.run(a_work(clock, [], 0, 2 * TURN_S))
        over = turns.over
        await asyncio.sleep(0)
        return over, turns.over

    assert asyncio.run(run()) == (True, False)


def test_what_work_raises_belongs_to_the_one_who_waits() -> None:
    def fail() -> int:
        raise MalformedBody("body is no protobuf")

    async def run() -> int:
        turns = Turns(asyncio.get_running_loop())
        with pytest.raises(MalformedBody):
            turns.run(fail)
        failed, next_one = turns.later(fail), turns.later(lambda: 7)
        with pytest.raises(MalformedBody):
            await failed
        return await next_one

    assert asyncio.run(run()) == 7


def test_work_that_nobody_waits_for_is_not_begun() -> None:
    clock, done = Clock(), list[int]()

    async def run() -> int:
        turns = Turns(asyncio.get_running_loop(), clock=clock)
        gone, *others = [turns.later(a_work(clock, done, n)) for n in range(3)]
        gone.cancel()
        return sum(await asyncio.gather(*others))

    assert asyncio.run(run()) == 3
    assert done == [1, 2]


def test_work_longer_than_a_turn_goes_on_one_by_one() -> None:
    clock, done = Clock(), list[int]()

    async def run() -> list[int]:
        turns = Turns(asyncio.get_running_loop(), turn_s=0.0, clock=clock)
        return await asyncio.gather(*map(turns.later, [partial(a_work(clock, done, n)) for n in range(5)]))

    assert asyncio.run(run()) == done == list(range(5))
