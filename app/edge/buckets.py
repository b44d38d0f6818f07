"""Token buckets: how often each of many keys may do something, on a clock that is passed in.

`app.edge.throttle` has one for each limit of the settings.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

__all__ = ["Buckets"]


class Buckets:
    """A bucket a key, which fills at a steady rate up to a burst, and may be overdrawn by one charge.

    Who takes from a bucket that holds something gets it, whatever it costs; then the key waits until what it owes has
    come in. So the cost need not be known before, as that of a body is not.

    Parameters
    ----------
    rate_per_s : float
        What comes into each bucket a second, > 0.
    burst : float
        What it holds at most, > 0.
    now : callable
        A monotonic clock, seconds.
    max_keys : int
        Buckets that are kept. Of more the one that was used least recently goes; a key without a bucket has a full one.

    Examples
    --------
    >>> clock = [0.0]
    >>> buckets = Buckets(2.0, 2.0, lambda: clock[0], 10)
    >>> [buckets.take("a") for _ in range(3)]
    [0.0, 0.0, 0.5]
    >>> clock[0] = 0.5
    >>> buckets.take("a"), buckets.take("b")
    (0.0, 0.0)

    References
    ----------
    Turner, J. (1986). New directions in communications (or which way to the information age?). IEEE Communications
    Magazine 24(10): the leaky bucket as a meter, of which a token bucket is the mirror image.
    """

    def __init__(self, rate_per_s: float, burst: float, now: Callable[[], float], max_keys: int) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._now = now
        self._max_keys = max_keys
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """How many keys have a bucket."""
        return len(self._held)

    def take(self, key: str, n: float = 1.0) -> float:
        """Take from a bucket, and return 0; or nothing, and return the seconds after which there is something again.

        Parameters
        ----------
        key : str
            Whose bucket.
        n : float
            How much; more than there is is owed afterwards.
        """
        with self._lock:
            level = self._level(key)
            if (wait_s := self._wait_s(level)) > 0.0:
                return wait_s
            self._put(key, level - n)
            return 0.0

    def wait_s(self, key: str) -> float:
        """Return the seconds after which a key may take again, 0 if it may now; nothing is taken."""
        with self._lock:
            return self._wait_s(self._level(key))

    def charge(self, key: str, n: float) -> None:
        """Take what was used already, even from an empty bucket."""
        with self._lock:
            self._put(key, self._level(key) - n)

    def _level(self, key: str) -> float:
        found = self._held.get(key)
        if found is None:
            return self._burst
        level, at_s = found
        return min(self._burst, level + (self._now() - at_s) * self._rate)

    def _wait_s(self, level: float) -> float:
        """Return when a whole unit is there, or any burst below one is full."""
        wanted = min(1.0, self._burst)
        # A share of a nanosecond is rounding, and nobody waits for it.
        missing = wanted - level
        return missing / self._rate if missing > wanted * 1e-9 else 0.0

    def _put(self, key: str, level: float) -> None:
        self._held[key] = (level if math.isfinite(level) else 0.0, self._now())
        self._held.move_to_end(key)
        while len(self._held) > self._max_keys:
            self._held.popitem(last=False)
