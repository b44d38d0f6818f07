"""A server before a node, on a real socket, that fails as a test wants: by status, by silence, after its work, under a path, with TLS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Literal, TypeAlias

import httpx

__all__ = ["Fate", "Front", "Turn", "front"]


@dataclass(frozen=True)
class Turn:
    """A request is turned away with a status."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Fate: TypeAlias = Turn | Literal["pass", "cut", "lose"]
"""What becomes of a request: it is passed on, cut off unread, or passed on and its answer lost."""


@dataclass
class Front:
    """What came, and where it stands.

    Parameters
    ----------
    behind : str
        Address of the node.
    fate : callable
        Returns what becomes of a request by its number, from 0.
    prefix : str
        Path that is taken away before a request is passed on.
    """

    behind: str
    fate: Callable[[int], Fate]
    prefix: str = ""
    url: str = ""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list[tuple[str, str, dict[str, str]]])


@contextmanager
def front(
    behind: str, fate: Callable[[int], Fate] = lambda _: "pass", *, prefix: str = "", tls: SSLContext | None = None
) -> Generator[Front]:
    """Run such a server on a free port."""
    running = Front(behind, fate, prefix)
    lock = threading.Lock()

    class Asked(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                fate = running.fate(len(running.seen))
                running.seen.append((self.command, self.path, headers))
            if fate == "cut":
                self.close_connection = True
                return
            if isinstance(fate, Turn):
                self._say(fate.status, fate.headers, b"turned away")
                return
            kept = {name: value for name, value in headers.items() if name not in ("host", "content-length", "accept-encoding")}
            answer = httpx.request(
                self.command, running.behind + self.path.removeprefix(running.prefix), headers=kept, content=body, timeout=60.0
            )
            if fate == "lose":
                self.close_connection = True
            else:
                self._say(answer.status_code, {"content-type": answer.headers.get("content-type", "")}, answer.content)

        do_GET = do_POST = do_DELETE = _take  # noqa: N815 - the names that they have

        def _say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    running.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}{prefix}"
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
