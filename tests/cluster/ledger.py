"""What was sent and what was acknowledged of numbered events: a failing span each, named by its service and number."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Acknowledged", "Event", "Ledger", "span_of"]


@dataclass(frozen=True, slots=True)
class Event:
    """One span of a service, which failed or not."""

    service: str
    number: int
    operation: str
    window: int
    """Unix second at which its window begins."""
    failed: bool

    @property
    def span_id(self) -> str:
        """What names it among all."""
        return span_of(self.service, self.number)


def span_of(service: str, number: int) -> str:
    """Return the span id of a numbered event; services are named ``name-N``."""
    return f"{int(service.rpartition('-')[2]) + 1:04x}{number:012x}"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """When a request was first tried and when it was acknowledged, on the monotonic clock, and after how many tries."""

    began: float
    ended: float
    tries: int


@dataclass(eq=False)
class Ledger:
    """What senders know, which they write down from their threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: list[Event] = field(default_factory=list[Event])
    uncertain: list[Event] = field(default_factory=list[Event])
    """What was tried last, and neither acknowledged nor refused when its sender was told to end."""
    answers: list[Acknowledged] = field(default_factory=list[Acknowledged])
    refused: Counter[str] = field(default_factory=Counter[str])
    """How often a try failed, by status or by what became of the connection."""
    counts: Counter[tuple[str, str, int, str]] = field(default_factory=Counter[tuple[str, str, int, str]])
    """Acknowledged spans by service, operation (``*`` too), window, and ``total`` or ``errors``."""

    def acknowledge(self, events: Iterable[Event], answer: Acknowledged) -> None:
        """Write down that a request was taken."""
        with self._lock:
            self.answers.append(answer)
            for event in events:
                self.acknowledged.append(event)
                for operation in ("*", event.operation):
                    self.counts[event.service, operation, event.window, "total"] += 1
                    self.counts[event.service, operation, event.window, "errors"] += event.failed

    def refuse(self, why: str) -> None:
        """Write down that a try failed."""
        with self._lock:
            self.refused[why] += 1

    def leave(self, events: Iterable[Event]) -> None:
        """Write down that nobody knows what became of a request."""
        with self._lock:
            self.uncertain += events

    def longest_refusal(self, since: float, until: float) -> float:
        """Return the longest time within an interval in which nothing was acknowledged anywhere."""
        with self._lock:
            times = sorted(a.ended for a in self.answers if since <= a.ended <= until)
        edges = [since, *times, until]
        return max((b - a for a, b in pairwise(edges)), default=0.0)

    def longest_wait(self, since: float, until: float) -> float:
        """Return the longest time from the first try of a request to its acknowledgement within an interval."""
        with self._lock:
            return max((a.ended - a.began for a in self.answers if since <= a.ended <= until), default=0.0)

    def retries(self, since: float, until: float) -> int:
        """Return how many tries beyond the first there were of what was acknowledged within an interval."""
        with self._lock:
            return sum(a.tries - 1 for a in self.answers if since <= a.ended <= until)

    def expected(self) -> Mapping[tuple[str, str, int, str], int]:
        """Return the counts that there must be, without zeros."""
        with self._lock:
            return {key: n for key, n in self.counts.items() if n}
