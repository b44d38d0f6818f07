"""The sender of `benchmarks.overload`, a process of its own: requests of 512 spans at a rate that no answer slows down.

    python -m benchmarks.overload_load PORT SECONDS RATE CONNECTIONS SEED

All connections are opened before, as those of exporters are. With rate 0 each sends its next request when the last was
answered; otherwise a request leaves when its time has come, on a connection that is free, and its latency counts from that
time; the connection that was free for longest is next. A request that finds all connections busy is not sent, and counted
so. Nothing is sent again. One line of JSON a second goes to standard output, and a last one with what was acknowledged,
service by service, and the CPU time that sending it took.

Every body is unique: spans that failed have ids and messages of their own in each; of the others, which cost the receiver
the same but are compressed beforehand, a body takes one of 64 sets, each made anew every half minute so that times are of
now. Both are pieces of one ordinary gzip stream.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from zlib_ng import zlib_ng

from benchmarks.otlp_bodies import GZIP_LEVEL, Template, templates

__all__ = ["N_SPANS", "Bodies", "main"]

N_SPANS = 512
_N_FAILED = 5  # 1 % of them
_SETS = 64
_RENEWED_S = 30.0
_TIMEOUT_S = 30.0
_STEP_S = 0.002
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # of a gzip stream without name and time
_FAST = 1  # the level of the piece that is made for each request


@dataclass(frozen=True, slots=True)
class _Piece:
    """Spans of a template, compressed up to a byte's end but not ended."""

    form: int
    data: bytes
    checksum: int
    n_bytes: int


class Bodies:
    """Makes requests, and knows what each holds.

    Parameters
    ----------
    seed : int
        Of templates and ids.
    skew_s : float
        Seconds by which the sender's clock is ahead.
    """

    def __init__(self, seed: int, skew_s: float = 0.0) -> None:
        self._skew_ns = round(skew_s * 1e9)
        self._rng = np.random.default_rng(seed)
        # Ids are drawn on a thread as well as on the loop, and a generator is for one of them.
        self._renewing = np.random.default_rng(seed + 1)
        self._whole = templates("traces", N_SPANS - _N_FAILED, 0.0, random.Random(seed))
        self._failed = templates("traces", _N_FAILED, 1.0, random.Random(seed))
        self._sets = [self._set(k) for k in range(_SETS)]
        self._made = 0

    def renew(self, k: int) -> None:
        """Make the spans of a set anew."""
        self._sets[k % _SETS] = self._set(k)

    def _set(self, k: int) -> _Piece:
        form = k % len(self._whole)
        data = self._whole[form].fill(self._renewing, time.time_ns() + self._skew_ns)
        packed = zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, -15)
        return _Piece(form, packed.compress(data) + packed.flush(zlib_ng.Z_FULL_FLUSH), zlib_ng.crc32(data), len(data))

    def body(self) -> tuple[bytes, tuple[int, int]]:
        """Return the next request and the numbers of its two templates."""
        self._made += 1
        first, form = self._sets[self._made % _SETS], self._made % len(self._failed)
        data = self._failed[form].fill(self._rng, time.time_ns() + self._skew_ns)
        packed = zlib_ng.compressobj(_FAST, zlib_ng.DEFLATED, -15)
        last = packed.compress(data) + packed.flush()
        checksum = zlib_ng.crc32_combine(first.checksum, zlib_ng.crc32(data), len(data))
        end = checksum.to_bytes(4, "little") + (first.n_bytes + len(data)).to_bytes(4, "little")
        return _HEAD + first.data + last + end, (first.form, form)

    def held(self, sent: Mapping[tuple[int, int], int]) -> dict[str, dict[str, int]]:
        """Return the spans and errors, service by service, of requests that were made of these templates."""
        spans, errors = Counter[str](), Counter[str]()
        kinds = [[_by_service(form) for form in forms] for forms in (self._whole, self._failed)]
        for forms, n in sent.items():
            for kind, form in zip(kinds, forms, strict=True):
                for service, (n_spans, n_errors) in kind[form].items():
                    spans[service] += n * n_spans
                    errors[service] += n * n_errors
        return {service: {"spans": spans[service], "errors": errors[service]} for service in spans}


def _by_service(form: Template) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for resource_spans in ExportTraceServiceRequest.FromString(form.data).resource_spans:
        names = [pair.value.string_value for pair in resource_spans.resource.attributes if pair.key == "service.name"]
        spans = [span for scope in resource_spans.scope_spans for span in scope.spans]
        n_spans, n_errors = found.get(names[0], (0, 0))
        found[names[0]] = n_spans + len(spans), n_errors + sum(span.status.code == 2 for span in spans)
    return found


@dataclass(slots=True)
class _Second:
    offered: int = 0
    codes: Counter[str] = field(default_factory=Counter[str])
    answers_s: list[float] = field(default_factory=list[float])


