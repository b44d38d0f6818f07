"""A way of sending notices over HTTP, and a receiver that does what a test wants; it imports little, since tests kill programs with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from app.alerts.contract import Notice
from features.errors import NotDelivered, NoticeRefused

__all__ = ["PostChannel", "Received", "receiver"]


@dataclass
class Received:
    """What a receiver was told, and what it answers.

    Parameters
    ----------
    answers : callable
        Returns a status by the number of the request, from 0, before anything else is done with it.
    """

    answers: Callable[[int], int] = lambda _: 200
    url: str = ""
    requests: int = 0
    notices: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def states(self) -> list[tuple[str, bool]]:
        """Return key and state of what was taken, in order."""
        with self.lock:
            return [(notice["key"], notice["firing"]) for notice in self.notices]


@contextmanager
def receiver(received: Received) -> Generator[Received]:
    """Run a receiver on a socket of its own."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):  # the sender was killed
                self.close_connection = True
                return
            with received.lock:
                status = received.answers(received.requests)
                received.requests += 1
                if status == 200:
                    received.notices += json.loads(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    received.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class PostChannel:
    """Posts notices as JSON: what is answered 400 is refused, everything else that is not 200 tried again."""

    def __init__(self, url: str, name: str = "post") -> None:
        self.url = url
        self.name = name
        self._client = httpx.Client(timeout=10.0)

    def send(self, notices: Sequence[Notice]) -> None:
        told = [
            {"key": one.key, "firing": one.firing, "labels": dict(one.labels), "annotations": dict(one.annotations)}
            for one in notices
        ]
        try:
            answer = self._client.post(self.url, json=told)
        except httpx.HTTPError as exc:
            raise NotDelivered(f"no answer: {exc!r}") from exc
        if answer.status_code == 400:
            raise NoticeRefused("answered 400")
        if answer.status_code != 200:
            raise NotDelivered(f"answered {answer.status_code}")

    def close(self) -> None:
        self._client.close()
