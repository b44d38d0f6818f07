"""The linear forecast finds the weights of a process, and stays finite where nothing varies."""

from __future__ import annotations

import numpy as np

from models.autoregression import ORDER, Autoregression


def test_it_finds_the_weights_of_a_process() -> None:
    rng = np.random.default_rng(0)
    forecast = Autoregression()
    forecast.columns.grow(1)
    x = np.zeros(3000)
    for i in range(2, 3000):
        x[i] = 1.2 * x[i - 1] - 0.5 * x[i - 2] + rng.normal()
    for i in range(ORDER, 3000):
        last = x[i - ORDER : i][::-1][None]
        error = forecast.error(x[i : i + 1], last)
        forecast.learn(error, last, np.ones(1), np.array([True]))
    assert np.allclose(forecast.columns["weights"][0], [1.2, -0.5, 0.0, 0.0, 0.0], atol=0.15)


def test_constant_and_wild_values_keep_it_finite_and_unusual_rows_teach_nothing() -> None:
    forecast = Autoregression()
    forecast.columns.grow(3)
    rng = np.random.default_rng(1)
    for _ in range(5000):
        last = np.stack([np.full(ORDER, 50.0), rng.normal(size=ORDER) * 50.0, np.ones(ORDER)])
        error = forecast.error(np.array([50.0, rng.normal() * 50.0, 1.0]), last)
        forecast.learn(error, last, np.ones(3), np.array([True, True, False]))
    assert np.isfinite(forecast.columns["weights"]).all()
    assert np.isfinite(forecast.columns["unsure"][:2]).all()
    assert not forecast.columns["weights"][2].any()
