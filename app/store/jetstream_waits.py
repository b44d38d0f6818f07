"""Waits for answers on a connection: they end with it, since what was asked on one is mostly not answered on the next.

`app.store.jetstream_link` asks within a wait, and tries again at once where it would else have waited for its time to be over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["Waits"]


class Waits:
    """All that wait for an answer now; on one event loop."""

    def __init__(self) -> None:
        self._open = set[asyncio.Timeout]()

    @asynccontextmanager
    async def wait(self) -> AsyncGenerator[None]:
        """Raise TimeoutError in what is done within it as soon as `give_up` is called."""
        async with asyncio.timeout(None) as scope:
            self._open.add(scope)
            try:
                yield
            finally:
                self._open.discard(scope)

    async def give_up(self) -> None:
        """End all waits: the connection ended."""
        ended, self._open = self._open, set()
        for scope in ended:
            scope.reschedule(asyncio.get_running_loop().time())
