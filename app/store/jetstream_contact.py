"""Which server of a cluster the connection leads to: one that is cut off from the others still talks to its clients, and can do nothing.

No server tells its clients that it lost the others, and a client leaves one only when their connection ends. `app.store.jetstream_link`
says here what comes of its calls, and goes to another server when told to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from nats.aio.client import Client, Server

__all__ = ["Contact"]

_LOST_S, _LONGEST_S = 3.0, 24.0
"""For how long nothing is stored until the server counts as cut off, at first and at most; it doubles, since in an election of leaders
(0.5 to 5.7 s, ENGINE) every server is as good as another."""

_PAUSE_S = 0.1  # guessed, as in `app.store.jetstream_link`: before a server that failed is tried again


class Contact:
    """Judges by what comes of calls whether another server is to be tried, and chooses it. On one event loop.

    Only what was stored speaks for a server: one that is cut off goes on to answer reads, and refuses writes by what it knows.

    Parameters
    ----------
    monotonic : callable
        Seconds.
    rng : random.Random, optional
        Chooses among servers.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, rng: random.Random | None = None) -> None:
        self._monotonic = monotonic
        self._rng = rng or random.Random()  # noqa: S311 - nothing secret  # nosec B311
        self._failing_since: float | None = None
        self._bound_s = _LOST_S
        self._last = ""

    def stored(self) -> None:
        """Take in that the server stored something, as only one with a majority can."""
        self._failing_since, self._bound_s = None, _LOST_S

    async def failed(self, client: Client) -> None:
        """Take in that a call failed, and let the client go to another server when nothing was stored for too long."""
        now_s = self._monotonic()
        if self._failing_since is None:
            self._failing_since = now_s
        if now_s - self._failing_since < self._bound_s:
            return
        self._failing_since, self._bound_s = now_s, min(2 * self._bound_s, _LONGEST_S)
        if client.connected_url is not None:
            self._last = client.connected_url.netloc
        await client.force_reconnect()

    def choose(self, servers: Sequence[Server], _: dict[str, Any]) -> tuple[Server, float]:
        """Return a server other than the last one where there is another, and the seconds to wait before it is tried."""
        others = [server for server in servers if server.uri.netloc != self._last] or servers
        chosen = self._rng.choice(others)
        self._last = chosen.uri.netloc
        return chosen, _PAUSE_S if chosen.reconnects else 0.0
