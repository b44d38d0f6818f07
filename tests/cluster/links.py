"""TCP links between the parts of a cluster, which can be cut, held back, or made to lose an answer; all on one thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["Link", "Links"]


@dataclass(slots=True, eq=False)
class Link:
    """One listening port whose bytes go to a server and back.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Where it lives.
    server : int
        Port that it leads to, on this machine.
    """

    loop: asyncio.AbstractEventLoop
    server: int
    port: int = 0
    lost_bytes: int = 0
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _refuses: bool = False
    _until: bytes = b""
    _mute: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def cut(self) -> None:
        """End all connections and take no new one."""

        def act() -> None:
            self._refuses = True
            self._end_all()

        self._soon(act)

    def hold(self) -> None:
        """Let nothing through, as a network does that drops packets; what was said arrives after `heal`."""
        self._soon(self._flows.clear)

    def lose_answers_to(self, said: bytes) -> None:
        """Lose all that the server says once a client has said this, until `heal`; what clients say still arrives."""

        def act() -> None:
            self._until = said

        self._soon(act)

    def heal(self) -> None:
        """Let everything through again; connections on which answers were lost end."""

        def act() -> None:
            if self._mute:
                self._end_all()
            self._refuses, self._mute, self._until = False, False, b""
            self._flows.set()

        self._soon(act)

    def _soon(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def do() -> None:
            act()
            done.set()

        self.loop.call_soon_threadsafe(do)
        assert done.wait(10.0), "the links' thread hangs"

    def _end_all(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def open(self) -> asyncio.Server:
        """Listen on a free port."""
        self._flows.set()
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(listening.sockets[0].getsockname()[1])
        return listening

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._ends.add(client)
        try:
            if not self._refuses:
                await self._flows.wait()
                await self._join(reader, client)
        finally:
            self._end(client)

    async def _join(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Pass bytes on in both directions until one side ends."""
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.server)
        except OSError:
            return  # nobody listens: the client's connection ends
        self._ends.add(server)
        ends = [
            asyncio.ensure_future(self._pass(reader, server, back=False)),
            asyncio.ensure_future(self._pass(answers, client, back=True)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            self._end(server)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._ends.discard(writer)
        writer.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, back: bool) -> None:
        with suppress(OSError):
            while data := await source.read(2**16):
                await self._flows.wait()
                if back and self._mute:
                    self.lost_bytes += len(data)
                    continue
                if not back and self._until and self._until in data:
                    self._mute = True
                target.write(data)
                await target.drain()


class Links:
    """Makes links, all of which live on one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self._listening: list[asyncio.Server] = []

    def to(self, port: int) -> Link:
        """Return a new link to a port of this machine."""

        async def made() -> Link:
            link = Link(self._loop, port)
            self._listening.append(await link.open())
            return link

        return asyncio.run_coroutine_threadsafe(made(), self._loop).result(10.0)

    def close(self) -> None:
        """End everything."""

        async def end() -> None:
            for listening in self._listening:
                listening.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()
