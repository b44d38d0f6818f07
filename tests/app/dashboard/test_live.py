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
        await live.look()
        assert told == ["time"]
        documents.put("errors", "a/b", b"1")
        documents.put("errors", "a/b", b"2")
        await live.look()
        await live.look()
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
