"""Notifications through a receiver that fails half the time, and senders that are killed: what is lost, and what comes twice.

    python -m benchmarks.notifications [--notices 10000] [--kills 2] [--fails 0.5] [--taken 0.0] [--json] [--out FILE]

Alerts that fire, each a page of its own, are written to a data folder with their notices, as `app.alerts.alerting` leaves them. A process of its own
(`app.alerts.sender` over the folder's store, with its usual waits) posts them to an HTTP receiver on a socket, and is killed with SIGKILL
whenever a further part of the notices has arrived; another one is started over the same folder. The receiver answers 503 to a share of the
requests at random; of these it takes a share first, as a receiver does whose answer is lost. It counts what it has by key and state.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from app.alerts.contract import Notice
from app.alerts.outbox import wanted
from app.alerts.sender import Sender, SenderParts, SenderPlan
from app.breaker import Breaker
from app.cache.alert_records import AlertRecord
from app.cache.documents import encode_document, tenant_key
from app.settings import StoreSettings
from app.store.sqlite import SqliteStore, open_store
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from features.errors import NotDelivered
from features.series import WHOLE

__all__ = ["main"]

_AT_ONCE = 500


@dataclass
class Receiver:
    """What has arrived.

    `refused` requests were answered 503 and not taken, `unanswered` ones were taken and answered 503.
    """

    fails: float
    taken: float
    rng: random.Random
    arrived: Counter[str] = field(default_factory=Counter[str])
    requests: int = 0
    refused: int = 0
    unanswered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, keys: Sequence[str]) -> int:
        """Take notices or not, and return the status to answer."""
        with self.lock:
            self.requests += 1
            fails = self.rng.random() < self.fails
            keeps = not fails or self.rng.random() < self.taken
            self.refused += not keeps
            self.unanswered += fails and keeps
            if keeps:
                self.arrived.update(keys)
            return 503 if fails else 200


def _serve(receiver: Receiver) -> ThreadingHTTPServer:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):  # the sender was killed
                self.close_connection = True
                return
            told = json.loads(body)
            self.send_response(receiver.take([one["key"] for one in told]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Post:
    """Posts notices as JSON; what is not answered 200 is tried again."""

    name = "post"

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(timeout=10.0)

    def send(self, notices: Sequence[Notice]) -> None:
        told = [{"key": f"{one.key} {one.firing}", "labels": dict(one.labels)} for one in notices]
        try:
            answer = self._client.post(self._url, json=told)
        except httpx.HTTPError as exc:
            raise NotDelivered(f"no answer: {exc!r}") from exc
        if answer.status_code != 200:
            raise NotDelivered(f"answered {answer.status_code}")


def _open(folder: Path) -> SqliteStore:
    return open_store(folder, settings=StoreSettings(), max_in_flight_bytes=2**28, now=_now)


def _now() -> datetime:
    return datetime.now(UTC)


def _fill(folder: Path, n: int) -> None:
    """Write alerts that fire, and what is to be told of them."""
    at = _now()
    with closing(_open(folder)) as store:
        for start in range(0, n, _AT_ONCE):
            alerts = [_alert(number, at) for number in range(start, min(start + _AT_ONCE, n))]
            notices = [notice for alert in alerts if (notice := wanted(alert, None, ("post",), "")) is not None]
            store.documents.add_all("alerts", {tenant_key("default", one.id): encode_document(one) for one in alerts})
            store.documents.add_all("notices", {tenant_key("default", one.id): encode_document(one) for one in notices})


def _alert(number: int, at: datetime) -> AlertRecord:
    service = f"service-{number}"
    return AlertRecord(
        id=f"alert-{number}",
        tenant="default",
        rule="pages",
        state="firing",
        shadow=False,
        service=service,
        operation=WHOLE,
        labels={"alertname": "pages", "service": service, "operation": WHOLE, "tenant": "default"},
        value=0.8,
        probability=0.8,
        horizon="15min",
        threshold=0.5,
        reasons=("errors rise",),
        as_of=at,
        started_at=at,
        updated_at=at,
        fired_at=at,
        page=f"alert-{number}",
    )


def _send(folder: Path, url: str) -> None:
    """Send until nothing is due any more."""
    telemetry = Telemetry()
    with closing(_open(folder)) as store:
        parts = SenderParts(store.documents, Breaker("channel post", telemetry), telemetry, _now)
        sender, plan = Sender(_Post(url), parts), SenderPlan()
        sender.send_due()
        while telemetry.value("notices_waiting", channel="post"):
            time.sleep(plan.poll_s)
            sender.send_due()


def _killed_between(folder: Path, receiver: Receiver, url: str, marks: Sequence[int]) -> int:
    """Run senders, each killed once so many notices have arrived, and a last one to its end; return how many were killed."""
    command = [sys.executable, "-m", "benchmarks.notifications", "--send", str(folder), url]
    for mark in marks:
        with subprocess.Popen(command) as process:
            while len(receiver.arrived) < mark:
                if process.poll() is not None:
                    raise RuntimeError(f"the sender ended at {len(receiver.arrived)} notices, before {mark}")
                time.sleep(0.001)
            process.kill()
    subprocess.run(command, check=True)
    return len(marks)


def main() -> int:
    """Fill a folder, let senders be killed, and compare."""
    parser = argparse.ArgumentParser(description="Notifications through a receiver that fails, by senders that are killed.")
    parser.add_argument("--notices", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--fails", type=float, default=0.5, help="share of requests that are answered 503")
    parser.add_argument("--taken", type=float, default=0.0, help="share of these that are taken all the same")
    parser.add_argument("--send", nargs=2, metavar=("DIR", "URL"), help="be a sender (used by this program itself)")
    answers_as_json(parser)
    asked = parser.parse_args()
    if asked.send:
        _send(Path(asked.send[0]), asked.send[1])
        return 0
    receiver = Receiver(asked.fails, asked.taken, random.Random(asked.seed))
    server = _serve(receiver)
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), asked.notices)
        begun = time.perf_counter()
        marks = [asked.notices * (number + 1) // (asked.kills + 1) for number in range(asked.kills)]
        killed = _killed_between(Path(folder), receiver, f"http://127.0.0.1:{server.server_address[1]}/", marks)
        took_s = time.perf_counter() - begun
    server.shutdown()
    found = {
        "notices": asked.notices,
        "kills": killed,
        "requests": receiver.requests,
        "refused": receiver.refused,
        "taken_without_answer": receiver.unanswered,
        "lost": asked.notices - len(receiver.arrived),
        "duplicates": sum(receiver.arrived.values()) - len(receiver.arrived),
        "seconds": round(took_s, 1),
    }
    deliver(asked, found=found)
    if not asked.json:
        print(", ".join(f"{name} {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
