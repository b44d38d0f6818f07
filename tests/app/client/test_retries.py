"""Which requests are tried again, how often, and after which waits; played by hand, so nothing sleeps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client.exchange import Pause, Request, Steps, ask
from app.client.failures import NoAnswer, NotReached, Refused, Unavailable
from app.client.retries import Retries, persist, retry_after_s
from features.errors import ForeshockError, InvalidValue

GET = Request("GET /x")
KEYED = Request("POST /x", body={}, once=True)
PLAIN = Request("POST /x", body={})
HARMLESS = Request("POST /x", body={}, harmless=True)
LOST = httpx.ReadTimeout("lost")
AWAY = httpx.ConnectError("away")
OK = httpx.Response(200, json={})


def busy(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def problem(status: int, name: str) -> httpx.Response:
    kind = {"content-type": "application/problem+json"}
    return httpx.Response(status, headers=kind, json={"type": f"urn:foreshock:problem:{name}", "title": name, "detail": "d"})


@dataclass
class Played:
    """What came of a request that was answered like this."""

    requests: list[Request] = field(default_factory=list[Request])
    waits: list[float] = field(default_factory=list[float])
    answer: httpx.Response | None = None
    error: ForeshockError | None = None


def play(request: Request, *outcomes: httpx.Response | httpx.TransportError, **patience: float) -> Played:
    played, coming = Played(), iter(outcomes)
    run = persist(ask(request), Retries(rng=random.Random(1), **patience))  # pyright: ignore[reportArgumentType] - attempts is whole
    try:
        step = next(run)
        while True:
            if isinstance(step, Pause):
                played.waits.append(step.seconds)
                step = run.send(None)
            else:
                played.requests.append(step)
                step = run.send(next(coming))
    except StopIteration as stop:
        played.answer = stop.value
    except ForeshockError as exc:
        played.error = exc
    assert next(coming, None) is None, "it gave up before"
    return played


@pytest.mark.parametrize("outcome", [busy(), busy(429), busy(502), busy(504), AWAY, LOST])
def test_a_read_is_tried_again_until_it_is_answered(outcome: httpx.Response | httpx.TransportError) -> None:
    played = play(GET, outcome, outcome, OK)
    assert played.answer is OK
    assert len(played.waits) == 2


@pytest.mark.parametrize("request_", [KEYED, HARMLESS, Request("DELETE /x")])
def test_what_is_done_once_is_tried_again_when_the_answer_was_lost(request_: Request) -> None:
    assert play(request_, LOST, OK).answer is OK


def test_what_might_be_done_twice_is_not_tried_again() -> None:
    assert isinstance(play(PLAIN, LOST).error, NoAnswer)


@pytest.mark.parametrize("outcome", [AWAY, busy(), busy(429)])
def test_what_surely_was_not_done_is_tried_again(outcome: httpx.Response | httpx.TransportError) -> None:
    assert play(PLAIN, outcome, OK).answer is OK


def test_all_attempts_carry_the_same_key_and_each_call_another() -> None:
    one, other = play(KEYED, LOST, busy(), OK), play(KEYED, OK)
    keys = [request.headers["Idempotency-Key"] for request in one.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert other.requests[0].headers["Idempotency-Key"] not in keys
    assert "Idempotency-Key" not in play(GET, OK).requests[0].headers


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (problem(422, "invalid-value"), Refused),
        (problem(409, "conflict"), Refused),
        (problem(502, "notice-refused"), Unavailable),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(outcome: httpx.Response, kind: type[ForeshockError]) -> None:
    assert type(play(KEYED, outcome).error) is kind


def test_the_first_attempt_that_is_still_running_is_waited_for() -> None:
    assert play(KEYED, LOST, problem(409, "still-running"), OK).answer is OK


def test_attempts_are_bounded_and_the_last_error_is_raised() -> None:
    played = play(GET, AWAY, busy(), LOST, attempts=3)
    assert type(played.error) is NoAnswer
    assert played.error.__cause__ is LOST
    assert len(played.waits) == 2
    assert type(play(GET, busy(), attempts=1).error) is Unavailable
    assert type(play(GET, AWAY, attempts=1).error) is NotReached


def test_retry_after_comes_before_the_jitter() -> None:
    (wait,) = play(GET, busy(retry_after="2"), OK).waits
    assert 2.0 <= wait <= 2.25


def test_who_asks_for_too_long_is_not_waited_for() -> None:
    assert type(play(GET, busy(retry_after="11")).error) is Unavailable
    assert play(GET, busy(retry_after="11"), OK, longest_s=60.0).answer is OK


@given(st.integers(1, 30), st.integers(0, 99))
def test_waits_are_drawn_below_a_bound_that_doubles(attempts: int, seed: int) -> None:
    retries = Retries(attempts=attempts, first_s=0.5, longest_s=8.0, rng=random.Random(seed))
    assert retries.wait_s(attempts) is None
    for number in range(1, attempts):
        wait = retries.wait_s(number)
        assert wait is not None
        assert 0.0 <= wait <= min(0.5 * 2 ** (number - 1), 8.0)


def test_waits_of_two_clients_differ() -> None:
    one, other = (Retries(rng=random.Random(seed)).wait_s(3) for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("said", ["", "soon", "-1", "Tue, 24 Nov 2026 00:00:30 GMT"])
def test_a_retry_after_that_says_nothing_is_none(said: str) -> None:
    assert retry_after_s(httpx.Response(503, headers={"Retry-After": said})) == 0.0


def test_pauses_of_a_call_pass_and_what_it_raises_leaves() -> None:
    def call() -> Steps[str]:
        yield Pause(7.0)
        raise InvalidValue("no")

    run = persist(call(), Retries())
    assert next(run) == Pause(7.0)
    with pytest.raises(InvalidValue, match="no"):
        run.send(None)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"attempts": 0}, "attempts must be at least 1, got 0"),
        ({"first_s": 20.0}, r"first_s must be in \[0, longest_s 10\], got 20"),
    ],
)
def test_a_bound_that_is_broken_is_named(given_: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        Retries(**given_)  # pyright: ignore[reportArgumentType] - attempts is whole
