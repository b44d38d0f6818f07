"""Buckets let a burst through, then a steady rate, whatever the key and however many keys there are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from app.edge.buckets import Buckets


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_goes_through_and_then_what_comes_in() -> None:
    clock = Clock()
    buckets = Buckets(4.0, 8.0, clock, 10)
    assert [buckets.take("a") for _ in range(9)] == [0.0] * 8 + [0.25]
    clock.now_s += 0.25
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.25]
    clock.now_s += 3600.0
    assert [buckets.take("a") for _ in range(9)] == [0.0] * 8 + [0.25]


def test_what_costs_more_than_there_is_is_owed_and_waited_for() -> None:
    clock = Clock()
    buckets = Buckets(100.0, 1000.0, clock, 10)
    assert buckets.take("a", 5000.0) == 0.0
    assert buckets.wait_s("a") == 40.01
    buckets.charge("a", 100.0)
    assert buckets.wait_s("a") == 41.01
    clock.now_s += 41.01
    assert buckets.wait_s("a") == 0.0


def test_keys_do_not_share_and_the_one_quiet_for_longest_is_forgotten() -> None:
    clock = Clock()
    buckets = Buckets(1.0, 1.0, clock, 3)
    assert [buckets.take(key) for key in "abca"] == [0.0, 0.0, 0.0, 1.0]
    buckets.charge("a", 0.0)  # used again, so `b` goes first
    assert buckets.take("d") == 0.0
    assert len(buckets) == 3
    assert buckets.wait_s("b") == 0.0
    assert buckets.wait_s("a") == 1.0


@given(
    st.floats(0.1, 1000.0),
    st.floats(0.5, 1000.0),
    st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 50.0)), max_size=40),
)
def test_never_more_goes_through_than_burst_and_rate_and_one_cost(
    rate: float, burst: float, asked: list[tuple[float, float]]
) -> None:
    clock = Clock()
    buckets, taken, begun_s = Buckets(rate, burst, clock, 4), 0.0, clock.now_s
    for pause_s, n in asked:
        clock.now_s += pause_s
        wait_s = buckets.take("a", n)
        if wait_s:
            clock.now_s += wait_s
            assert buckets.wait_s("a") <= 1e-6 * (1.0 + wait_s)
        else:
            taken += n
        most = burst + rate * (clock.now_s - begun_s) + max((n for _, n in asked), default=0.0)
        assert taken <= most * (1 + 1e-9)


def test_threads_together_get_no_more_than_one() -> None:
    clock = Clock()
    buckets = Buckets(1.0, 500.0, clock, 4)
    with ThreadPoolExecutor(4) as threads:
        waits = list(threads.map(lambda _: buckets.take("a"), range(2000)))
    assert waits.count(0.0) == 500
