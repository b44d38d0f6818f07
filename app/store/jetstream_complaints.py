"""What goes wrong with a connection, as the log says it: at once, and then not ten times a second while servers are away.

`app.store.jetstream_link` gives it to the client, which calls it at every try that fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

__all__ = ["Complaints"]

logger = logging.getLogger(__name__)

_AGAIN_S = 10.0  # guessed: often enough to see in a log that it goes on


class Complaints:
    """Logs what a client complains of; each text at most every ten seconds.

    Parameters
    ----------
    monotonic : callable
        Seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[str, tuple[float, int]] = {}  # when each was logged last, and how often it came since
        self.telling: Exception | None = None
        """The last that says why: a reset connection says less than a refusal before it."""

    async def hear(self, exc: Exception) -> None:
        """Take one in."""
        if self.telling is None or not isinstance(exc, OSError):
            self.telling = exc
        now_s, text = self._monotonic(), str(exc)
        at_s, more = self._said.get(text, (-_AGAIN_S, 0))
        if now_s - at_s < _AGAIN_S:
            self._said[text] = at_s, more + 1
            return
        logger.warning("the cluster said: %s%s", text, f" ({more} more times within {now_s - at_s:.0f} s)" if more else "")
        self._said = {each: when for each, when in self._said.items() if now_s - when[0] < 6 * _AGAIN_S} | {text: (now_s, 0)}
