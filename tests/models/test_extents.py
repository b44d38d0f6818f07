"""Ranges are of the whole life and of the hour of the day, and only what is usual widens them."""

from __future__ import annotations

import numpy as np

from models.extents import Extents

LEAST = np.full(1, 1e-9)


def taught(values: list[float], hour: int, usual: bool = True) -> Extents:
    extents = Extents()
    extents.columns.grow(1)
    for value in values:
        extents.learn(np.array([value]), np.array([hour]), np.array([usual]))
    return extents


def test_a_value_usual_at_another_hour_leaves_the_range_of_its_own_alone() -> None:
    extents = taught([0.0, 1.0], hour=3)
    extents.learn(np.array([4.0]), np.array([15]), np.array([True]))
    of_all, of_hour = extents.beyond(np.array([3.0]), np.array([3 + 24]), LEAST)
    assert of_all.tolist() == [0.0]
    assert of_hour.tolist() == [0.5]


def test_the_hours_before_and_after_count_as_this_one() -> None:
    extents = taught([0.0, 10.0], hour=0)
    for hour in (23, 0, 1):
        assert extents.beyond(np.array([9.0]), np.array([hour]), LEAST)[1].tolist() == [0.0]


def test_nothing_is_beyond_before_anything_is_known_and_what_is_not_usual_is_not_learned() -> None:
    extents = taught([5.0, 6.0], hour=7, usual=False)
    of_all, of_hour = extents.beyond(np.array([100.0]), np.array([7]), LEAST)
    assert of_all.tolist() == of_hour.tolist() == [0.0]
