"""The load of the ingest benchmark: a number of connections, each with one request under way, in one event loop.

HTTP/1.1 and gRPC are spoken on plain sockets with bodies compressed beforehand, so that the sender costs little and
every receiver gets the same bytes. Exporters do the same: one connection each, kept alive, one request at a time.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from benchmarks.otlp_bodies import Body

__all__ = ["Address", "Sent", "send"]

Protocol = Literal["http", "grpc"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a receiver listens on loopback for OTLP/HTTP and OTLP/gRPC."""

    http: int
    grpc: int


@dataclass(frozen=True, slots=True)
class Sent:
    """How long the load took in all, and each answer of it; seconds."""

    elapsed_s: float
    answers_s: list[float]


class Refused(RuntimeError):
    """A receiver answered anything but success: what it costs cannot be compared then."""


def send(address: Address, protocol: Protocol, signal: str, bodies: Sequence[Body], connections: int) -> Sent:
    """Send every body once and wait for its answer.

    Raises
    ------
    Refused
        When an answer was no success.
    """
    return asyncio.run(_send(address, protocol, signal, bodies, connections))


async def _send(address: Address, protocol: Protocol, signal: str, bodies: Sequence[Body], connections: int) -> Sent:
    loop = asyncio.get_running_loop()
    waiting, answers = deque(bodies), list[float]()
    make, port = (_Http, address.http) if protocol == "http" else (_Grpc, address.grpc)
    begun = perf_counter()
    made = [make(_Load(waiting, answers, signal), loop.create_future()) for _ in range(connections)]
    for client in made:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in made))
    return Sent(perf_counter() - begun, answers)


@dataclass(frozen=True, slots=True)
class _Load:
    waiting: deque[Body]
    answers: list[float]
    signal: str


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: _Load, done: asyncio.Future[None]) -> None:
        self.load = load
        self.done = done
        self.received = b""
        self.begun = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.open()
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(Refused(f"the receiver closed the connection: {exc}"))

    def next(self) -> None:
        """Send the next body, or end."""
        if not self.load.waiting:
            self.done.set_result(None)
            self.transport.close()
            return
        self.begun = perf_counter()
        self.request(self.load.waiting.popleft().data)

    def answered(self, refusal: str) -> None:
        """Note an answer and go on."""
        if refusal:
            if not self.done.done():
                self.done.set_exception(Refused(refusal))
            self.transport.close()
            return
        self.load.answers.append(perf_counter() - self.begun)
        self.next()

    def open(self) -> None:
        """Begin the connection."""

    def request(self, data: bytes) -> None:
        """Send one body."""
        raise NotImplementedError


class _Http(_Client):
    """OTLP/HTTP over HTTP/1.1."""

    def request(self, data: bytes) -> None:
        head = (
            f"POST /v1/{self.load.signal} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: foreshock-benchmark\r\n"
            f"content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        self.transport.write(head.encode() + data)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        if len(rest) < int(fields.get(b"content-length", b"0")):
            return
        self.received = b""
        status = head.split(b" ", 2)[1]
        self.answered("" if status == b"200" else f"HTTP {status.decode()}: {rest[:200]!r}")


_SERVICES = {"traces": "trace.v1.TraceService", "logs": "logs.v1.LogsService", "metrics": "metrics.v1.MetricsService"}
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK = 1, 1
_FRAME = 16_384
_NAME, _NAME_PACKED = b"grpc-status", bytes.fromhex("9acac8b21234da8f")  # as text and in HPACK's Huffman code
_ZERO, _ZERO_PACKED = b"\x010", b"\x81\x07"


class _Grpc(_Client):
    """OTLP/gRPC over HTTP/2 (RFC 9113), of which one call after the other needs little.

    Settings forbid the receiver HPACK's dynamic table, so that the status stands in the trailers themselves.
    """

    def open(self) -> None:
        self.stream = -1
        self.window = 65_535  # of the connection; a request of more than 64 KiB would need the stream's as well
        self.unsent = b""
        self.status = b""
        settings = struct.pack("!HIHI", 1, 0, 4, 2**20)
        self.transport.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings))
        self.headers = b"".join(
            b"\x00" + _text(name) + _text(value)
            for name, value in (
                (":method", "POST"),
                (":scheme", "http"),
                (":path", f"/opentelemetry.proto.collector.{_SERVICES[self.load.signal]}/Export"),
                (":authority", "127.0.0.1"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("grpc-encoding", "gzip"),
                ("user-agent", "foreshock-benchmark"),
            )
        )

    def request(self, data: bytes) -> None:
        if len(data) + 5 > 65_535:
            raise Refused(f"a body must be < 64 KiB for one stream's window, got {len(data)} bytes")
        self.stream += 2
        self.status = b""
        self.unsent = struct.pack("!BI", 1, len(data)) + data
        self.transport.write(_frame(_HEADERS, 4, self.stream, self.headers))
        self._push()

    def _push(self) -> None:
        while self.unsent and self.window:
            part = self.unsent[: min(_FRAME, self.window)]
            self.unsent = self.unsent[len(part) :]
            self.window -= len(part)
            self.transport.write(_frame(_DATA, 0 if self.unsent else _END_STREAM, self.stream, part))

    def data_received(self, data: bytes) -> None:
        self.received += data
        while len(self.received) >= 9:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + length:
                return
            kind, flags, stream = struct.unpack("!BBI", self.received[3:9])
            payload, self.received = self.received[9 : 9 + length], self.received[9 + length :]
            self._take(kind, flags, stream, payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE and stream == 0:
            self.window += int.from_bytes(payload, "big")
            self._push()
        elif kind == _DATA and payload:
            self.transport.write(_frame(_WINDOW_UPDATE, 0, 0, struct.pack("!I", len(payload))))
        elif kind == _SETTINGS and not flags & _ACK:
            self.transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self.transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RST_STREAM, _GOAWAY):
            self.answered(f"the receiver ended the stream: {payload!r}")
        elif kind == _HEADERS and flags & _END_STREAM:
            ok = any(name + value in payload for name in (_NAME, _NAME_PACKED) for value in (_ZERO, _ZERO_PACKED))
            self.answered("" if ok else f"gRPC trailers {payload!r}")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    """Return an HPACK string: its length, with a second byte from 127 on, and the characters."""
    assert len(text) < 127 + 128, f"text must be shorter than 255 characters, got {len(text)}"
    head = bytes([len(text)]) if len(text) < 127 else bytes([127, len(text) - 127])
    return head + text.encode()
