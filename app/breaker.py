"""What stands between this process and a target that may be away: it sees when one is, refuses calls at once then, and lets one look again.

The link to a cluster (`app.store.jetstream_link`), history (`app.archive`) and the question to the servers' monitoring
(`app.store.cluster`) go through a `Breaker` each; what they find is in ``/metrics``.

References
----------
Nygard, "Release It!", 2007, "Circuit Breaker". Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, from which
`full_jitter` and `equal_jitter` have their names.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from app.telemetry import Telemetry
from features.errors import CircuitOpen, InvalidValue

__all__ = ["Breaker", "BreakerPlan", "equal_jitter", "full_jitter", "try_again"]

_T = TypeVar("_T")

CLOSED, HALF_OPEN, OPEN = 0, 1, 2
"""Values of ``foreshock_breaker_state``: calls go through; one looks whether they would; none does."""

_OUTCOMES = ("answered", "failed", "refused")
_MOST_DOUBLINGS = 30  # no power of two beyond every bound is computed


def _cap(attempt: int, first_s: float, longest_s: float) -> float:
    return min(longest_s, first_s * 2.0 ** min(attempt, _MOST_DOUBLINGS))


def full_jitter(attempt: int, first_s: float, longest_s: float, rng: random.Random) -> float:
    """Return the seconds to wait before a call is tried again, at random up to a bound that doubles.

    Parameters
    ----------
    attempt : int
        How often it was tried again before, from 0.
    first_s, longest_s : float
        The bound of the first wait, and of the longest.
    rng : random.Random
        Chooses.

    Examples
    --------
    >>> all(0.0 <= full_jitter(n, 0.1, 1.0, random.Random(n)) <= min(1.0, 0.1 * 2**n) for n in range(9))
    True
    """
    return rng.uniform(0.0, _cap(attempt, first_s, longest_s))


def equal_jitter(attempt: int, first_s: float, longest_s: float, rng: random.Random) -> float:
    """Return the seconds for which a target is left alone: half of a bound that doubles, and up to the other half at random.

    Parameters are those of `full_jitter`.

    Examples
    --------
    >>> 15.0 <= equal_jitter(0, 30.0, 600.0, random.Random(1)) <= 30.0
    True
    """
    return _cap(attempt, first_s, longest_s) * rng.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class BreakerPlan:
    """When a target counts as away, and how often it is looked for then.

    Parameters
    ----------
    after_s : float
        Seconds in which every call failed before it opens; 0 opens at the first failure. Shorter than the target's ordinary pauses
        (an election, say) refuses what would have gone through, longer lets more callers wait in vain.
    first_s, longest_s : float
        Seconds for which nobody is let through, the first time and at most; they double, and chance takes up to half of them.
    """

    after_s: float = 10.0
    first_s: float = 0.5
    longest_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 < self.first_s <= self.longest_s:
            raise InvalidValue(f"first_s must be in (0, longest_s], got {self.first_s} and {self.longest_s}")


class Breaker:
    """Counts what comes of calls to one target, and refuses them while it is away. Usable from any thread and any task.

    Own code, since `pybreaker` (1.4) holds a lock for as long as a call takes, one call at a time, and knows no asyncio but tornado's;
    `purgatory` (3.0) lets all callers through at once where one is to look, and is for threads or for tasks, not both; neither opens by
    time. `tenacity` (9.2) could wait between tries, at 55 us a call that succeeds at once (measured), and each append is one.

    Parameters
    ----------
    target : str
        Names it in metrics and errors.
    telemetry : Telemetry
        Where it counts.
    plan : BreakerPlan
        When it opens, and for how long.
    monotonic : callable
        Seconds.
    rng : random.Random, optional
        Spreads the looks of many processes.
    """

    def __init__(
        self,
        target: str,
        telemetry: Telemetry,
        plan: BreakerPlan = BreakerPlan(),
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.target = target
        self.plan = plan
        self.rng = rng or random.Random()  # noqa: S311 - nothing secret  # nosec B311
        self.retries = telemetry.retries.labels(target=target)
        self._gauge = telemetry.breaker_state.labels(target=target)
        self._calls = {outcome: telemetry.calls.labels(target=target, outcome=outcome) for outcome in _OUTCOMES}
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._state = CLOSED
        self._failing_since: float | None = None
        self._said = ""
        self._openings, self._next_look = 0, 0.0
        self._gauge.set(CLOSED)

    @property
    def ready(self) -> bool:
        """Whether a call would be let through now."""
        with self._lock:
            return self._state == CLOSED or (self._state == OPEN and self._monotonic() >= self._next_look)

    @property
    def trouble(self) -> str:
        """Since when the target is away and what was last heard of it, empty while calls go through.

        Also empty once a look was due for so long that nobody asks any more: whether it is away then nobody knows, and nobody needs it.
        """
        with self._lock:
            now_s = self._monotonic()
            unasked = self._state == OPEN and now_s >= self._next_look + self.plan.longest_s
            if self._state == CLOSED or self._failing_since is None or unasked:
                return ""
            return f"{self.target} has not answered for {now_s - self._failing_since:.0f} s: {self._said}"

    @contextmanager
    def call(self, failures: tuple[type[Exception], ...] = (Exception,)) -> Generator[None]:
        """Make one call in the context.

        Parameters
        ----------
        failures : tuple of type
            What is raised when the target is away. Other exceptions are an answer of it.

        Raises
        ------
        CircuitOpen
            When the target is away; nothing was asked of it.
        """
        looks = self._admit()
        try:
            yield
        except failures as exc:
            self._failed(exc, looks)
            raise
        except Exception:
            self._answered()
            raise
        except BaseException:  # cancelled: nothing is known of the target
            self._let_go(looks)
            raise
        self._answered()

    def _admit(self) -> bool:
        """Let a call through or refuse it; return whether it is the one that looks."""
        if self._state == CLOSED:  # a race with an opening lets one more through, which is harmless
            return False
        with self._lock:
            if self._state == CLOSED:
                return False
            if self._state == OPEN and self._monotonic() >= self._next_look:
                self._move(HALF_OPEN)
                return True
            self._calls["refused"].inc()
            raise CircuitOpen(f"{self.target} is away, and it is not asked again yet; it last failed with: {self._said}")

    def _answered(self) -> None:
        self._calls["answered"].inc()
        if self._failing_since is None:
            return
        with self._lock:
            self._failing_since, self._openings = None, 0
            self._move(CLOSED)

    def _failed(self, exc: Exception, looks: bool) -> None:
        self._calls["failed"].inc()
        with self._lock:
            now_s = self._monotonic()
            self._said = str(exc) or repr(exc)
            if self._failing_since is None:
                self._failing_since = now_s
            overdue = self._state == CLOSED and now_s - self._failing_since >= self.plan.after_s
            if looks or overdue:
                self._next_look = now_s + equal_jitter(self._openings, self.plan.first_s, self.plan.longest_s, self.rng)
                self._openings += 1
                self._move(OPEN)

    def _let_go(self, looks: bool) -> None:
        if looks:
            with self._lock:
                self._move(OPEN)  # the next one may look at once

    def _move(self, state: int) -> None:
        self._state = state
        self._gauge.set(state)


def try_again(work: Callable[[], _T], breaker: Breaker, failures: tuple[type[Exception], ...], waits_s: Sequence[float]) -> _T:
    """Call something through a breaker, and again while it fails, with jitter. Blocks.

    Parameters
    ----------
    work : callable
        Asks the target; must be safe to call twice.
    breaker : Breaker
        Of the target.
    failures : tuple of type
        What is worth another try.
    waits_s : sequence of float
        The longest wait before each further try; as many tries as these and one.
    """
    for longest_s in waits_s:
        try:
            with breaker.call(failures):
                return work()
        except failures:
            breaker.retries.inc()
            time.sleep(breaker.rng.uniform(0.0, longest_s))
    with breaker.call(failures):
        return work()
