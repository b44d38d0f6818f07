"""Hours of the day: what is left out, and what a series without hours looks like."""

from __future__ import annotations

import numpy as np

from models.hours import Hours


def test_the_same_at_every_hour_is_usual_at_every_hour() -> None:
    hours, rng = Hours(300), np.random.default_rng(0)
    hours.columns.grow(1)
    for tick in range(288 * 7):
        hours.learn(tick, rng.normal(2.0, 0.5, 1), np.ones(1, np.bool_))
    assert np.allclose([hours.usual(tick)[0] for tick in range(0, 288, 12)], 2.0, atol=0.4)


def test_rows_that_are_left_out_learn_nothing() -> None:
    hours = Hours(60)
    hours.columns.grow(2)
    hours.learn(0, np.array([3.0, 3.0]), np.array([True, False]))
    assert hours.usual(1).tolist() == [3.0, 0.0]
    assert hours.columns["learned"].tolist() == [1, 0]
