"""Watching a service: what to ask the stream for, what its bytes say, and when to connect again; `app.client.foreshock` has the sockets.

A stream that ends or breaks is opened again with the last id that came, so that nothing is missed that the service still remembers; what
it does not is told as an event of kind ``dropped``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypedDict

import httpx

from app.client.events import Blocks, Event, EventKind, event_of
from app.client.exchange import Request
from app.client.failures import Unavailable, UnknownAnswer, failure_of, problem_of
from app.client.retries import Retries, retry_after_s
from features.errors import ForeshockError, InvalidValue

__all__ = ["SILENCE_S", "Watch", "WatchWanted"]

SILENCE_S = 60.0
"""Seconds without a byte after which a connection is taken for dead; the service sends a comment every 15."""

_ROUTE = "GET /api/v1/stream"


class WatchWanted(TypedDict, total=False):
    """What to watch; everything without any."""

    event: EventKind | Sequence[EventKind]
    """One kind of event, or several."""
    service: str | None
    operations: Literal["all", "whole"]
    """`whole` leaves out what is of single operations."""
    for_s: float | None
    """Seconds after which the watch ends; without end without them."""
    after: str | None
    """The `id` of the last event that is known, to go on from there."""


class Watch:
    """The state of one watch between connections.

    Parameters
    ----------
    wanted : WatchWanted
        What to watch.
    retries : Retries
        How often a connection is tried in a row, and the clock.

    Raises
    ------
    InvalidValue
        When it is to go on for a time below 0.
    """

    def __init__(self, wanted: WatchWanted, retries: Retries) -> None:
        self._after: str | None = wanted.get("after")
        for_s = wanted.get("for_s")
        if for_s is not None and for_s < 0.0:
            raise InvalidValue(f"for_s must be at least 0, or None, got {for_s:g}")
        self._query = {name: value for name, value in wanted.items() if name not in ("after", "for_s")}
        self._retries = retries
        self._ends = None if for_s is None else retries.monotonic() + for_s
        self._blocks = Blocks()
        self._failed = 0
        self._retry_s = 0.0
        self._began = False

    def request(self) -> Request | None:
        """Return what to ask for next, None when the watch is over."""
        left_s = self._left_s()
        if self._began and left_s is not None and left_s <= 0.0:
            return None
        self._began = True
        self._blocks = Blocks()  # half an event of the connection before is worth nothing
        headers: Mapping[str, str] = {} if self._after is None else {"Last-Event-ID": self._after}
        return Request(_ROUTE, query={**self._query, "for_s": None if left_s is None else max(left_s, 0.0)}, headers=headers)

    def opened(self, answer: httpx.Response) -> bool:
        """Return whether an answer is a stream; its bytes are to be fed then, else its body is to be read.

        Raises
        ------
        UnknownAnswer
            When it is a success and no stream.
        """
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if answer.is_success and kind != "text/event-stream":
            raise UnknownAnswer(f"{_ROUTE} must be answered with text/event-stream, got {kind!r}; is this a Foreshock?")
        return answer.is_success

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that some bytes end."""
        for block in self._blocks.feed(piece):
            self._failed = 0
            self._retry_s = self._retry_s if block.retry_s is None else block.retry_s
            event = event_of(block)
            self._after = self._after if block.id is None else block.id
            if event is not None:
                yield event

    def pause_s(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds to wait before the next connection, None when the watch is over.

        Parameters
        ----------
        outcome : httpx.Response or httpx.TransportError
            What the connection came to: an answer, whose body has been read, or an error.

        Raises
        ------
        ForeshockError
            When it is no use to try again, or has been tried as often as was allowed.
        """
        error, asked_s = self._error(outcome)
        if error is None:
            left_s = self._left_s()
            if left_s is not None and left_s <= 0.0:
                return None
        elif not error.retryable:
            raise error
        self._failed += 1
        wait_s = self._retries.wait_s(self._failed, asked_s)
        if wait_s is None:
            raise error or Unavailable(
                503, "about:blank", "Stream ended", f"{_ROUTE} ended {self._failed} times without an event"
            )
        return max(wait_s, self._retry_s) if self._failed == 1 else wait_s

    def _left_s(self) -> float | None:
        return None if self._ends is None else self._ends - self._retries.monotonic()

    def _error(self, outcome: httpx.Response | httpx.TransportError) -> tuple[ForeshockError | None, float]:
        if isinstance(outcome, httpx.TransportError):
            return failure_of(outcome, _ROUTE), 0.0
        return (None, 0.0) if outcome.is_success else (problem_of(outcome, _ROUTE), retry_after_s(outcome))
