"""The HTTP listeners of a node, each with a server in a thread of its own.

`app.main` opens one for OTLP and one for REST, as its roles say, and closes them first when it stops.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from app.ingest.connections import server_of
from app.settings import ServerSettings
from features.errors import InvalidSetting

__all__ = ["Listeners"]

_STARTED_S = 10.0
_STOPPED_S = 30.0
_BACKLOG = 2048  # connections that wait to be accepted; uvicorn's own default


class Listeners:
    """Servers of applications.

    Parameters
    ----------
    settings : ServerSettings
        Where they listen, and how many connections each keeps.
    run : callable
        Begins a named thread and returns it.
    context : ssl.SSLContext, optional
        With the certificate to show; without one connections are not encrypted.
    """

    def __init__(
        self,
        settings: ServerSettings,
        run: Callable[[str, Callable[[], None]], threading.Thread],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._run = run
        self._context = context
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(self, name: str, app: ASGIApp, port: int, *, sockets: bool = False) -> int:
        """Serve an application in a thread of its own, with WebSockets where it wants some, and return its port.

        Raises
        ------
        InvalidSetting
            When the port is taken.
        """
        settings = self._settings
        server = server_of(app, settings.keep_alive_s, settings.max_connections, sockets=sockets, context=self._context)
        listener = _listener(settings.host, port)
        self._servers.append((server, self._run(name, partial(server.run, [listener]))))
        deadline = time.monotonic() + _STARTED_S
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(listener.getsockname()[1])

    def close(self) -> None:
        """Take no more, and wait for what is under way; a second call does nothing."""
        for server, _ in self._servers:
            server.should_exit = True
        for _, thread in self._servers:
            thread.join(_STOPPED_S)
        self._servers.clear()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise InvalidSetting(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another port (settings server.otlp_http_port, server.api_port) or stop what holds it"
        ) from exc