class Load:
    """The connections and what came of their requests.

    Parameters
    ----------
    port : int
        Of the receiver on loopback.
    connections : int
        At most so many.
    bodies : Bodies
        What to send.
    """

    def __init__(self, port: int, connections: int, bodies: Bodies) -> None:
        self._port = port
        self._most = connections
        self._bodies = bodies
        self._idle: deque[_Connection] = deque()
        self.busy: set[_Connection] = set()
        self.now = _Second()
        self.answers_s: list[float] = []
        self.codes: Counter[str] = Counter()
        self.acknowledged: Counter[tuple[int, int]] = Counter()
        self.closed_loop = False

    async def open(self) -> None:
        """Open connections until there are as many as there may be, no faster than a receiver accepts them."""
        loop = asyncio.get_running_loop()
        while len(self._idle) + len(self.busy) < self._most:
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
            self._idle.append(connection)

    def offer(self, due: float) -> None:
        """Send one request whose time has come."""
        self.now.offered += 1
        if self._idle:
            self._idle.popleft().send(due, *self._bodies.body())
        else:
            self._note("not sent")

    def answered(self, connection: _Connection, code: str) -> None:
        """Note an answer."""
        self.busy.discard(connection)
        self._note(code)
        if code == "200":
            took = time.perf_counter() - connection.due
            self.now.answers_s.append(took)
            self.answers_s.append(took)
            self.acknowledged[connection.forms] += 1
        if connection.transport.is_closing():
            return
        if self.closed_loop:
            self.now.offered += 1
            connection.send(time.perf_counter(), *self._bodies.body())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection, code: str) -> None:
        """Note that a connection is gone, under a request or not."""
        if connection in self.busy:
            self.busy.discard(connection)
            self._note(code)
        elif connection in self._idle:
            self._idle.remove(connection)

    def expire(self) -> None:
        """Give up requests that wait for too long."""
        late = time.perf_counter() - _TIMEOUT_S
        for connection in [one for one in self.busy if one.due < late]:
            connection.code_when_lost = "timeout"
            connection.transport.abort()

    def _note(self, code: str) -> None:
        self.codes[code] += 1
        self.now.codes[code] += 1


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self.due = 0.0
        self.forms = 0, 0
        self.code_when_lost = "connection lost"
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # of uvloop, which derives from nothing

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self, self.code_when_lost)

    def send(self, due: float, body: bytes, forms: tuple[int, int]) -> None:
        self.due, self.forms = due, forms
        self._load.busy.add(self)
        head = (
            "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: foreshock-benchmark\r\n"
            f"content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.writelines((head.encode(), body))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        if len(rest) < int(fields.get(b"content-length", b"0")):
            return
        self._received = b""
        self._load.answered(self, head.split(b" ", 2)[1].decode())


async def _run(load: Load, bodies: Bodies, seconds: float, rate: float, connections: int) -> None:
    loop = asyncio.get_running_loop()
    await load.open()
    begun = told = time.perf_counter()
    load.closed_loop = rate == 0
    if load.closed_loop:
        for _ in range(connections):
            load.offer(begun)
    sent = renewed = 0
    while (now := time.perf_counter()) < begun + seconds:
        while sent < (now - begun) * rate:
            load.offer(begun + sent / rate)
            sent += 1
        if now - begun > renewed * _RENEWED_S / _SETS:
            await loop.run_in_executor(None, bodies.renew, renewed)
            renewed += 1
        if now - told >= 1:
            told += 1
            load.expire()
            await load.open()
            _tell(load, now - begun)
        await asyncio.sleep(_STEP_S)
    load.closed_loop = False
    while load.busy:
        load.expire()
        await asyncio.sleep(_STEP_S)
    _tell(load, time.perf_counter() - begun)


def _tell(load: Load, second: float) -> None:
    now, load.now = load.now, _Second()
    line = {"second": round(second, 1), "offered": now.offered, "codes": now.codes, **_quantiles(now.answers_s)}
    print(json.dumps(line), flush=True)


def _quantiles(answers_s: Sequence[float]) -> dict[str, float]:
    if not answers_s:
        return {}
    p50, p99, longest = np.quantile(answers_s, (0.5, 0.99, 1.0)).tolist()
    return {"p50_ms": round(p50 * 1e3, 2), "p99_ms": round(p99 * 1e3, 2), "max_ms": round(longest * 1e3, 2)}


def main() -> None:
    """Send, and tell what came of it."""
    port, seconds, rate, connections, seed = (float(word) for word in sys.argv[1:])
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(limit, int(connections) + 100), most), most))
    bodies = Bodies(int(seed))
    load = Load(int(port), int(connections), bodies)
    uvloop.run(_run(load, bodies, seconds, rate, int(connections)))
    ended = {"codes": load.codes, **_quantiles(load.answers_s), "acknowledged": bodies.held(load.acknowledged)}
    ended["cpu_s"] = round(time.process_time(), 1)
    print(json.dumps({"ended": ended}), flush=True)


if __name__ == "__main__":
    main()
