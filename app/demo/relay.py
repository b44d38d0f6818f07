"""A stand-in for the Collector between the shop and several nodes: it takes OTLP/HTTP, queues, and sends to one node after the other.

`app.demo.live` sends to it as to any receiver. A request that a node does not take goes to the next one, as it was, so that it counts
once wherever it arrives, until one takes it.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

__all__ = ["Relay", "Relayed"]

_RETRYABLE = {429, 502, 503, 504}  # OTLP 1.11, "Failures": a client that gets these should send again
_PASSED_ON = ("content-type", "content-encoding", "x-scope-orgid")
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0  # guessed; the Collector begins with 5 s, too long to watch
_ANSWER_S = 15.0


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of requests so far.

    Parameters
    ----------
    taken, again, lost, waiting : int
        Taken by a node; sent again because one did not; given up; not taken yet.
    """

    taken: int
    again: int
    lost: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    headers: Mapping[str, str]
    body: bytes


class Relay:
    """Listens on a free port of loopback from the start on.

    Parameters
    ----------
    targets : sequence of str
        Base addresses of the nodes' OTLP/HTTP, at least one.
    senders : int
        Requests under way at once.
    size : int
        Requests that may wait; one more is answered 503.
    retry_s : float
        Seconds after which a request is given up; those of the Collector by default.
    """

    def __init__(self, targets: Sequence[str], *, senders: int = 8, size: int = 1000, retry_s: float = 300.0) -> None:
        self._retry_s = retry_s
        self._queue: queue.Queue[_Request] = queue.Queue(size)
        self._turns = itertools.cycle(targets)
        self._lock = threading.Lock()
        self._taken = self._again = self._lost = self._working = 0
        self._stop = threading.Event()
        self._client = httpx.Client(timeout=_ANSWER_S)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self._queue))
        self._threads = [threading.Thread(target=self._send_on, daemon=True) for _ in range(senders)]
        self._threads.append(threading.Thread(target=self._server.serve_forever, daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def relayed(self) -> Relayed:
        """What became of requests so far."""
        with self._lock:
            return Relayed(self._taken, self._again, self._lost, self._queue.qsize() + self._working)

    def settle(self, seconds: float) -> bool:
        """Wait until nothing waits, for some seconds at most, and return whether that is so."""
        deadline = time.monotonic() + seconds
        while self.relayed.waiting and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.relayed.waiting

    def close(self) -> None:
        """Take nothing more, and give up what waits."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(_ANSWER_S)
        self._client.close()

    def _send_on(self) -> None:
        while not self._stop.is_set():
            with self._lock:  # from the queue into what is worked on at once, so that it is never in neither
                try:
                    request = self._queue.get_nowait()
                except queue.Empty:
                    request = None
                self._working += request is not None
            if request is None:
                self._stop.wait(0.01)
                continue
            taken = self._until_taken(request)
            with self._lock:
                self._working -= 1
                self._taken += taken
                self._lost += not taken

    def _until_taken(self, request: _Request) -> bool:
        deadline, wait_s = time.monotonic() + self._retry_s, _FIRST_WAIT_S
        while not self._stop.is_set() and time.monotonic() < deadline:
            with self._lock:
                target = next(self._turns)
            try:
                answer = self._client.post(f"{target}{request.path}", content=request.body, headers=dict(request.headers))
                if answer.status_code not in _RETRYABLE:
                    return answer.is_success
            except httpx.TransportError:
                pass  # whether the node had it or not: it counts once
            with self._lock:
                self._again += 1
            self._stop.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        return False


def _answering(waiting: queue.Queue[_Request]) -> type[BaseHTTPRequestHandler]:
    """Return what answers each request once it waits in the queue."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name: value for name in _PASSED_ON if (value := self.headers.get(name)) is not None}
            try:
                waiting.put_nowait(_Request(self.path, headers, body))
                self.send_response(200)
            except queue.Full:
                self.send_response(503)
                self.send_header("retry-after", "1")
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Say nothing."""

    return Answer
