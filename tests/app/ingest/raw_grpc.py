"""Calls as gRPC's own clients never make them: many that are never finished, and messages that lie about their compression."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from time import monotonic
from typing import Self

from tests.app.ingest.wire import METHODS

__all__ = ["UnfinishedCalls", "call_packed"]

# RFC 9113: frames, and the settings that bound what a sender may send.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_MAX_STREAMS, _WINDOW = 3, 4
_FRAME = 16_384
_AHEAD = 2**20


class UnfinishedCalls:
    """Calls whose one message goes on for as long as the server opens their windows.

    Parameters
    ----------
    address : str
        Host and port of the server.
    n_calls : int
        How many are begun, as far as the server lets one connection.
    message_bytes : int
        What each message says of its length; its last byte is never sent.
    """

    def __init__(self, address: str, n_calls: int, message_bytes: int) -> None:
        host, _, port = address.partition(":")
        self.sent: dict[int, int] = {}
        """Bytes that went on each stream."""
        self.n_ended = 0
        self.max_streams: int | None = None
        self._n_calls = n_calls
        self._message_bytes = message_bytes
        self._windows: dict[int, int] = {}
        self._window, self._initial = 65_535, 65_535
        self._unread, self._unsent = b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0)
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def go_on(self, seconds: float) -> None:
        """Send what the windows let through, until nothing has moved for so long."""
        quiet_since = monotonic()
        while monotonic() < quiet_since + seconds:
            before = sum(self.sent.values()), self.n_ended
            self._step()
            if (sum(self.sent.values()), self.n_ended) != before:
                quiet_since = monotonic()

    def _step(self) -> None:
        if self.max_streams is not None:  # the server's settings have come
            while len(self.sent) < self._n_calls and len(self._windows) < self.max_streams:
                self._begin(1 + 2 * len(self.sent))
        for stream in list(self._windows):
            while len(self._unsent) < _AHEAD and self._push(stream):
                pass
        self._exchange()
        while len(self._unread) >= 9 and len(self._unread) >= 9 + int.from_bytes(self._unread[:3], "big"):
            end = 9 + int.from_bytes(self._unread[:3], "big")
            kind, flags, stream = struct.unpack("!BBI", self._unread[3:9])
            payload, self._unread = self._unread[9:end], self._unread[end:]
            self._take(kind, flags, stream, payload)

    def _begin(self, stream: int) -> None:
        self._windows[stream], self.sent[stream] = self._initial, 0
        self._unsent += _frame(_HEADERS, _END_HEADERS, stream, _HEAD)

    def _push(self, stream: int) -> bool:
        left = self._message_bytes + 4 - self.sent[stream]  # five bytes of gRPC's before it, and one that is kept back
        n = min(_FRAME, self._window, self._windows[stream], left)
        if n <= (0 if self.sent[stream] else 5):
            return False
        length = b"" if self.sent[stream] else struct.pack("!BI", 0, self._message_bytes)
        self._unsent += _frame(_DATA, 0, stream, length + bytes(n - len(length)))
        self._window -= n
        self._windows[stream] -= n
        self.sent[stream] += n
        return True

    def _exchange(self) -> None:
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :] if self._unsent else b""
        with suppress(BlockingIOError):
            self._unread += self._socket.recv(2**18)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == _WINDOW_UPDATE and stream in self._windows:
            self._windows[stream] += int.from_bytes(payload, "big")
        elif kind == _SETTINGS and not flags & _ACK:
            found: dict[int, int] = dict(struct.iter_unpack("!HI", payload))
            opened = found.get(_WINDOW, self._initial) - self._initial
            self._initial += opened
            self._windows = {one: window + opened for one, window in self._windows.items()}
            self.max_streams = found.get(_MAX_STREAMS, self.max_streams or 2**31)
            self._unsent += _frame(_SETTINGS, _ACK, 0)
        elif kind == _PING and not flags & _ACK:
            self._unsent += _frame(_PING, _ACK, 0, payload)
        elif kind in (_RST_STREAM, _HEADERS) and self._windows.pop(stream, None) is not None:
            self.n_ended += 1


def call_packed(address: str, packed: bytes) -> None:
    """Send a message that is marked as gzip, and return when the call has ended."""
    host, _, port = address.partition(":")
    headers = _HEAD + b"\x00" + _text("grpc-encoding") + _text("gzip")
    message = struct.pack("!BI", 1, len(packed)) + packed
    with socket.create_connection((host, int(port)), timeout=30) as connection, connection.makefile("rb") as answers:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0)
            + _frame(_HEADERS, _END_HEADERS, 1, headers)
            + _frame(_DATA, _END_STREAM, 1, message)
        )
        while head := answers.read(9):
            kind, flags, stream = struct.unpack("!BBI", head[3:])
            answers.read(int.from_bytes(head[:3], "big"))
            if stream == 1 and kind == _HEADERS and flags & _END_STREAM:
                return
    raise AssertionError("the server hung up")


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    assert len(text) < 127, f"text must be shorter than 127 characters, got {len(text)}"  # HPACK's length in one byte
    return bytes([len(text)]) + text.encode()


_HEAD = b"".join(
    b"\x00" + _text(name) + _text(value)
    for name, value in (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", METHODS["logs"]),
        (":authority", "127.0.0.1"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    )
)
