"""Levels by name, one row a name."""

from __future__ import annotations

import numpy as np

from features.levels import MAX_LEVELS, Levels

SLOTS = np.arange(4)


def some() -> Levels:
    levels = Levels(slots=4)
    levels.grow(3)
    for i in range(40):
        levels.put(2, i % 4, "heap", 10.0 + i % 2)
        levels.put(0, i % 4, "cpu", 0.5)
    levels.put(2, 1, "queue", 3.0)
    return levels


def test_services_without_levels_take_no_row() -> None:
    levels = some()
    assert levels.rows().tolist() == [0, 2]
    assert np.isnan(levels.last(SLOTS)[1]).all()
    assert levels.last(SLOTS, np.array([2]))[0, :2].tolist()[0] == [10.0, 11.0, 10.0, 11.0]


def test_distance_is_from_the_long_mean_once_it_is_known() -> None:
    levels = some()
    levels.put(0, 0, "cpu", 5.0)
    far = levels.distance(SLOTS[:1])
    assert far[0, 0] > 1.0
    assert far[2, 1] == 0.0  # the queue was seen once
    assert not far[1].any()


def test_slot_is_emptied_for_some_rows_alone() -> None:
    levels = some()
    levels.clear(1, np.array([False, False, True]))
    assert np.isnan(levels.last(SLOTS)[2, 0, 1])
    assert levels.last(SLOTS)[0, 0, 1] == 0.5


def test_snapshot_goes_back_into_other_rows() -> None:
    levels, again = some(), Levels(slots=4)
    again.grow(5)
    again.restore(np.array([4, 1]), levels.snapshot(np.array([2, 1])))
    assert np.array_equal(again.last(SLOTS)[4], levels.last(SLOTS)[2], equal_nan=True)
    assert again.distance(SLOTS)[4].tolist() == levels.distance(SLOTS)[2].tolist()
    assert again.rows().tolist() == [4]


def test_names_beyond_the_bound_are_counted_and_what_is_not_finite_is_left_out() -> None:
    levels = some()
    for k in range(MAX_LEVELS + 2):
        levels.put(1, 0, f"level-{k}", 1.0)
    levels.put(1, 0, "level-0", float("nan"))
    assert levels.dropped == 2
    assert levels.means(1).tolist() == [1.0] * MAX_LEVELS
