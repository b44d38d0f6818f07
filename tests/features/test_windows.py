"""Rings of windows against a dictionary that forgets nothing."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.arrays import IntArray
from features.batch import N_CHANNELS, channel
from features.gathering import WIDTH
from features.windows import COARSE, FINE, SPAN, Increment, Windows

MAX = channel("duration_max_s")
START = 1_000

Group = tuple[int, int, int]
"""Row, window and count."""


def arrays(groups: list[Group]) -> tuple[IntArray, IntArray, np.ndarray]:
    values = np.zeros((len(groups), WIDTH))
    values[:, 0] = values[:, MAX] = [count for _, _, count in groups]
    return np.array([r for r, _, _ in groups], np.int64), np.array([w for _, w, _ in groups], np.int64), values


def parts(groups: list[Group]) -> tuple[list[int], IntArray, IntArray, np.ndarray, np.ndarray]:
    rows, windows, values = arrays(groups)
    return rows.tolist(), np.arange(len(rows)), windows, values[:, :N_CHANNELS], values[:, N_CHANNELS:]


def some(lateness: int = 5, n: int = 2) -> Windows:
    windows = Windows(lateness)
    windows.columns.grow(n)
    windows.begin(START)
    return windows


class Reference:
    """Sums and maxima by row and window, without a ring."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[int, int]] = Counter()
        self.top: dict[tuple[int, int], int] = {}

    def add(self, groups: list[Group]) -> None:
        for row, window, count in groups:
            self.sums[row, window] += count
            self.top[row, window] = max(self.top.get((row, window), 0), count)

    def check(self, windows: Windows, n: int) -> None:
        tick = windows.tick
        for row in range(n):
            fine = range(tick - FINE, tick)
            assert windows.fine()[row, :, 0].tolist() == [self.sums[row, w] for w in fine]
            assert windows.fine()[row, :, MAX].tolist() == [self.top.get((row, w), 0) for w in fine]
            newest = (tick - FINE - 1) // SPAN
            spans = [range(b * SPAN, min((b + 1) * SPAN, tick - FINE)) for b in range(newest - COARSE + 1, newest + 1)]
            assert windows.coarse()[row, :, 0].tolist() == [sum(self.sums[row, w] for w in span) for span in spans]
            assert not windows.coarse()[row, :, MAX].any()  # their histogram alone is kept for hours


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[int, list[Group]]]:
    """Draw (tick that closes, groups received before it): small steps, gaps of minutes, hours and days."""
    story: list[tuple[int, list[Group]]] = []
    tick = START
    for _ in range(draw(st.integers(1, 12))):
        step = draw(st.one_of(st.integers(1, 3), st.integers(4, 90), st.sampled_from([300, 359, 365, 599, 600, 601, 5000])))
        # What is received in the tick that closes, and what was received in the one before the gap.
        window = st.one_of(st.integers(tick + step - 8, tick + step + 1), st.integers(tick - 8, tick + 2))
        groups = draw(st.lists(st.tuples(st.integers(0, 1), window, st.integers(0, 1000)), max_size=6))
        tick += step
        story.append((tick, [g for g in groups if g[1] <= tick + 2]))
    return story


@given(story=stories(), lateness=st.integers(0, 70))
@example(story=[(1060, [(0, 1059, 7)]), (1061, [(0, 1060, 1)])], lateness=5)
def test_rings_hold_what_a_dictionary_holds(story: list[tuple[int, list[Group]]], lateness: int) -> None:
    windows, reference = some(lateness), Reference()
    for tick, groups in story:
        kept = [g for g in groups if g[1] >= windows.tick - min(lateness, FINE - 1)]
        assert windows.add(*parts(groups)) == len(groups) - len(kept)
        windows.advance(tick)
        reference.add(kept)
        reference.check(windows, 2)


@given(story=stories())
def test_increments_applied_again_give_the_same_rings(story: list[tuple[int, list[Group]]]) -> None:
    live, again = some(), Windows()
    again.columns.grow(2)
    again.begin(START)
    for tick, groups in story:
        live.add(*parts(groups))
        again.apply(live.advance(tick))
    assert np.array_equal(live.fine(), again.fine())
    assert np.array_equal(live.coarse(), again.coarse())


