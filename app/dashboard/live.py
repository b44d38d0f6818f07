"""One look at the documents for all browsers: who follows a bucket is told when something in it has changed.

Nothing runs while nobody follows, so a node that no browser looks at pays nothing. A look compares the number of changes
of each watched bucket (`app.store.contract.Watch.changes`); the pages read what changed and push it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from anyio import CapacityLimiter

from app.cache.cache import Cache
from features.errors import ForeshockError

__all__ = ["Live"]

logger = logging.getLogger(__name__)

_READS = 8  # guessed: pages are read beside requests to REST, which have threads of their own
_POLL_S = 0.25  # guessed: what is pushed looks immediate, and four comparisons of a dozen numbers a second cost nothing


@dataclass(eq=False, slots=True)
class _Follower:
    buckets: tuple[str, ...]
    told: Callable[[], Awaitable[None]]
    every_s: float | None
    due_s: float
    seen: dict[str, int] = field(default_factory=dict[str, int])
    task: asyncio.Task[None] | None = None


class Live:
    """Tells followers of buckets that something changed.

    Parameters
    ----------
    cache : Cache
        Whose buckets are followed.
    poll_s : float
        Seconds between two looks.
    """

    def __init__(self, cache: Cache, poll_s: float = _POLL_S) -> None:
        self.reads = CapacityLimiter(_READS)  # how many pages are read in threads at once, so that REST keeps its own
        self._cache = cache
        self._poll_s = poll_s
        self._followers: list[_Follower] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def followers(self) -> int:
        """How many follow something at present."""
        return len(self._followers)

    def numbers(self) -> dict[str, int]:
        """Return the number of changes of every bucket, for `follow`."""
        return {bucket: watch.changes for bucket, watch in self._cache.watched.items()}

    def follow(
        self,
        buckets: Sequence[str],
        told: Callable[[], Awaitable[None]],
        every_s: float | None = None,
        since: Mapping[str, int] | None = None,
    ) -> Callable[[], None]:
        """Have someone told of every change, until what is returned is called; on the event loop.

        Parameters
        ----------
        buckets : sequence of str
            Which.
        told : callable
            Awaited after a change; several changes between two looks, or while it is still busy with one, are told once.
        every_s : float, optional
            Seconds after which it is told even without a change, for what is no document.
        since : mapping of str to int, optional
            `numbers` from when what is followed was read; from now on without.
        """
        follower = _Follower(tuple(buckets), told, every_s, self._now() + (every_s or 0.0))
        numbers = self._numbers(follower)
        follower.seen = {bucket: since.get(bucket, 0) for bucket in buckets} if since is not None else numbers
        self._followers.append(follower)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="dashboard")

        def leave() -> None:
            if follower in self._followers:
                self._followers.remove(follower)
            if follower.task is not None:
                follower.task.cancel()

        return leave

    async def _run(self) -> None:
        """Look until nobody follows any more."""
        while self._followers:
            await asyncio.sleep(self._poll_s)
            self.look()
        self._task = None

    def look(self) -> list[asyncio.Task[None]]:
        """Begin to tell everyone for whom something changed, each by itself: a page that takes long holds up no other.

        Returns
        -------
        list of Task
            Those that were begun.
        """
        loop, begun = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        for follower in self._followers:
            if (follower.task is None or follower.task.done()) and self._due(follower):
                follower.task = loop.create_task(_told(follower), name="dashboard page")
                begun.append(follower.task)
        return begun

    def _due(self, follower: _Follower) -> bool:
        numbers = self._numbers(follower)
        due = numbers != follower.seen or (follower.every_s is not None and self._now() >= follower.due_s)
        follower.seen = numbers
        if due and follower.every_s is not None:
            follower.due_s = self._now() + follower.every_s
        return due

    def _numbers(self, follower: _Follower) -> dict[str, int]:
        return {bucket: self._cache.watched[bucket].changes for bucket in follower.buckets}

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _told(follower: _Follower) -> None:
    """Tell one follower; what goes wrong on one page must not stop the others."""
    try:
        await follower.told()
    except ForeshockError as exc:
        logger.warning("a page of the dashboard was not brought up to date: %s", exc)
    except Exception:
        logger.exception("a page of the dashboard was not brought up to date")
