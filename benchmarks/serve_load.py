"""The client of `benchmarks.serve`, a process of its own: requests over connections that are kept, each sent when the last was answered.

It reads a `Plan` as JSON from standard input and prints an `Outcome`. Every answer is read whole, its status has to be 200, and its JSON has
to say what was expected: whose prediction it is and by which model, or the probabilities of this row to six digits. One that does not
ends the run.
"""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import count
from typing import cast

import httptools
import msgspec
import numpy as np
import uvloop

__all__ = ["Outcome", "Plan", "Request", "main"]

_CLOSE = 1e-6


class Request(msgspec.Struct, frozen=True):
    """One request and what its answer has to say."""

    data: str
    service: str = ""
    model: str = ""
    probabilities: list[float] = []


class Plan(msgspec.Struct, frozen=True):
    """What to send; requests are taken in turn."""

    port: int
    connections: int
    warm_s: float
    seconds: float
    requests: list[Request]


class Outcome(msgspec.Struct, frozen=True):
    """What came of it within the measured seconds."""

    answers: int
    seconds: float
    p50_s: float
    p99_s: float
    client_cpu_s: float


class _Output(msgspec.Struct):
    data: list[float]


class _Chance(msgspec.Struct):
    probability: float


class _Answer(msgspec.Struct):
    """The members of any of the servers' answers that are looked at."""

    service: str = ""
    model_version: str = ""
    horizons: dict[str, _Chance] = {}
    outputs: list[_Output] = []
    five: float = msgspec.field(default=-1.0, name="5min")
    fifteen: float = msgspec.field(default=-1.0, name="15min")
    sixty: float = msgspec.field(default=-1.0, name="60min")

    @property
    def probabilities(self) -> list[float]:
        if self.horizons:
            return [chance.probability for chance in self.horizons.values()]
        return self.outputs[0].data if self.outputs else [self.five, self.fifteen, self.sixty]


_DECODER = msgspec.json.Decoder(_Answer)


def refused(request: Request, status: int, body: bytes) -> str:
    """Return why an answer is not the one that was asked for, empty when it is."""
    if status != 200:
        return f"status {status}: {body[:500]!r}"
    answer = _DECODER.decode(body)
    p = answer.probabilities
    if not 0.0 < p[0] <= p[1] <= p[2] < 1.0 or len(p) != 3:
        return f"no probabilities: {body[:500]!r}"
    if (answer.service, answer.model_version) != (request.service, request.model):
        return f"expected {request.service} by {request.model}, got {answer.service} by {answer.model_version}"
    if any(abs(one - other) > _CLOSE for one, other in zip(p, request.probabilities, strict=False)):
        return f"expected {request.probabilities}, got {p}"
    return ""


class _Load:
    def __init__(self, plan: Plan) -> None:
        self.requests = [(request, request.data.encode()) for request in plan.requests]
        self.answers: list[tuple[float, float]] = []
        self.failure = ""
        self.stopped = asyncio.Event()
        self._numbers = count()

    def next(self) -> tuple[Request, bytes]:
        return self.requests[next(self._numbers) % len(self.requests)]

    def fail(self, why: str) -> None:
        self.failure = self.failure or why
        self.stopped.set()


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._body: list[bytes] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.stopped.is_set():
            self._load.fail(f"a connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        why = refused(self._request, self._parser.get_status_code(), b"".join(self._body))
        if why:
            self._load.fail(why)
        if self._load.stopped.is_set():
            self.transport.close()
            return
        self._load.answers.append((now, now - self._sent))
        self._send()

    def _send(self) -> None:
        self._request, data = self._load.next()
        self._parser, self._body = httptools.HttpResponseParser(self), []
        self._sent = time.perf_counter()
        self.transport.write(data)


async def _run(plan: Plan) -> Outcome:
    load, loop = _Load(plan), asyncio.get_running_loop()
    begun = time.perf_counter() + plan.warm_s
    for _ in range(plan.connections):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", plan.port)
    end = begun + plan.seconds
    loop.call_later(end - time.perf_counter(), load.stopped.set)
    await load.stopped.wait()
    if load.failure:
        raise SystemExit(f"an answer that does not count: {load.failure}")
    took = [took for at, took in load.answers if begun <= at < end]
    p50, p99 = np.quantile(took, (0.5, 0.99)).tolist() if took else (0.0, 0.0)
    return Outcome(len(took), plan.seconds, p50, p99, time.process_time())


def main() -> None:
    """Send what standard input says."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    print(msgspec.json.encode(uvloop.run(_run(plan))).decode())


if __name__ == "__main__":
    main()
