"""Labels of alerts, and whether matchers fit them; routes and silences choose by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import escape

from app.cache.alert_records import MatcherRecord

__all__ = ["OWN", "admits", "matchers_of"]

OWN = ("generator", "foreshock")
"""A label of every alert that is made here, and its value: one that comes back, as through an Alertmanager, must not count as an incident
that confirms it."""


def matchers_of(selector: Mapping[str, str]) -> tuple[MatcherRecord, ...]:
    """Return the matchers of a selector: patterns by label, one that begins with ``!`` must not fit.

    Examples
    --------
    >>> matchers_of({"service": "!load-*"})
    (MatcherRecord(label='service', pattern='load-*', equal=False),)
    """
    return tuple(
        MatcherRecord(label, pattern.removeprefix("!"), not pattern.startswith("!")) for label, pattern in selector.items()
    )


def admits(matchers: Iterable[MatcherRecord], labels: Mapping[str, str]) -> bool:
    """Return whether all matchers fit; a label that is absent is an empty one.

    Examples
    --------
    >>> pay = matchers_of({"service": "pay*"})
    >>> admits(pay, {"service": "payment"}), admits(pay, {"service": "cart"}), admits((), {})
    (True, False, True)
    """
    return all(_fits(matcher.pattern, labels.get(matcher.label, "")) == matcher.equal for matcher in matchers)


def _fits(pattern: str, value: str) -> bool:
    return fnmatchcase(value, _plain(pattern))


@lru_cache(maxsize=1024)
def _plain(pattern: str) -> str:
    """Return a pattern in which `*` alone stands for other characters, as names of operations hold brackets and question marks."""
    return "*".join(map(escape, pattern.split("*")))
