"""Changes: a step is one, noise and season are none."""

from __future__ import annotations

import numpy as np
import pytest

from features.arrays import FloatArray
from models.changepoints import Changes, Regime, of_counts, of_levels


def found(regime: Regime, values: FloatArray, usual: FloatArray) -> tuple[Changes, FloatArray]:
    """Return the state and how many changes each series had."""
    changes, n = Changes(regime, 60), values.shape[1]
    changes.columns.grow(n)
    number, rows = np.zeros(n), np.ones(n, np.bool_)
    for value, due in zip(values, usual, strict=True):
        before = changes.newest(value).ago
        changes.advance(value, np.full(n, due), np.ones(n), rows)
        after = changes.newest(value).ago
        number += (after >= 0) & ((before < 0) | (after <= before))
    return changes, number


def test_a_step_of_counts_is_one_change_at_its_time() -> None:
    values = np.random.default_rng(0).poisson(np.repeat([[1.0], [6.0]], [400, 100], axis=0), (500, 60)).astype(float)
    changes, number = found(of_counts(), values, np.full(500, 1.0))
    newest = changes.newest(np.ones(60))
    assert (number == 1.0).sum() >= 57  # one by chance in 30 days, and these are 20
    assert abs(float(np.median(newest.ago)) - 100) <= 2
    assert np.allclose([newest.before.mean(), newest.after.mean()], [1.0, 6.0], rtol=0.15)


def test_a_step_of_levels_is_one_change() -> None:
    values = np.random.default_rng(0).normal(np.repeat([[0.0], [3.0]], [300, 100], axis=0), 1.0, (400, 60))
    changes, number = found(of_levels(), values, np.zeros(400))
    assert (number == 1.0).sum() >= 57  # one by chance in 30 days, and these are 20
    assert abs(float(np.median(changes.newest(np.zeros(60)).ago)) - 100) <= 2


@pytest.mark.parametrize("mean", [0.02, 3.0])
def test_noise_that_follows_its_season_is_no_change_for_two_days(mean: float) -> None:
    usual = mean * (1.0 + 0.8 * np.sin(np.arange(2 * 1440) / 1440 * 2 * np.pi))
    values = np.random.default_rng(1).poisson(usual[:, None], (len(usual), 40)).astype(float)
    assert found(of_counts(), values, usual)[1].sum() <= 2
