"""One description becomes a blocking method and one to be awaited."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Coroutine, Generator
from inspect import signature
from typing import Any, TypeVar

import httpx
import pytest

from app.client.exchange import Pause, Request, Steps
from app.client.methods import Method
from tests.house.sources import ROOT

T = TypeVar("T")


def greeting(name: str, *, loud: bool = False) -> Steps[str]:
    """Say hello."""
    yield Request("GET /hello")
    return f"hello {name}{'!' if loud else ''}"


def end_of(steps: Generator[Request | Pause, httpx.Response | None, T]) -> T:
    try:
        next(steps)
        while True:
            steps.send(httpx.Response(200))
    except StopIteration as stop:
        return stop.value


class Blocking:
    greeting = Method(greeting)

    def send(self, steps: Steps[T]) -> T:
        return end_of(steps)


class Awaited:
    greeting = Method(greeting)

    async def send(self, steps: Steps[T]) -> T:
        return end_of(steps)


def test_a_method_runs_its_call_on_its_client() -> None:
    said: str = Blocking().greeting("ana", loud=True)
    assert said == "hello ana!"


def test_the_same_is_awaited_of_a_client_that_does_not_block() -> None:
    coming: Coroutine[Any, Any, str] = Awaited().greeting("ben")
    assert asyncio.run(coming) == "hello ben"


def test_a_method_shows_what_it_takes_returns_and_does() -> None:
    method = Blocking().greeting
    assert str(signature(method)) == "(name: 'str', *, loud: 'bool' = False) -> 'str'"
    assert (method.__doc__, Blocking.greeting.__doc__) == ("Say hello.", "Say hello.")
    assert getattr(method, "__name__", "") == "greeting"
    assert Blocking.greeting.call is greeting


@pytest.mark.slow
def test_all_that_the_client_offers_has_a_known_type() -> None:
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"]
    asked = [*command, "--verifytypes", "app.client", "--ignoreexternal"]
    here = os.environ | {"PYTHONPATH": str(ROOT)}  # what is installed for editing is found by running code, which it does not
    done = subprocess.run(asked, cwd=ROOT, env=here, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["typeCompleteness"]
    wrong = [symbol["name"] for symbol in found["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert (wrong, found["completenessScore"]) == ([], 1)
    assert found["exportedSymbolCounts"]["withKnownType"] > 500
