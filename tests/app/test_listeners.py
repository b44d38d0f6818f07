"""Listeners answer on their ports until they are closed, and what is under way then is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest
import websockets.exceptions
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

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


def test_a_connection_becomes_a_websocket_only_where_that_is_wanted() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": (await receive())["text"]})
            await receive()
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    listeners = Listeners(ServerSettings(), begin)
    with_sockets, without = listeners.serve("one", echo, 0, sockets=True), listeners.serve("other", echo, 0)
    with connect(f"ws://127.0.0.1:{with_sockets}/") as socket:
        socket.send("said")
        assert socket.recv() == "said"
    assert httpx.get(f"http://127.0.0.1:{with_sockets}/").status_code == 204
    with pytest.raises(websockets.exceptions.InvalidStatus, match="204"):
        connect(f"ws://127.0.0.1:{without}/")
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    assert httpx.get(f"http://127.0.0.1:{with_sockets}/", headers=upgrade).status_code == 204
    listeners.close()
