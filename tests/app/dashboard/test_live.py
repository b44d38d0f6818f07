"""Followers of buckets are told once for many changes; without any nothing runs."""

from __future__ import annotations

import asyncio
import logging

import pytest

from app.cache.cache import Cache
from app.dashboard.live import Live
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import InvalidValue
from tests.app.dashboard.loops import finished


def test_who_follows_is_told_of_its_buckets_alone_and_others_go_on_when_one_fails(
    documents: Documents, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> list[str]:
        live, told = Live(Cache(documents, Telemetry()), poll_s=3600.0), list[str]()

        async def errors() -> None:
            told.append("errors")

        async def refused() -> None:
            raise InvalidValue("not today")

        async def broken() -> None:
            raise RuntimeError("a bug")

        async def timed() -> None:
            told.append("time")

        leave = [live.follow(("errors",), one) for one in (refused, broken, errors)]
        leave.append(live.follow(("models",), timed, every_s=0.0))
        await asyncio.gather(*live.look())
        assert told == ["time"]
        documents.put("errors", "a/b", b"1")
        documents.put("errors", "a/b", b"2")
        await asyncio.gather(*live.look())
        await asyncio.gather(*live.look())
        for one in (*leave, leave[0]):
            one()
        assert live.followers == 0
        return told

    with caplog.at_level(logging.WARNING):
        assert finished(scenario()) == ["time", "errors", "time", "time"]
    assert ["not today" in record.message for record in caplog.records].count(True) == 1
    assert [record.exc_info is not None for record in caplog.records].count(True) == 1


def test_it_looks_by_itself_while_somebody_follows_and_then_stops(documents: Documents) -> None:
    async def scenario() -> bool:
        live, told = Live(Cache(documents, Telemetry()), poll_s=0.001), asyncio.Event()

        async def changed() -> None:
            told.set()

        leave = live.follow(("services",), changed)
        documents.put("services", "a/b", b"1")
        await asyncio.wait_for(told.wait(), 30.0)
        leave()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)
        return True

    assert finished(scenario())


def test_a_page_that_takes_long_holds_up_no_other_and_is_told_once_when_it_is_free(documents: Documents) -> None:
    async def scenario() -> list[str]:
        live, told, free = Live(Cache(documents, Telemetry()), poll_s=3600.0), list[str](), asyncio.Event()

        async def slow() -> None:
            told.append("slow begins")
            await free.wait()
            told.append("slow ends")

        async def quick() -> None:
            told.append("quick")

        leave = [live.follow(("errors",), one) for one in (slow, quick)]
        documents.put("errors", "a/b", b"1")
        held, done = live.look()
        await done
        for number in (2, 3):
            documents.put("errors", "a/b", str(number).encode())
            await asyncio.gather(*live.look())
        free.set()
        await held
        await asyncio.gather(*live.look())
        for one in leave:
            one()
        return told

    assert finished(scenario()) == ["slow begins", "quick", "quick", "quick", "slow ends", "slow begins", "slow ends"]


def test_what_changes_between_reading_and_following_is_told_of(documents: Documents) -> None:
    async def scenario() -> int:
        live, told = Live(Cache(documents, Telemetry()), poll_s=3600.0), list[int]()

        async def changed() -> None:
            told.append(1)

        since = live.numbers()
        documents.put("errors", "a/b", b"1")
        leave = live.follow(("errors",), changed, since=since)
        await asyncio.gather(*live.look(), *live.look())
        leave()
        return len(told)

    assert finished(scenario()) == 1


def test_who_leaves_is_not_brought_up_to_date_any_more(documents: Documents) -> None:
    async def scenario() -> bool:
        live = Live(Cache(documents, Telemetry()), poll_s=3600.0)

        async def never() -> None:
            await asyncio.Event().wait()

        leave = live.follow(("errors",), never)
        documents.put("errors", "a/b", b"1")
        (task,) = live.look()
        await asyncio.sleep(0)
        leave()
        await asyncio.wait([task])
        return task.cancelled()

    assert finished(scenario())
