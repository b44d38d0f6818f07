"""Levels and slopes: missing values, noise."""

from __future__ import annotations

import numpy as np

from features.arrays import FloatArray
from models.bounds import NORMAL
from models.smoothing import Smoothing


def fed(values: FloatArray, known: FloatArray | None = None) -> Smoothing:
    smoothing = Smoothing(60)
    smoothing.columns.grow(values.shape[1])
    known = np.ones_like(values) if known is None else known
    for value, there in zip(values, known, strict=True):
        smoothing.add(value, there, np.ones(values.shape[1]))
    return smoothing


def test_the_slope_of_noise_lies_within_its_interval_nine_times_in_ten() -> None:
    standing = fed(np.random.default_rng(0).normal(size=(300, 2000))).standing(np.ones(2000))
    assert 0.88 < (np.abs(standing.slope) <= NORMAL * standing.error).mean() < 0.92


def test_values_that_are_missing_change_no_mean() -> None:
    values, known = np.full((120, 1), 7.0), np.ones((120, 1))
    known[100:] = 0.0
    standing = fed(values, known).standing(np.ones(1))
    assert np.allclose([standing.fast, standing.slow], 7.0, rtol=0.03)


def test_what_was_missing_for_long_is_as_usual() -> None:
    values, known = np.full((400, 1), 7.0), np.ones((400, 1))
    known[100:] = 0.0
    assert abs(float(fed(values, known).standing(np.ones(1)).fast[0])) < 0.01
