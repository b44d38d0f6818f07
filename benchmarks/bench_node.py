"""The parts of `benchmarks.bench` that ask a real `foreshock serve`: intake, reads with and without what is kept ready, monitoring, end to end."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.bench_measure import SCRATCH, Measure, asked, measure
from benchmarks.otlp_bodies import Template, bodies, templates
from benchmarks.processes import Receiver, foreshock

__all__ = ["node"]

_SPANS = 512
_CONNECTIONS = (1, 4, 16, 64)
_SECONDS = 6.0  # of each measurement of intake
_READ_S = 3.0
_READERS = 8
_TICKED_S = 150.0
_SHOWN_S = 90.0
_POLL_S = 0.02


def node(seed: int) -> Iterator[Measure]:
    """Start a node with default settings, and measure it from outside."""
    with _running() as receiver:
        yield from _intake(receiver, seed)
        services = _forecast(receiver)
        yield from _reads(receiver, services)
        yield from _monitoring(receiver)
        yield from _end_to_end(receiver, seed)


@contextmanager
def _running() -> Generator[Receiver]:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        receiver = foreshock("bench", Path(folder) / "node", {})
        try:
            yield receiver
        finally:
            receiver.stop()


def _intake(receiver: Receiver, seed: int) -> Iterator[Measure]:
    forms, rng = templates("traces", _SPANS, 0.01, random.Random(seed)), np.random.default_rng(seed)
    asked(receiver.address.http, _posts(forms, rng), 4, 2.0)
    for connections in _CONNECTIONS:
        took, elapsed = asked(receiver.address.http, _posts(forms, rng), connections, _SECONDS)
        receiver.settled()
        many = "1 connection" if connections == 1 else f"{connections} connections"
        title = ("concurrency", f"OTLP/HTTP, {many}, {_SPANS} spans a request")
        yield measure(title, took, elapsed=elapsed, each=(_SPANS, "spans"), mib=_mib(receiver))
        if connections == 16:
            title = ("latency and throughput", f"OTLP/HTTP, {many}, {_SPANS} spans a request")
            yield measure(title, took, elapsed=elapsed, each=(_SPANS, "spans"), mib=_mib(receiver))
    small = templates("traces", 1, 0.01, random.Random(seed))
    took, elapsed = asked(receiver.address.http, _posts(small, rng), 16, _SECONDS)
    receiver.settled()
    title = ("latency and throughput", "OTLP/HTTP, 16 connections, 1 span a request")
    yield measure(title, took, elapsed=elapsed, each=(1, "requests"), mib=_mib(receiver))


def _posts(forms: list[Template], rng: np.random.Generator) -> Iterator[bytes]:
    """Yield requests, all different: a request that was sent before counts once and costs little."""
    while True:
        for body in bodies(forms, 32, rng, time.time_ns()):
            head = (
                "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\n"
                f"content-encoding: gzip\r\ncontent-length: {len(body.data)}\r\n\r\n"
            )
            yield head.encode() + body.data


def _forecast(receiver: Receiver) -> list[str]:
    """Wait for the first forecasts and return the services that have one."""
    ends = time.monotonic() + _TICKED_S
    while time.monotonic() < ends:
        items = _get(receiver, "/api/v1/predictions?operations=whole&limit=100")["items"]
        if items:
            return [str(item["service"]) for item in items]
        time.sleep(0.5)
    raise TimeoutError(f"no forecast within {_TICKED_S:g} s")


def _reads(receiver: Receiver, services: Sequence[str]) -> Iterator[Measure]:
    """Ask for predictions: from what is kept ready, by the framework's way to it, and in lists that are put together for each request."""
    ways = (
        ("prediction", f"read a prediction, {_READERS} connections", "/api/v1/predictions/{}", ""),
        ("optimiser settings", "cache: prediction kept ready", "/api/v1/predictions/{}", ""),
        # A header that comes twice takes the framework's way, as `benchmarks.serve` has it.
        ("optimiser settings", "cache: by the framework", "/api/v1/predictions/{}", "x-scope-orgid: default\r\n" * 2),
        ("optimiser settings", "cache: put together for the request", "/api/v1/predictions?service={}", ""),
    )
    for section, name, path, header in ways:
        requests = cycle([_request(path.format(service), header) for service in services])
        readers = _READERS if section == "prediction" else 1
        asked(receiver.api, requests, readers, 0.5)
        took, elapsed = asked(receiver.api, requests, readers, _READ_S)
        yield measure((section, name), took, elapsed=elapsed, each=(1, "reads"), mib=_mib(receiver))


def _monitoring(receiver: Receiver) -> Iterator[Measure]:
    for name, path in (
        ("render /metrics", "/metrics"),
        ("ask whether all is ready", "/readyz?verbose=1"),
        ("list anomalies of the last hour", "/api/v1/anomalies"),
        ("list alerts", "/api/v1/alerts"),
    ):
        took, elapsed = asked(receiver.api, cycle([_request(path)]), 1, _READ_S)
        yield measure(("monitoring", name), took, elapsed=elapsed, each=(1, "reads"), mib=_mib(receiver))


def _end_to_end(receiver: Receiver, seed: int) -> Iterator[Measure]:
    """Take the time from sending a request until it is absorbed, and from the end of a tick until its forecasts are shown."""
    forms, rng = templates("traces", _SPANS, 0.01, random.Random(seed + 1)), np.random.default_rng(seed + 1)
    posts, took = _posts(forms, rng), list[float]()
    for _ in range(20):
        begun = time.perf_counter()
        asked(receiver.address.http, iter([next(posts)]), 1, 30.0)
        while receiver.behind():
            time.sleep(0.002)
        took.append(time.perf_counter() - begun)
    yield measure(("end to end", f"from {_SPANS} spans sent to all absorbed"), took, each=(_SPANS, "spans"), mib=_mib(receiver))
    shown = [_until_shown(receiver) for _ in range(2)]
    yield measure(
        ("end to end", "from the end of a tick to its forecasts over REST"), shown, each=(1, "ticks"), mib=_mib(receiver)
    )


def _until_shown(receiver: Receiver) -> float:
    """Wait for the next tick's end, and return the seconds until a forecast as of it is shown."""
    due = (time.time() // 60 + 1) * 60
    time.sleep(max(0.0, due - time.time()))
    while time.time() < due + _SHOWN_S:
        item = _get(receiver, "/api/v1/predictions?limit=1")["items"][0]
        if item["age_s"] < time.time() - due + 1.0:
            return time.time() - due
        time.sleep(_POLL_S)
    raise TimeoutError(f"no new forecast within {_SHOWN_S:g} s")


def _request(path: str, header: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n{header}\r\n".encode()


def _get(receiver: Receiver, path: str) -> dict[str, Any]:
    return json.loads(httpx.get(f"http://127.0.0.1:{receiver.api}{path}", timeout=30.0).text)


def _mib(receiver: Receiver) -> float:
    return round(receiver.rss_bytes() / 2**20, 1)
