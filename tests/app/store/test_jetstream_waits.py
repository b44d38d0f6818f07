"""Who waits for an answer gives up when the connection ends, and only then."""

from __future__ import annotations

import asyncio

import pytest

from app.store.jetstream_waits import Waits


def test_a_wait_ends_when_it_is_given_up_and_one_that_begins_later_goes_on() -> None:
    async def run() -> tuple[bool, str]:
        waits, begun = Waits(), asyncio.Event()

        async def ask() -> None:
            async with waits.wait():
                begun.set()
                await asyncio.Event().wait()

        asked = asyncio.create_task(ask())
        await begun.wait()
        await waits.give_up()
        await waits.give_up()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asked, 30.0)
        async with waits.wait():
            return True, await asyncio.sleep(0, "answered")

    assert asyncio.run(run()) == (True, "answered")


def test_an_answer_that_came_is_not_taken_back() -> None:
    async def run() -> str:
        waits = Waits()
        async with waits.wait():
            answer = await asyncio.sleep(0, "answered")
        await waits.give_up()
        return await asyncio.sleep(0, answer)

    assert asyncio.run(run()) == "answered"
