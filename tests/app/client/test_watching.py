"""What a watch asks for next, and when, after a stream ended, broke or was refused; played by hand on a clock that stands."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from app.client.exchange import Request
from app.client.failures import NoAnswer, NotReached, Refused, Unavailable, UnknownAnswer
from app.client.retries import Retries
from app.client.watching import Watch, WatchWanted
from features.errors import InvalidValue

STREAM = httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"})
AWAY = httpx.ConnectError("away")
FIRST = b"retry: 2000\nid: e-16\n\n"
DROPPED = b'id: e-18\nevent: dropped\ndata: {"lost": null, "why": "w"}\n\n'


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def a_watch(clock: Clock | None = None, attempts: int = 3, **wanted: Any) -> Watch:
    return Watch(WatchWanted(**wanted), Retries(attempts=attempts, rng=random.Random(1), monotonic=clock or Clock()))


def asked(watch: Watch) -> Request:
    request = watch.request()
    assert request is not None
    return request


def test_a_watch_asks_for_what_is_wanted() -> None:
    request = asked(a_watch(event=["model", "alert"], service="cart", operations="whole", after="e-3"))
    assert request.parameters == [("event", "model"), ("event", "alert"), ("service", "cart"), ("operations", "whole")]
    assert dict(request.headers) == {"Last-Event-ID": "e-3"}
    assert asked(a_watch()).parameters == []


def test_after_a_break_it_goes_on_behind_the_last_id_that_came() -> None:
    watch = a_watch()
    assert "Last-Event-ID" not in asked(watch).headers
    assert watch.opened(STREAM)
    assert list(watch.feed(FIRST)) == []
    (event,) = watch.feed(DROPPED + b"id: e-19\nevent: mod")  # what was cut off is not known
    assert (event.kind, event.id) == ("dropped", "e-18")
    assert watch.pause_s(httpx.RemoteProtocolError("cut")) == 2.0
    assert asked(watch).headers["Last-Event-ID"] == "e-18"
    assert list(watch.feed(b"el\ndata: {}\n\n")) == []


def test_attempts_in_a_row_are_bounded_and_a_stream_that_speaks_begins_anew() -> None:
    watch = a_watch()
    for _ in range(2):
        assert watch.pause_s(AWAY) is not None
    list(watch.feed(FIRST))
    for _ in range(2):
        assert watch.pause_s(AWAY) is not None
    with pytest.raises(NotReached):
        watch.pause_s(AWAY)


def test_a_service_that_is_full_is_asked_again_and_one_that_refuses_is_not() -> None:
    watch = a_watch()
    busy = httpx.Response(503, headers={"Retry-After": "1"})
    assert not watch.opened(busy)
    pause_s = watch.pause_s(busy)
    assert pause_s is not None
    assert 1.0 <= pause_s <= 1.25
    with pytest.raises(Refused, match="422"):
        watch.pause_s(httpx.Response(422))
    with pytest.raises(NoAnswer):
        a_watch(attempts=1).pause_s(httpx.ReadTimeout("silence"))


def test_streams_that_end_without_a_word_are_not_asked_for_ever() -> None:
    watch = a_watch()
    for _ in range(2):
        assert watch.pause_s(STREAM) is not None
    with pytest.raises(Unavailable, match="ended 3 times without an event"):
        watch.pause_s(STREAM)


def test_a_watch_ends_when_its_time_is_over() -> None:
    clock = Clock()
    watch = a_watch(clock, for_s=30.0)
    assert asked(watch).parameters == [("for_s", "30.0")]
    list(watch.feed(FIRST))
    clock.s += 10.0
    assert watch.pause_s(STREAM) == 2.0  # the service stopped
    assert asked(watch).parameters == [("for_s", "20.0")]
    clock.s += 20.0
    assert watch.pause_s(STREAM) is None
    assert watch.request() is None


def test_a_watch_ends_too_when_its_time_is_over_between_two_connections() -> None:
    clock = Clock()
    watch = a_watch(clock, for_s=5.0)
    asked(watch)
    assert watch.pause_s(AWAY) is not None
    clock.s += 6.0
    assert watch.request() is None


def test_a_watch_of_no_time_asks_once() -> None:
    watch = a_watch(for_s=0.0, after="e-3")
    assert asked(watch).parameters == [("for_s", "0.0")]
    assert watch.pause_s(STREAM) is None
    assert watch.request() is None


def test_a_page_is_no_stream() -> None:
    with pytest.raises(UnknownAnswer, match="must be answered with text/event-stream, got 'text/html'"):
        a_watch().opened(httpx.Response(200, headers={"content-type": "text/html"}))


def test_a_time_below_none_is_refused() -> None:
    with pytest.raises(InvalidValue, match="for_s must be at least 0, or None, got -1"):
        a_watch(for_s=-1.0)
