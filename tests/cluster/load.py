"""Senders of numbered events over real sockets, which send a request again until it is acknowledged, as a Collector does."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from features.series import partition_of
from tests.app.ingest.requests import a_span, as_protobuf, attributes, traces
from tests.cluster.ledger import Acknowledged, Event, Ledger

__all__ = ["Load", "request_of", "services_over"]

PAUSES_S = (0.05, 2.0)  # before a request is tried again: doubled from the first to the second, as exporters do
TIMEOUT_S = 3.0  # of one try; exporters wait 10 s, and a test that stops a node cannot
OPERATIONS = ("GET /cart", "PUT /cart")
FAILING = 2  # one of how many


class Load:
    """One sender a service, each with one request under way at a time.

    Parameters
    ----------
    targets : callable
        Returns the ports of OTLP/HTTP that a balancer would send to now.
    services : sequence of str
        Named ``name-N``.
    tick_s : int
        Seconds of a window.
    spans, pause_s : int, float
        How many a request has, and the time between two of one service.
    """

    def __init__(
        self, targets: Callable[[], Sequence[int]], services: Sequence[str], tick_s: int, spans: int = 6, pause_s: float = 0.25
    ) -> None:
        self.targets, self.services, self.tick_s = targets, services, tick_s
        self.spans, self.pause_s = spans, pause_s
        self.ledger = Ledger()
        self._stop = threading.Event()
        self._go = threading.Event()
        self._under_way: set[str] = set()
        self._give_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, args=(name, n), name=name, daemon=True) for n, name in enumerate(services)
        ]

    def start(self) -> None:
        """Begin to send."""
        self._go.set()
        for thread in self._threads:
            thread.start()

    @contextmanager
    def quiet(self, patience_s: float = 60.0) -> Generator[None]:
        """Make no new request meanwhile; what is under way is acknowledged first."""
        self._go.clear()
        try:
            deadline = time.monotonic() + patience_s
            time.sleep(0.05)  # a sender between its look and its request
            while self._under_way:
                assert time.monotonic() < deadline, f"not acknowledged in {patience_s:g} s: {sorted(self._under_way)}"
                time.sleep(0.02)
            yield
        finally:
            self._go.set()

    def end(self, patience_s: float = 60.0) -> None:
        """Make no new request, and wait until what is under way is acknowledged; what is not then is uncertain."""
        self._stop.set()
        self._go.set()
        deadline = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        self._give_up.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_S)
            assert not thread.is_alive(), f"the sender of {thread.name} hangs"

    def _send_all(self, service: str, seed: int) -> None:
        rng, number = random.Random(seed), 0
        self._stop.wait(rng.random() * self.pause_s)
        while not self._stop.is_set():
            self._go.wait()
            self._under_way.add(service)
            events, body = request_of(service, number, self.spans, self.tick_s, time.time_ns())
            self._insist(events, body, rng)
            self._under_way.discard(service)
            number += self.spans
            self._stop.wait(self.pause_s)

    def _insist(self, events: Sequence[Event], body: bytes, rng: random.Random) -> None:
        """Send the same bytes again, to one node or another, until one of them acknowledges."""
        began, tries, pause_s = time.monotonic(), 0, PAUSES_S[0]
        while not self._give_up.is_set():
            tries += 1
            ports = self.targets()
            refusal = self.post(rng.choice(ports), body) if ports else "no node"
            if not refusal:
                self.ledger.acknowledge(events, Acknowledged(began, time.monotonic(), tries))
                return
            self.ledger.refuse(refusal)
            self._give_up.wait(pause_s * (0.5 + rng.random()))
            pause_s = min(2 * pause_s, PAUSES_S[1])
        self.ledger.leave(events)

    @staticmethod
    def post(port: int, body: bytes, timeout_s: float = TIMEOUT_S) -> str:
        """Send a request on a connection of its own and return why it was not taken, nothing where it was."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        try:
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            return type(exc).__name__
        finally:
            connection.close()
        assert answer.status != 200 or not said, f"a partial success: {said!r}"
        return "" if answer.status == 200 else str(answer.status)


def services_over(partitions: int) -> list[str]:
    """Return a service for each partition."""
    found: dict[int, str] = {}
    for number in range(10_000):
        found.setdefault(partition_of("default", f"svc-{number}", partitions), f"svc-{number}")
        if len(found) == partitions:
            break
    return [found[partition] for partition in range(partitions)]


def request_of(service: str, first: int, n: int, tick_s: int, now_ns: int) -> tuple[list[Event], bytes]:
    """Return some numbered events that end now, and the request that tells of them."""
    window = now_ns // 10**9 // tick_s * tick_s
    events = [
        Event(service, number, OPERATIONS[number // FAILING % len(OPERATIONS)], window, number % FAILING == 0)
        for number in range(first, first + n)
    ]
    spans = [
        a_span(
            traceId=f"{event.span_id}{event.span_id}",
            spanId=event.span_id,
            name=event.operation,
            startTimeUnixNano=str(now_ns),
            endTimeUnixNano=str(now_ns),
            status={"code": 2, "message": "it broke"} if event.failed else {},
            attributes=attributes({"n": event.number}),
        )
        for event in events
    ]
    return events, as_protobuf(traces(*spans, service=service), "traces")
