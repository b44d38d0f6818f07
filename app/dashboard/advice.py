"""Advice about a kind of error as people read it; a service's page, error groups and incidents show it."""

from __future__ import annotations

from app.dashboard import words
from app.dashboard.markup import Markup, h
from features.recovery import Advice, Retry

__all__ = ["advised", "retried"]

_SAFE = {"yes": "safe", "if_idempotent": "safe if the request is idempotent", "no": "not safe"}


def advised(advice: Advice) -> Markup:
    """Return what to do now, whether a retry is safe, what to check and what to fix."""
    return h(
        "div.advice",
        h("p", h("strong", "Now: "), advice.now),
        h("p", h("strong", "Retries: "), retried(advice.retry)),
        _list("Check", advice.check),
        _list("Fix", advice.fix),
    )


def retried(retry: Retry) -> str:
    """Return whether a retry is safe, and how to wait before one.

    Examples
    --------
    >>> retried(Retry("no", 0.0, 1.0, 0.0, 0, "none"))
    'not safe'
    >>> retried(Retry("yes", 0.2, 2.0, 10.0, 4, "full"))
    'safe, the first after 200 ms, at most 4 times and 10 s apart'
    """
    if not retry.attempts:
        return _SAFE[retry.safe]
    return f"{_SAFE[retry.safe]}, the first after {words.duration(retry.first_s)}, at most {retry.attempts} times and {words.duration(retry.max_s)} apart"


def _list(title: str, lines: tuple[str, ...]) -> Markup | None:
    return h("p", h("strong", f"{title}: "), "; ".join(lines)) if lines else None
