"""The most surprising signal is named, what is chosen of several is calibrated, an episode is one anomaly."""

from __future__ import annotations

import numpy as np

from models.anomaly import ANOMALY, EPISODE_TICKS
from models.strongest import Strongest

USUAL = np.ones(1, np.bool_)


def grown(n: int = 1) -> Strongest:
    strongest = Strongest()
    strongest.grow(n)
    return strongest


def test_the_most_surprising_signal_is_named_with_the_chance_of_any_of_those_judged() -> None:
    said = grown().advance(np.array([[0.4, 0.01, 1.0]]), np.zeros((1, 3), np.bool_), USUAL, 1)
    assert said.signal.tolist() == [1]
    assert abs(said.tail[0] - (1 - 0.99**2)) < 1e-6


def test_a_series_of_which_nothing_is_judged_is_never_surprising() -> None:
    said = grown().advance(np.ones((1, 3)), np.ones((1, 3), np.bool_), USUAL, 1)
    assert (said.tail.tolist(), said.since.tolist()) == ([1.0], [-1])


def test_of_independent_signals_one_in_a_hundred_and_in_a_thousand_is_that() -> None:
    rng, strongest, n, ticks = np.random.default_rng(0), grown(60), 60, 2_000
    tails = [
        strongest.advance(rng.uniform(size=(n, 3)), np.zeros((n, 3), np.bool_), np.ones(n, np.bool_), t + 1).tail
        for t in range(ticks)
    ]
    assert 0.008 < np.mean(np.array(tails) <= 0.01) < 0.0105
    assert 0.0006 < np.mean(np.array(tails) <= ANOMALY) < 0.00115


def test_signals_that_promise_too_much_are_corrected() -> None:
    rng, strongest, n, ticks = np.random.default_rng(1), grown(20), 20, 5_000
    found = np.zeros(ticks)
    for t in range(ticks):
        tails = rng.uniform(size=(n, 1)) / 3.0
        found[t] = (strongest.advance(tails, np.zeros((n, 1), np.bool_), np.ones(n, np.bool_), t + 1).tail <= ANOMALY).mean()
    assert found[:400].mean() > 0.002
    assert found[3_000:].mean() < 0.002


def test_an_episode_is_one_anomaly_whichever_signal_goes_on() -> None:
    strongest, since, surprises = grown(), list[int](), {10: 0, 30: 1, 10 + EPISODE_TICKS: 1}
    for tick in range(1, 2 * EPISODE_TICKS):
        strange = np.arange(2)[None] == surprises.get(tick, -1)
        since.append(int(strongest.advance(np.where(strange, 1e-6, 0.5), strange, USUAL, tick).since[0]))
    assert [i + 1 for i, ago in enumerate(since) if ago == 0] == [10, 10 + EPISODE_TICKS]
    assert since[29] == 20


def test_what_only_goes_on_begins_nothing() -> None:
    said = grown().advance(np.array([[1e-9]]), np.zeros((1, 1), np.bool_), USUAL, 5)
    assert (said.tail[0] <= ANOMALY, said.since.tolist()) == (True, [-1])


def test_incidents_are_not_learned_nor_what_they_began_with() -> None:
    strongest = grown()
    before = strongest.seen.tail(np.array([[2.0]]))

    def advance(tick: int, usual: bool) -> bool:
        strongest.advance(np.array([[1e-9]]), np.zeros((1, 1), np.bool_), USUAL if usual else ~USUAL, tick)
        return bool((strongest.seen.tail(np.array([[2.0]])) == before).all())

    # Two windows pass before the rule sees that an incident began.
    assert all(advance(tick, usual) for tick, usual in enumerate([True, True, False, False, True, True, True]))
    assert not advance(7, True), "what no incident followed is learned a few ticks later"


def test_a_surprise_is_an_anomaly_though_its_corrected_tail_is_reached_a_tick_later() -> None:
    strongest = grown()
    tails, begins = [0.0009, 1e-5, 1e-5], [True, False, False]
    said = [
        strongest.advance(np.full((1, 2), tail), np.full((1, 2), begin), USUAL, tick)
        for tick, (tail, begin) in enumerate(zip(tails, begins, strict=True), 5)
    ]
    assert [int(one.since[0]) for one in said] == [-1, 0, 1]
