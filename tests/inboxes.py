"""Receivers on real sockets for tests of what leaves Foreshock: one of HTTP that answers what it is told to, and one of mail."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

__all__ = ["Mailbox", "Receiver", "Request", "mailbox", "receiver"]


@dataclass(frozen=True, slots=True)
class Request:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What came, and what to answer: 500 to what it fails at, `answers` one after the other, then 200."""

    url: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    answers: list[int] = field(default_factory=list[int])
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    fails: Callable[[Request], bool] = lambda _: False

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def receiver(tls: SSLContext | None = None) -> Generator[Receiver]:
    """Run a receiver of HTTP on a free port."""
    found = Receiver()

    class Asked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append(Request(self.path, headers, self.rfile.read(length)))
            failed = found.fails(found.requests[-1])
            self.send_response(500 if failed else found.answers.pop(0) if found.answers else 200)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(found.text.encode())))
            self.end_headers()
            self.wfile.write(found.text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        found.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        with _served(server):
            yield found


@dataclass
class Mailbox:
    """Mail that came; so many recipients are refused first."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list[EmailMessage])
    refusals: int = 0


@contextmanager
def mailbox() -> Generator[Mailbox]:
    """Run a receiver of mail (RFC 5321) on a free port."""
    found = Mailbox()

    class Said(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 mailbox\r\n")
            for line in self.rfile:
                word = line[:4].upper()
                if word == b"RCPT" and found.refusals:
                    found.refusals -= 1
                    self.wfile.write(b"550 no such user\r\n")
                elif word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    found.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
                    self.wfile.write(b"250 taken\r\n")
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Said) as server:
        found.port = server.server_address[1]
        with _served(server):
            yield found


@contextmanager
def _served(server: socketserver.BaseServer) -> Generator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
