"""A TCP proxy between a client and a server, which can lose what the server says."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

__all__ = ["Proxy"]


class Proxy:
    """Listens on a port of its own and passes bytes on in both directions.

    Parameters
    ----------
    port : int
        Of the server, on this machine.
    """

    def __init__(self, port: int) -> None:
        self.server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._mute = threading.Event()
        self._until: bytes | None = None
        self._open: list[socket.socket] = []
        self.lost_bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def mute_at(self, said: bytes) -> None:
        """Lose all that the server says once a client has said this; what clients say still arrives."""
        self._until = said

    def cut(self) -> None:
        """End all connections, and let what is said on the next ones through again."""
        self._mute.clear()
        self._until = None
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        """End everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept is not woken by close
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError), self._listener:
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self.server)) as server:
            self._open += [client, server]
            back = threading.Thread(target=self._pass, args=(server, client, True), daemon=True)
            back.start()
            self._pass(client, server, False)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                if back and self._mute.is_set():
                    self.lost_bytes += len(data)
                    continue
                if not back and self._until is not None and self._until in data:
                    self._mute.set()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
