"""What to do about an error: at once, about retrying, and for good.

One row a kind of `features.taxonomy`. `app.flow` puts the advice of the expected kinds beside a prediction,
`POST /api/v1/errors:classify` answers with it, and an Incident's recovery plan is made of it.

The numbers of a retry are common defaults, guessed rather than measured here: short waits for what passes
in milliseconds (a lock, a deadlock), long ones for what needs a restart or a failover.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from features.errors import InvalidValue
from features.recovery_table import ROWS, Row
from features.taxonomy import UNKNOWN

__all__ = ["Advice", "Retry", "advise"]

Safety = Literal["yes", "if_idempotent", "no"]

_MAX_RETRY_AFTER_S = 3600.0
"""Longest ``Retry-After`` that is repeated as advice; a later time is another day's work. Guessed."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Whether and how to send the same request again.

    Parameters
    ----------
    safe : {"yes", "if_idempotent", "no"}
        ``yes``: the failed request had no effect. ``if_idempotent``: it may have had one, so only a
        request that can be repeated without harm. ``no``: the same request fails again or does harm.
    first_s, factor, max_s : float
        Wait before the first retry in seconds, its growth, and its bound.
    attempts : int
        Retries after the first try; 0 when it is not safe.
    jitter : str
        ``full``: wait a random time between 0 and the delay, so that clients do not return together
        (Brooker 2015, "Exponential Backoff and Jitter"); ``none`` for a delay that the server gave.

    Examples
    --------
    >>> Retry("if_idempotent", 0.2, 2.0, 10.0, 4, "full").backoff
    '4 retries: 0.2 s, then x2 up to 10 s, full jitter'
    >>> Retry("no", 0.0, 1.0, 0.0, 0, "none").backoff
    'no retry'
    """

    safe: Safety
    first_s: float
    factor: float
    max_s: float
    attempts: int
    jitter: Literal["full", "none"]

    @property
    def backoff(self) -> str:
        """The delays in words."""
        if not self.attempts:
            return "no retry"
        times = "1 retry" if self.attempts == 1 else f"{self.attempts} retries"
        spread = "full jitter" if self.jitter == "full" else "no earlier"
        return f"{times}: {self.first_s:g} s, then x{self.factor:g} up to {self.max_s:g} s, {spread}"

    @property
    def text(self) -> str:
        """Safety and delays in one line."""
        words = {"yes": "safe to repeat", "if_idempotent": "repeat only what is idempotent", "no": "do not repeat"}
        return f"{words[self.safe]}; {self.backoff}"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about one kind of error.

    Parameters
    ----------
    kind : str
        Of `features.taxonomy`.
    now : str
        What stops the harm, in one or two sentences.
    retry : Retry
        Whether and how the same request may be sent again.
    check : tuple of str
        Where to look, the most likely first.
    fix : tuple of str
        What keeps it from coming back.
    """

    kind: str
    now: str
    retry: Retry
    check: tuple[str, ...]
    fix: tuple[str, ...]


# safe, first delay s, factor, longest delay s, retries
_RETRIES: dict[str, Retry] = {
    "never": Retry("no", 0.0, 1.0, 0.0, 0, "none"),
    "quick": Retry("yes", 0.05, 2.0, 1.0, 5, "full"),  # locks, deadlocks, conflicts pass in milliseconds
    "refused": Retry("yes", 0.2, 2.0, 10.0, 5, "full"),  # the request never arrived
    "network": Retry("if_idempotent", 0.2, 2.0, 10.0, 4, "full"),  # it may have arrived
    "outage": Retry("if_idempotent", 1.0, 2.0, 60.0, 6, "full"),  # restarts and failovers take a minute
    "limited": Retry("yes", 1.0, 2.0, 60.0, 5, "full"),  # refused before any work was done
    "once": Retry("if_idempotent", 1.0, 1.0, 1.0, 1, "full"),  # after a fresh token, or a fresh read
    "work": Retry("if_idempotent", 30.0, 3.0, 900.0, 3, "full"),  # jobs and messages
}


def advise(kind_name: str, *, retry_after_s: float | None = None) -> Advice:
    """Return the advice for a kind.

    Parameters
    ----------
    kind_name : str
        Name of a kind; one of a user's own gets the advice for ``unknown``.
    retry_after_s : float, optional
        What a ``Retry-After`` header or gRPC RetryInfo asked for, in seconds, 0 or more. Where a retry is
        allowed it becomes the first delay, without a shorter one before it.

    Returns
    -------
    Advice

    Raises
    ------
    InvalidValue
        When `retry_after_s` is negative or not finite.

    Examples
    --------
    >>> advise("deadlock").retry.safe, advise("permission_denied").retry.backoff
    ('yes', 'no retry')
    >>> advise("rate_limited", retry_after_s=30).retry.backoff
    '5 retries: 30 s, then x2 up to 60 s, no earlier'
    """
    if retry_after_s is not None and not 0 <= retry_after_s < float("inf"):
        raise InvalidValue(f"retry_after_s must be in [0, inf), got {retry_after_s}")
    row: Row = ROWS.get(kind_name, ROWS[UNKNOWN])
    retry = _RETRIES[row.retry]
    if retry_after_s is not None and retry.attempts:
        retry = _after(retry, retry_after_s)
    return Advice(kind_name, row.now, retry, row.check, row.fix)


def _after(retry: Retry, seconds: float) -> Retry:
    """Return a retry that respects what the server asked for, or none when that is too far away."""
    if seconds > _MAX_RETRY_AFTER_S:
        return replace(retry, attempts=0)
    return replace(retry, first_s=seconds, max_s=max(retry.max_s, seconds), jitter="none")
