"""Bounds: they hold the share that they promise, whatever the errors."""

from __future__ import annotations

import numpy as np
import pytest

from features.arrays import FloatArray
from models.bounds import BEYOND, Reach

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "errors",
    [
        RNG.normal(size=(1500, 40)),
        RNG.standard_t(2, (1500, 40)),
        RNG.exponential(size=(1500, 40)),
    ],
    ids=["normal", "heavy", "one-sided"],
)
def test_a_twentieth_lies_beyond_each_bound(errors: FloatArray) -> None:
    reach, rows = Reach(1), np.ones(40, np.bool_)
    reach.columns.grow(40)
    beyond = np.zeros((len(errors), 2))
    for t, error in enumerate(errors):
        beyond[t] = (error < reach.lower(0)).mean(), (error > reach.upper(0)).mean()
        reach.learn(0, error, rows)
    assert np.allclose(beyond[300:].mean(0), BEYOND, atol=0.015)


def test_only_what_is_known_is_learned() -> None:
    reach = Reach(2)
    reach.columns.grow(2)
    reach.learn(1, np.array([9.0, 9.0]), np.array([True, False]))
    assert (reach.upper(1)[0] > reach.upper(1)[1], reach.upper(0)[0] == reach.upper(0)[1]) == (True, True)
