"""Which requests are sent again, how often, and after which wait.

`app.client.foreshock` runs every request through `persist`. A request is sent again when nobody answered, or when the answer says that it
may succeed later (429, 503, and 502 and 504 of a proxy), as long as that cannot do anything twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import TypeAlias, TypeVar
from uuid import uuid4

import anyio
import httpx

from app.client.exchange import Pause, Request, Steps
from app.client.failures import NotReached, Problem, failure_of, problem_of
from features.errors import InvalidValue

__all__ = ["Outcome", "Retries", "persist", "retry_after_s"]

T = TypeVar("T")

Outcome: TypeAlias = httpx.Response | httpx.TransportError | None
"""What came of a step: an answer, that there was none, or of a pause nothing."""

_PROBLEM = "application/problem+json"
_LATER = frozenset({429, 503})
_OF_PROXIES = frozenset({502, 504})
_UNDER_WAY = "urn:foreshock:problem:still-running"


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient a client is.

    Waits have full jitter: a wait is drawn from 0 up to a bound that doubles from one to the next, so that clients that lost one server
    together do not come back together. Where the server says ``Retry-After``, that comes first.

    Parameters
    ----------
    attempts : int
        Requests at most for one answer; 1 never tries again. The default is guessed: with it, a restart of some seconds is waited out.
    first_s : float
        Bound of the first wait in seconds.
    longest_s : float
        Bound of every wait in seconds. A server that asks for more is not waited for.
    rng : random.Random
        Draws the waits.
    sleep : callable
        Waits seconds, for the blocking client.
    async_sleep : callable
        The same for the asynchronous one.
    monotonic : callable
        Seconds that only go forward, by which `watch` knows how long it is to go on.

    Raises
    ------
    InvalidValue
        When a bound is broken.

    References
    ----------
    M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 5
    first_s: float = 0.25
    longest_s: float = 10.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)
    async_sleep: Callable[[float], Awaitable[None]] = field(default=anyio.sleep, repr=False, compare=False)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidValue(f"attempts must be at least 1, got {self.attempts}")
        if not 0.0 <= self.first_s <= self.longest_s:
            raise InvalidValue(f"first_s must be in [0, longest_s {self.longest_s:g}], got {self.first_s:g}")

    def wait_s(self, attempt: int, asked_s: float = 0.0) -> float | None:
        """Return the seconds to wait after an attempt, None when it was the last.

        Parameters
        ----------
        attempt : int
            From 1.
        asked_s : float
            What the server asks for.
        """
        if attempt >= self.attempts or asked_s > self.longest_s:
            return None
        return asked_s + self.rng.uniform(0.0, min(self.first_s * 2 ** (attempt - 1), self.longest_s))


def persist(steps: Steps[T], retries: Retries) -> Generator[Request | Pause, Outcome, T]:
    """Run a call so that each of its requests is tried as often as it may be.

    Yields
    ------
    Request or Pause
        What is to be done next; an answer, an error of the connection, or None is sent back.

    Raises
    ------
    Problem
        When the last answer is one.
    NoAnswer
        When there was none.
    """
    try:
        step = next(steps)
        while True:
            answer: httpx.Response | None = None
            if isinstance(step, Pause):
                yield step
            else:
                answer = yield from _attempts(step, retries)
            step = steps.send(answer)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


def _attempts(request: Request, retries: Retries) -> Generator[Request | Pause, Outcome, httpx.Response]:
    if request.once:  # one key for all attempts
        request = replace(request, headers={**request.headers, "Idempotency-Key": uuid4().hex})
    attempt = 0
    while True:
        attempt += 1
        outcome = yield request
        assert outcome is not None
        if isinstance(outcome, httpx.Response) and (outcome.is_success or outcome.status_code in request.accepts):
            return outcome
        if isinstance(outcome, httpx.Response):
            error, asked_s = problem_of(outcome, request.route), retry_after_s(outcome)
            again = _may_succeed(outcome, error)
        else:
            error, asked_s = failure_of(outcome, request.route), 0.0
            again = isinstance(error, NotReached) or _twice_is_once(request)
        wait_s = retries.wait_s(attempt, asked_s) if again else None
        if wait_s is None:
            raise error from (None if isinstance(outcome, httpx.Response) else outcome)
        yield Pause(wait_s)


def retry_after_s(answer: httpx.Response) -> float:
    """Return the seconds that an answer asks to be waited, 0 where it does not say.

    Examples
    --------
    >>> retry_after_s(httpx.Response(503, headers={"Retry-After": "2"}))
    2.0
    >>> dates = {"Date": "Tue, 24 Nov 2026 00:00:00 GMT", "Retry-After": "Tue, 24 Nov 2026 00:00:30 GMT"}
    >>> retry_after_s(httpx.Response(503, headers=dates))
    30.0
    """
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:  # by the server's own clock
        return max((parsedate_to_datetime(said) - parsedate_to_datetime(answer.headers.get("date", ""))).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _may_succeed(answer: httpx.Response, problem: Problem) -> bool:
    """Return whether the same request may succeed later; such an answer says too that nothing was done."""
    if answer.status_code in _LATER:
        return True
    if answer.headers.get("content-type", "").partition(";")[0].strip() != _PROBLEM:
        return answer.status_code in _OF_PROXIES
    return problem.type == _UNDER_WAY


def _twice_is_once(request: Request) -> bool:
    """Return whether a request that may have arrived can be sent again without harm."""
    return request.once or request.harmless or request.method in ("GET", "DELETE")
