"""A line through windows."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from scipy.stats import linregress

from features.errors import InvalidValue
from models.trend import slope


def test_it_is_ordinary_least_squares_for_every_series() -> None:
    values = np.random.default_rng(0).normal(size=(5, 30)).cumsum(axis=1)
    rate, lower, upper = slope(values)
    for i in range(5):
        estimate, _, _, _, error = cast("tuple[float, ...]", linregress(np.arange(30), values[i]))
        assert np.isclose(rate[i], estimate)
        assert np.isclose((upper[i] - lower[i]) / 2, 1.7011309 * error)


def test_the_interval_holds_the_true_slope_about_nine_times_in_ten() -> None:
    values = 0.3 * np.arange(20) + np.random.default_rng(1).normal(size=(2000, 20))
    _, lower, upper = slope(values)
    assert 0.87 < ((lower <= 0.3) & (upper >= 0.3)).mean() < 0.93


def test_two_points_are_too_few() -> None:
    with pytest.raises(InvalidValue, match="values must be"):
        slope(np.zeros((3, 2)))
