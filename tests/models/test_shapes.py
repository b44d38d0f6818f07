"""Courses that were seen are near, others are far, and a few are kept."""

from __future__ import annotations

import numpy as np

from features.arrays import Float32Array
from models.shapes import LENGTH, Shapes

ONE = np.array([1.0])
ALL = np.array([True])


def course(*values: float) -> Float32Array:
    return np.array([values], np.float32)


def test_a_course_that_was_seen_is_near_and_another_is_far() -> None:
    shapes = Shapes()
    shapes.columns.grow(1)
    assert shapes.distance(course(*[0.0] * LENGTH))[0] == np.inf
    for _ in range(20):
        shapes.learn(course(0, 1, 2, 3, 4, 5), ONE, ALL)
        shapes.learn(course(9, 9, 9, 9, 9, 9), ONE, ALL)
    assert shapes.distance(course(0, 1, 2, 3, 4, 5))[0] < 1e-6
    assert shapes.distance(course(9, 9, 9, 9, 9, 9))[0] < 1e-6
    assert shapes.distance(course(5, 4, 3, 2, 1, 0))[0] == 3.0


def test_near_courses_are_averaged_and_the_least_met_gives_way() -> None:
    shapes = Shapes()
    shapes.columns.grow(1)
    for _ in range(50):
        shapes.learn(course(*[0.0] * LENGTH), ONE, ALL)
        shapes.learn(course(*[0.5] * LENGTH), ONE, ALL)
    assert np.isfinite(shapes.columns["shapes"][..., 0]).sum() == 1
    for value in range(10, 200, 10):
        shapes.learn(course(*[float(value)] * LENGTH), ONE, ALL)
    assert shapes.distance(course(*[0.25] * LENGTH))[0] < 0.1


def test_other_rows_stay_as_they_are() -> None:
    shapes = Shapes()
    shapes.columns.grow(2)
    shapes.learn(np.ones((2, LENGTH), np.float32), np.ones(2), np.array([True, False]))
    assert np.isinf(shapes.distance(np.ones((2, LENGTH), np.float32))).tolist() == [False, True]
