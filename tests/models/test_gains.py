"""Gains: as good as the best of season, level and trend."""

from __future__ import annotations

import numpy as np
import pytest

from models.gains import Gains


@pytest.mark.parametrize("truth", [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.4, 0.2)], ids=["season", "level", "trend", "between"])
def test_squares_are_hardly_more_than_those_of_the_best_gains(truth: tuple[float, float]) -> None:
    rng, n = np.random.default_rng(0), 30
    gains, rows = Gains(np.array([[0.7, 0.3]])), np.ones(n, np.bool_)
    gains.columns.grow(n)
    ours = best = 0.0
    for t in range(600):
        signal = rng.normal(size=(n, 2)) * 1.5
        outcome = signal @ np.array(truth) + rng.normal(size=n)
        if t >= 50:
            ours += float(((outcome - (gains.of(0) * signal).sum(1)) ** 2).sum())
            best += float(((outcome - signal @ np.array(truth)) ** 2).sum())
        gains.learn(0, signal, outcome, rows)
    assert ours < 1.02 * best


def test_gains_stay_bounded_where_few_outcomes_are_known() -> None:
    rng = np.random.default_rng(1)
    gains = Gains(np.full((4, 2), 0.5))
    gains.columns.grow(50)
    for _ in range(400):
        signal = np.outer(rng.normal(size=50), np.ones(2)) + rng.normal(size=(50, 2)) * 1e-3
        for kind in range(4):
            gains.learn(kind, signal, signal[:, 0], rng.random(50) < 0.3)
    assert np.abs(np.stack([gains.of(kind) for kind in range(4)])).max() < 2.0
