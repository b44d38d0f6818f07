"""Alerts, routes and what they are made of, a way of sending over HTTP, and a receiver that does what a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from app.alerts.contract import Notice
from app.alerts.evaluation import Observation, OpenIncident, Situation
from app.alerts.routes import Route
from app.cache.alert_records import AlertRecord
from features.errors import NotDelivered, NoticeRefused
from features.series import WHOLE
from models.prediction import AnomalyScore
from tests.api_builders import NOON

__all__ = ["PostChannel", "Received", "a_route", "an_alert", "an_observation", "at", "known", "receiver"]


def at(seconds: float) -> datetime:
    """Return a time after noon."""
    return NOON + timedelta(seconds=seconds)


def a_route(**given: Any) -> Route:
    return Route(**({"name": "pages", "threshold": 0.5, "resolve_ratio": 0.6, "shadow": False, "channels": ("post",)} | given))


def an_observation(
    service: str = "payment", p: float = 0.8, *, at_s: float = 0.0, status: str = "ok", score: float = 0.5
) -> Observation:
    probabilities = {"5min": p / 2, "15min": p, "60min": min(1.0, p * 1.2)}
    anomaly = AnomalyScore(score, 7.0, 2.0, 0.0, 5.0)
    return Observation(service, WHOLE, at(at_s), status, probabilities, anomaly, ("errors rise",))


def an_alert(
    alert_id: str = "a-1", service: str = "payment", *, state: str = "firing", fired_s: float = 0.0, **given: Any
) -> AlertRecord:
    fired = None if state == "pending" else at(fired_s)
    labels = {"alertname": "pages", "service": service, "operation": WHOLE, "tenant": "default", "on": "prediction"}
    named: dict[str, Any] = {
        "id": alert_id,
        "tenant": "default",
        "rule": "pages",
        "state": state,
        "shadow": False,
        "service": service,
        "operation": WHOLE,
        "labels": labels,
        "value": 0.8,
        "probability": 0.8,
        "horizon": "15min",
        "threshold": 0.5,
        "reasons": ("errors rise",),
        "as_of": at(fired_s),
        "started_at": at(fired_s),
        "updated_at": at(fired_s),
        "fired_at": fired,
        "page": alert_id,
    }
    return AlertRecord(**(named | given))


def known(observations: Sequence[Observation] = (), *, now_s: float = 0.0, **given: Any) -> Situation:
    incidents: Sequence[OpenIncident] = given.pop("incidents", ())
    return Situation("default", at(now_s), observations, incidents, **given)


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
            with received.lock:
                status = received.answers(received.requests)
                received.requests += 1
                if status == 200:
                    received.notices += json.loads(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
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
