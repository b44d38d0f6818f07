"""Each expert sees its own kind of anomaly."""

from __future__ import annotations

import numpy as np
import pytest

from features.arrays import FloatArray
from models.experts import EXPERTS, Experts, Opinion


def after(values: FloatArray, last: list[float]) -> tuple[FloatArray, Opinion]:
    """Return the usual statistics over the last fifth of values, and the opinion on the last of those that follow."""
    experts, said = Experts(), list[Opinion]()
    experts.grow(1)
    for i, value in enumerate([*values.tolist(), *last]):
        said.append(experts.advance(np.array([value]), np.array([1.7e9 + 300.0 * i]), np.array([True])))
    usual = np.array([opinion.statistics[0] for opinion in said[len(values) * 4 // 5 : len(values)]])
    return np.quantile(usual, 0.99, axis=0), said[-1]


RNG = np.random.default_rng(2)
NOISE = RNG.normal(size=4000)
HOURS = (1.7e9 + 300.0 * np.arange(4001)) // 3600.0 % 24
DAILY = 20.0 * (HOURS < 6)


@pytest.mark.parametrize(
    ("expert", "values", "last"),
    [
        ("range", NOISE, [12.0]),
        ("season", DAILY[:-1] + 0.3 * NOISE, [20.0 - DAILY[-1]]),
        ("week", DAILY[:-1] + 0.3 * NOISE, [20.0 - DAILY[-1]]),
        ("fast", NOISE, [8.0]),
        ("slow", NOISE, [8.0]),
        ("autoregression", np.cumsum(NOISE) * 0.1, [np.sum(NOISE) * 0.1 + 3.0]),
        ("shape", np.tile([0.0, 1.0], 2000) + 0.01 * NOISE, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        ("unrest", NOISE, [0.0] * 15),
        ("tremor", NOISE, [0.0] * 8),
        ("turns", NOISE, (0.1 * np.arange(30)).tolist()),
        ("hour", DAILY[:-1] + 0.3 * NOISE, [20.0 - DAILY[-1]]),
        ("sustained", NOISE, [2.0] * 30),
    ],
)
def test_each_expert_sees_its_anomaly(expert: str, values: FloatArray, last: list[float]) -> None:
    usual, opinion = after(values, last)
    place = list(EXPERTS).index(expert)
    assert opinion.statistics[0, place] > usual[place]


def test_what_was_expected_comes_with_it() -> None:
    _, opinion = after(NOISE + 40.0, [40.0])
    assert abs(float(opinion.expected[0]) - 40.0) < 1.0
    assert 0.4 < float(opinion.spread[0]) < 1.6


def test_a_flat_line_is_not_unusual_whatever_its_height() -> None:
    for height in (0.0, 45.0, 1e9, -3.3e-7):
        _, opinion = after(np.full(500, height), [height])
        assert np.isfinite(opinion.statistics).all()
        assert (opinion.statistics[0] <= 1.0).all()
