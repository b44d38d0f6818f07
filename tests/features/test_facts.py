"""What is known of a service beside its counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.facts import CATEGORIES, MAX_LEVELS, Fact, Facts

START = 1_000


def some(*facts: Fact, rows: int = 1, tick: int = START + 1) -> Facts:
    kept = Facts()
    kept.grow(rows)
    kept.apply(tick, facts)
    return kept


def level(window: int, value: float, name: str = "heap") -> Fact:
    return Fact(0, window, "level", name, value)


def test_counts_of_a_tick_add_up_and_levels_keep_the_last() -> None:
    facts = Facts()
    facts.grow(1)
    for value in (1.0, 2.0):
        facts.gather(0, START, "category", "network", value)
        facts.gather(0, START, "level", "heap", value)
    assert facts.advance(START + 1) == [Fact(0, START, "category", "network", 3.0), level(START, 2.0)]
    assert facts.advance(START + 2) == []
    assert facts.categories(5)[0].tolist() == [3.0 if name == "network" else 0.0 for name in CATEGORIES]
    assert facts.levels()[0, 0, -2] == 2.0


@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.integers(1, 3), st.sampled_from([10, 59, 60, 61, 64, 65, 200, 1440])),
            st.lists(st.tuples(st.integers(-70, 3), st.integers(1, 9)), max_size=4),
        ),
        max_size=10,
    )
)
@example(steps=[(1, [(0, 7)]), (60, [(0, 1)])])
def test_rings_hold_what_a_dictionary_holds(steps: list[tuple[int, list[tuple[int, int]]]]) -> None:
    facts = some(tick=START)
    counts: dict[int, int] = {}
    values: dict[int, int] = {}
    tick = START
    for step, received in steps:
        tick += step
        new: list[Fact] = []
        for back, value in received:
            window = tick - 1 + back
            new += [Fact(0, window, "category", "data", value), Fact(0, window, "novel", "f", value), level(window, value)]
            if tick - 60 < window < tick + 3:
                counts[window] = counts.get(window, 0) + value
                values[window] = value
        facts.apply(tick, new)
        for length in (1, 15, 60):
            total = sum(counts.get(w, 0) for w in range(tick - length, tick))
            assert facts.categories(length).sum() == total
            assert facts.novel(length).tolist() == [total]
        seen = [values.get(w, np.nan) for w in range(tick - 60, tick)]
        assert np.array_equal(facts.levels()[0, 0], np.array(seen, np.float32), equal_nan=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_level_that_is_no_number_teaches_nothing(value: float) -> None:
    facts = some(*(level(START - 40 + i, 5.0) for i in range(40)), level(START, value))
    assert facts.levels_of.means(0)[0] == 5.0
    assert facts.distance()[0, 0] == 0.0
    assert np.isnan(facts.levels()[0, 0, -1])


@given(values=st.lists(st.floats(), min_size=1, max_size=60))
def test_distance_is_bounded_whatever_a_gauge_says(values: list[float]) -> None:
    facts = some(tick=START)
    for tick, value in enumerate(values, START):
        facts.apply(tick + 1, [level(tick, value)])
        assert np.isfinite(facts.distance()).all()
        assert (np.abs(facts.distance()) <= 20.0).all()


def test_level_far_from_its_mean_shows_once_it_was_seen_thirty_times() -> None:
    facts = some(tick=START)
    distances = []
    for tick in range(START, START + 80):
        facts.apply(tick + 1, [level(tick, 100.0 + tick % 2 if tick < START + 75 else 200.0)])
        distances.append(float(facts.distance()[0, 0]))
    assert distances[:29] == [0.0] * 29
    assert all(abs(d) < 1.0 for d in distances[:75])
    assert distances[79] > 2.0


def test_names_beyond_the_limit_are_dropped_and_counted() -> None:
    facts = some(*(level(START, 1.0, f"gauge-{i:02d}") for i in range(MAX_LEVELS + 3)))
    assert len(facts.level_names[0]) == MAX_LEVELS
    assert facts.names_dropped == 3


def test_first_instance_and_version_are_no_news_and_the_next_ones_are() -> None:
    facts = some(Fact(0, START, "instance", "i1", 1.0), Fact(0, START, "version", "v1", 1.0))
    assert facts.started(60).tolist() == [0.0]
    assert facts.since_change().tolist() == [-1]
    facts.apply(START + 2, [Fact(0, START + 1, "instance", "i2", 1.0), Fact(0, START + 1, "version", "v2", 1.0)])
    facts.apply(START + 3, [Fact(0, START + 2, "instance", "i2", 1.0), Fact(0, START + 2, "version", "v1", 1.0)])
    assert facts.started(60).tolist() == [1.0]
    assert facts.since_change().tolist() == [2]


def test_oldest_of_many_instances_is_forgotten() -> None:
    facts = some(*(Fact(0, START, "instance", f"i{i}", 1.0) for i in range(300)))
    assert len(facts.instances[0]) == 256
    assert "i0" not in facts.instances[0]
    assert "i299" in facts.instances[0]


def test_edges_are_left_to_the_graph() -> None:
    facts = some(Fact(0, START, "edge", "cart", 3.0))
    assert not facts.categories(60).any()


def test_rows_do_not_touch_each_other() -> None:
    facts = some(Fact(1, START, "novel", "f", 1.0), level(START, 4.0), rows=3)
    assert facts.novel(5).tolist() == [0.0, 1.0, 0.0]
    assert np.isnan(facts.levels()[1:]).all()
