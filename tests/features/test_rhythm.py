"""What is usual at an hour of the week."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rhythm import HOURS, Rhythm

ALWAYS = np.array([True])


def taught(values: list[list[float]], first: int = 0) -> Rhythm:
    rhythm = Rhythm(60)
    rhythm.columns.grow(1)
    for i, row in enumerate(values):
        rhythm.learn(first + i, np.array([row]), ALWAYS)
    return rhythm


def test_untaught_rhythm_expects_nothing() -> None:
    rhythm = taught([])
    assert rhythm.expected(5).tolist() == [[0.0, 0.0, 0.0, 0.0]]
    assert rhythm.dispersion().tolist() == [1.0]
    assert rhythm.windows_seen().tolist() == [0]


@given(tick=st.integers(0, 10**8), tick_s=st.sampled_from([1, 60, 3600]))
def test_hour_of_the_week_repeats_after_a_week(tick: int, tick_s: int) -> None:
    rhythm = Rhythm(tick_s)
    assert 0 <= rhythm.hour(tick) < HOURS
    assert rhythm.hour(tick) == rhythm.hour(tick + 7 * 86_400 // tick_s)


def test_busy_hour_of_the_day_is_expected_on_a_day_never_seen() -> None:
    days = [[100.0 if 600 <= i % 1440 < 660 else 10.0, 0.0, 0.0, 0.0] for i in range(3 * 1440)]
    rhythm = taught(days)
    busy, quiet = rhythm.expected(5 * 1440 + 620)[0, 0], rhythm.expected(5 * 1440 + 900)[0, 0]
    assert 50.0 < busy < 100.0
    assert 10.0 <= quiet < 15.0


def test_hour_of_the_week_outweighs_other_days_once_it_is_known() -> None:
    busy_on_day_two = [[100.0 if i // 1440 % 7 == 2 else 10.0, 0.0, 0.0, 0.0] for i in range(4 * 7 * 1440)]
    rhythm = taught(busy_on_day_two)
    assert rhythm.expected(2 * 1440 + 7 * 1440)[0, 0] > 70.0
    assert rhythm.expected(3 * 1440 + 7 * 1440)[0, 0] < 20.0


def test_unusual_windows_are_not_learned() -> None:
    rhythm = taught([[10.0, 0.0, 0.0, 0.0]] * 50)
    rhythm.learn(50, np.array([[1e6, 1e6, 1e6, 1e6]]), np.array([False]))
    assert rhythm.expected(51)[0].tolist() == pytest.approx([10.0, 0.0, 0.0, 0.0])
    assert rhythm.windows_seen().tolist() == [50]


def test_old_rate_is_forgotten_after_the_memory_is_full() -> None:
    rhythm = taught([[100.0, 0.0, 0.0, 0.0]] * 600 + [[10.0, 0.0, 0.0, 0.0]] * 20)
    assert rhythm.columns["seen"].max() <= 480
    rhythm.columns["flat"][:, -2] = 60.0 * 24 * 14  # two weeks
    total = rhythm.columns["flat"][0, 0]
    rhythm.learn(620, np.array([[0.0, 0.0, 0.0, 0.0]]), ALWAYS)
    assert rhythm.columns["flat"][0, 0] < total
    assert rhythm.windows_seen().tolist() == [20160]


def test_dispersion_tells_bursts_from_a_steady_trickle() -> None:
    rng = np.random.default_rng(1)
    steady = taught([[9.0, 0.0, float(e), 0.0] for e in rng.poisson(5.0, 600)])
    bursts = taught([[9.0, 0.0, 50.0 if i % 10 == 0 else 0.0, 0.0] for i in range(600)])
    assert 1.0 <= steady.dispersion()[0] < 1.2
    assert 35.0 < bursts.dispersion()[0] < 45.0  # 45 is the sample's own index, pulled towards 1


@given(values=st.lists(st.lists(st.integers(0, 10**15).map(float), min_size=4, max_size=4), max_size=8))
def test_expected_lies_between_nothing_and_the_largest_seen(values: list[list[float]]) -> None:
    rhythm = taught(values)
    expected = rhythm.expected(3)
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()
    largest = np.array(values).max(0) if values else np.zeros(4)
    assert (expected[0] <= largest * (1 + 1e-5)).all()
    assert (rhythm.dispersion() >= 1).all()


@pytest.mark.parametrize("rate", [0.002, 3.0, 250_000.0])
def test_half_precision_costs_less_than_a_thousandth_of_what_is_expected(rate: float) -> None:
    rhythm = taught([[rate, 0.0, 0.0, 0.0]] * 10_080)
    assert rhythm.expected(20_000)[0, 0] == pytest.approx(rate, rel=1e-3)


def test_hours_of_a_snapshot_of_earlier_releases_are_taken_over() -> None:
    rhythm = taught([])
    week = np.zeros((1, HOURS, 5), np.float32)
    week[0, 7] = [4000.0, 40.0, 20.0, 0.0, 400.0]
    flat = np.array([[4000.0, 40.0, 20.0, 0.0, 400.0, 9.0]], np.float32)
    rhythm.columns.restore(np.array([0]), {"week": week, "flat": flat})
    assert rhythm.expected(7 * 60)[0] == pytest.approx([10.0, 0.1, 0.05, 0.0], rel=1e-3)
