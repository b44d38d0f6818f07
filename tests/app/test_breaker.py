"""When calls to a target are refused, and when they go through again."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.breaker import Breaker, BreakerPlan, equal_jitter, full_jitter, try_again
from app.telemetry import Telemetry
from features.errors import CircuitOpen, InvalidValue

PLAN = BreakerPlan(after_s=10.0, first_s=1.0, longest_s=4.0)


class Stage:
    """A breaker with a clock that only moves when it is told to."""

    def __init__(self, plan: BreakerPlan = PLAN) -> None:
        self.now_s = 100.0
        self.telemetry = Telemetry()
        self.breaker = Breaker("there", self.telemetry, plan, lambda: self.now_s, random.Random(1))

    def fail(self) -> None:
        with pytest.raises(OSError, match="gone"), self.breaker.call((OSError,)):
            raise OSError("gone")

    def answer(self) -> None:
        with self.breaker.call((OSError,)):
            pass

    def refused(self) -> bool:
        try:
            self.answer()
        except CircuitOpen:
            return True
        return False

    @property
    def state(self) -> float:
        return self.telemetry.value("breaker_state", target="there")

    def counted(self, outcome: str) -> float:
        return self.telemetry.value("calls", target="there", outcome=outcome)

    def open(self) -> None:
        self.fail()
        self.now_s += PLAN.after_s
        self.fail()


def test_failures_open_it_only_once_nothing_was_answered_for_long() -> None:
    stage = Stage()
    for _ in range(50):
        stage.fail()
    stage.now_s += 9.9
    stage.fail()
    assert (stage.state, stage.breaker.trouble) == (0, "")
    stage.answer()
    stage.now_s += 9.9
    stage.fail()
    assert stage.state == 0, "counted anew from the answer"
    stage.now_s += 10.0
    stage.fail()
    assert stage.state == 2
    assert stage.breaker.trouble == "there has not answered for 10 s: gone"


def test_what_nobody_asks_any_more_is_no_trouble_and_is_again_when_it_fails() -> None:
    """A partition that moved away while its stream was: nobody reads it here, and readiness must not wait for that."""
    stage = Stage()
    stage.open()
    stage.now_s += PLAN.first_s
    assert stage.breaker.trouble, "a look is due, and may come"
    stage.now_s += PLAN.longest_s
    assert stage.breaker.trouble == ""
    assert stage.state == 2, "the next call is one that looks all the same"
    stage.fail()
    assert stage.breaker.trouble == "there has not answered for 15 s: gone"


def test_while_it_is_open_nothing_is_asked_and_the_error_says_what_failed() -> None:
    stage = Stage()
    stage.open()
    assert not stage.breaker.ready
    with pytest.raises(CircuitOpen, match=r"there is away.*gone"), stage.breaker.call():
        raise AssertionError("asked")
    assert stage.counted("refused") == 1


def test_one_call_looks_and_others_are_refused_meanwhile() -> None:
    stage = Stage()
    stage.open()
    stage.now_s += 1.0
    assert stage.breaker.ready
    with stage.breaker.call():
        assert stage.state == 1
        assert not stage.breaker.ready
        assert stage.refused()
    assert stage.state == 0
    stage.answer()


def test_a_look_that_fails_doubles_the_time_up_to_the_longest() -> None:
    stage = Stage()
    stage.open()
    for longest_s in (1.0, 2.0, 4.0, 4.0):
        assert stage.refused()
        stage.now_s += longest_s / 2 - 0.01
        assert stage.refused(), "half of it is waited at least"
        stage.now_s += longest_s / 2 + 0.01
        stage.fail()
    stage.now_s += 4.0
    stage.answer()
    stage.open()
    stage.now_s += 1.0
    assert not stage.refused(), "after an answer it begins anew"


def test_an_answer_that_is_an_error_is_an_answer() -> None:
    stage = Stage()
    stage.open()
    stage.now_s += 1.0
    with pytest.raises(KeyError), stage.breaker.call((OSError,)):
        raise KeyError("no such thing")
    assert stage.state == 0
    assert (stage.counted("answered"), stage.counted("failed")) == (1, 2)


def test_a_look_that_is_cancelled_says_nothing_and_the_next_one_may_look() -> None:
    stage = Stage()
    stage.open()
    stage.now_s += 1.0
    with pytest.raises(asyncio.CancelledError), stage.breaker.call():
        raise asyncio.CancelledError
    assert stage.state == 2
    assert not stage.refused()


def test_with_no_patience_the_first_failure_opens_it() -> None:
    stage = Stage(BreakerPlan(0.0, 30.0, 600.0))
    stage.fail()
    assert stage.state == 2
    stage.now_s += 30.0
    assert stage.breaker.ready


def test_of_many_threads_one_looks() -> None:
    stage = Stage()
    stage.open()
    stage.now_s += 1.0
    hold, looked = threading.Event(), threading.Barrier(17)

    def ask() -> bool:
        looked.wait()
        try:
            with stage.breaker.call():
                hold.wait(30.0)
        except CircuitOpen:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask) for _ in range(16)]
        looked.wait()
        while sum(one.done() for one in asked) < 15:
            hold.wait(0.001)
        hold.set()
        assert sum(one.result() for one in asked) == 1


def test_what_fails_is_tried_again_as_often_as_it_is_said() -> None:
    stage = Stage()
    left = [OSError("a"), OSError("b")]

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    assert try_again(work, stage.breaker, (OSError,), (0.001, 0.001)) == "done"
    assert stage.telemetry.value("retries", target="there") == 2
    left[:] = [OSError("a"), OSError("b")]
    with pytest.raises(OSError, match="a"):
        try_again(work, stage.breaker, (OSError,), (0.001,))


def test_a_plan_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"got 2\.0 and 1\.0"):
        BreakerPlan(1.0, 2.0, 1.0)


@given(st.integers(0, 10_000), st.floats(0.01, 10.0), st.floats(1.0, 100.0), st.integers())
def test_jitter_stays_within_bounds(attempt: int, first_s: float, times: float, seed: int) -> None:
    longest_s = first_s * times
    assert 0.0 <= full_jitter(attempt, first_s, longest_s, random.Random(seed)) <= longest_s
    assert first_s / 2 <= equal_jitter(attempt, first_s, longest_s, random.Random(seed)) <= longest_s * (1 + 1e-9)
