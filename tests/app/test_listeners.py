"""Listeners answer on their ports until they are closed, and what is under way then is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.listeners import Listeners
from app.settings import ServerSettings
from features.errors import InvalidSetting


def begin(_: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_what_is_under_way_is_answered_and_a_second_close_does_nothing() -> None:
    asked = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked.set()
            await receive()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    listeners, answers = Listeners(ServerSettings(), begin), list[int]()
    port = listeners.serve("slow", slow, 0)
    with pytest.raises(InvalidSetting, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address"):
        listeners.serve("another", slow, port)
    one = begin("", lambda: answers.append(httpx.get(f"http://127.0.0.1:{port}/").status_code))
    assert asked.wait(30.0)
    listeners.close()
    one.join(30.0)
    assert answers == [204]
    listeners.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")
