"""Advice about a kind of error as people read it; a service's page, error groups and incidents show it."""

from __future__ import annotations

from app.dashboard import words
from app.dashboard.markup import Markup, h
from features.recovery import Advice

__all__ = ["advised"]

_SAFE = {"yes": "safe", "if_idempotent": "safe if the request is idempotent", "no": "not safe"}


def advised(advice: Advice) -> Markup:
    """Return what to do now, whether a retry is safe, what to check and what to fix."""
    retry = advice.retry
    waits = (
        f", the first after {words.duration(retry.first_s)}, at most {retry.attempts} times and {words.duration(retry.max_s)} apart"
        if retry.attempts
        else ""
    )
    return h(
        "div.advice",
        h("p", h("strong", "Now: "), advice.now),
        h("p", h("strong", "Retries: "), f"{_SAFE[retry.safe]}{waits}"),
        _list("Check", advice.check),
        _list("Fix", advice.fix),
    )


def _list(title: str, lines: tuple[str, ...]) -> Markup | None:
    return h("p", h("strong", f"{title}: "), "; ".join(lines)) if lines else None