@given(
    groups=st.lists(st.tuples(st.integers(0, 1), st.integers(START - 5, START + 2), st.integers(0, 10**6)), max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_sums_depend_neither_on_order_nor_on_how_batches_are_cut(groups: list[Group], cuts: list[int], order: Random) -> None:
    whole, cut = some(), some()
    whole.add(*parts(groups))
    shuffled = list(groups)
    order.shuffle(shuffled)
    edges = [0, *sorted(cuts), len(groups)]
    for begin, end in pairwise(edges):
        cut.add(*parts(shuffled[begin:end]))
    one, other = whole.advance(START + 1), cut.advance(START + 1)
    for name in ("rows", "windows", "values"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.array_equal(whole.fine(), cut.fine())


@pytest.mark.parametrize(("window", "late"), [(START - 5, 0), (START - 6, 1), (START - 64, 1), (START - 1000, 1)])
def test_data_later_than_the_lateness_is_refused_and_counted(window: int, late: int) -> None:
    windows = some(lateness=5)
    assert windows.add(*parts([(0, window, 9)])) == late
    windows.advance(START + 1)
    assert windows.fine()[0, :, 0].sum() == 9 * (1 - late)


def test_window_ahead_is_seen_when_it_closes() -> None:
    windows = some()
    windows.add(*parts([(0, START + 2, 9)]))
    seen = []
    for tick in range(START + 1, START + 5):
        windows.advance(tick)
        seen.append(float(windows.fine()[0, -1, 0]))
    assert seen == [0.0, 0.0, 9.0, 0.0]


def test_data_after_a_gap_is_in_its_own_window() -> None:
    windows = some()
    windows.add(*parts([(0, START, 3)]))
    windows.advance(START + 1)
    windows.add(*parts([(0, START + 64, 5)]))
    windows.advance(START + 65)
    assert float(windows.fine()[0, -1, 0]) == 5.0
    assert float(windows.coarse()[0, -1, 0]) == 3.0


@pytest.mark.parametrize("window", [START + 4, START + 64, START - 400, 0])
def test_increment_beyond_what_is_kept_changes_nothing(window: int) -> None:
    windows = some()
    windows.apply(Increment(START + 1, *arrays([(0, window, 5)])))
    assert not windows.fine().any()
    assert not windows.coarse().any()
    for tick in range(START + 2, START + 70):
        windows.advance(tick)
    assert not windows.fine().any()


def test_earlier_tick_and_second_beginning_change_nothing() -> None:
    windows = some()
    windows.add(*parts([(0, START, 3)]))
    windows.advance(START + 1)
    before = windows.fine().copy()
    windows.begin(5)
    windows.advance(START - 10)
    assert windows.tick == START + 1
    assert np.array_equal(windows.fine(), before)


def test_absurd_numbers_stay_finite() -> None:
    windows = some()
    values = np.full((1, WIDTH), 1e18)
    for tick in range(START, START + 400):
        windows.add([0], np.array([0]), np.array([tick]), values[:, :N_CHANNELS], values[:, N_CHANNELS:])
        windows.advance(tick + 1)
    assert np.isfinite(windows.fine()).all()
    assert np.isfinite(windows.coarse()).all()
    assert float(windows.fine()[0, :, MAX].max()) == pytest.approx(1e18)


def test_recent_windows_are_the_end_of_the_fine_ones() -> None:
    windows = some()
    windows.add(*parts([(0, START, 3)]))
    windows.advance(START + 1)
    assert np.array_equal(windows.recent(4), windows.fine()[:, -4:])


def test_counts_of_a_part_belong_to_its_whole_too_and_single_values_are_added() -> None:
    windows = some(n=3)
    windows.add(*parts([(1, START, 5), (2, START, 7), (0, START, 1), (-1, START, 9)]))
    windows.put(1, START, 0, -2.0)
    windows.put(0, START - 6, 0, -100.0)  # too late, as the group that it would correct
    increment = windows.advance(START + 1, np.array([0, 0, 2]))
    assert increment.rows.tolist() == [0, 1, 2]
    assert increment.values[:, 0].tolist() == [4.0, 3.0, 7.0]
    assert increment.values[:, MAX].tolist() == [5.0, 5.0, 7.0]
