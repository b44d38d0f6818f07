"""Blocks of time resampled, against slow and plain twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from models.calibration import calibration_slope
from training.bootstrap import Blocks, average_precision, blocks_of

TIMES = np.repeat(np.arange(0, 86_400, 300), 5)


def simulated(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 15, len(TIMES)).round(3)
    return p, (rng.random(len(TIMES)) < p).astype(float)


@given(st.integers(0, 20))
def test_average_precision_is_scikit_learns(seed: int) -> None:
    p, hit = simulated(seed)
    assert np.isclose(average_precision(p, hit), average_precision_score(hit, p))


def test_resampled_precision_is_that_of_repeated_rows() -> None:
    p, hit = simulated(0)
    blocks = blocks_of(TIMES, block_s=7200, n_resamples=30, seed=0)
    fast = blocks.average_precision(p, hit)
    for i, counts in enumerate(blocks.counts):
        rows = np.repeat(np.arange(len(p)), counts[blocks.of_row].astype(int))
        assert abs(fast[i] - average_precision_score(hit[rows], p[rows])) < 0.005


def test_resampled_means_are_those_of_repeated_rows() -> None:
    p, _ = simulated(1)
    blocks = blocks_of(TIMES, block_s=7200, n_resamples=10, seed=0)
    slow = [np.repeat(p, c[blocks.of_row].astype(int)).mean() for c in blocks.counts]
    assert np.allclose(blocks.mean(p), slow)


def test_the_interval_holds_the_truth_about_nine_times_in_ten() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        # A whole block shares its level: resampling rows would be far too sure.
        values = np.repeat(rng.normal(size=24), 60) + rng.normal(size=1440)
        blocks = blocks_of(np.arange(1440) * 60, block_s=3600, n_resamples=200, seed=seed)
        interval = Blocks.interval(blocks.mean(values))
        assert interval is not None
        held += interval[0] <= 0.0 <= interval[1]
    assert 0.82 < held / 200 < 0.96


def test_too_little_data_has_no_interval_and_no_precision() -> None:
    empty = blocks_of(np.zeros(0, np.int64), block_s=60, n_resamples=5, seed=0)
    assert Blocks.interval(empty.mean(np.zeros(0))) is None
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0)))
    assert np.isnan(average_precision(np.array([0.5]), np.array([0.0])))
    assert np.isnan(
        blocks_of(TIMES, block_s=60, n_resamples=3, seed=0).average_precision(simulated(0)[0], np.zeros(len(TIMES)))
    ).all()


def test_resampled_areas_and_slopes_are_near_those_of_all_rows() -> None:
    rng = np.random.default_rng(4)
    z = rng.normal(-2.0, 1.5, 20_000)
    hit = (rng.random(len(z)) < expit(0.5 * z)).astype(np.float64)
    p = expit(z)
    blocks = blocks_of(np.arange(len(z)) * 60, block_s=7200, n_resamples=100, seed=0)
    assert float(np.median(blocks.auc(p, hit))) == pytest.approx(roc_auc_score(hit, p), abs=0.005)
    slopes = blocks.slope(z, hit)
    assert float(np.median(slopes)) == pytest.approx(calibration_slope(p, hit), abs=0.02)
    low, high = blocks.interval(slopes) or (0.0, 0.0)
    assert low < 0.5 < high
    assert float(np.median(blocks.ratio(hit, p))) == pytest.approx(hit.sum() / p.sum(), abs=0.02)


def test_a_steep_slope_of_forecasts_that_hardly_differ_is_found() -> None:
    rng = np.random.default_rng(0)
    z = -2.6 + 0.15 * rng.exponential(1, 30_000)
    hit = (rng.random(len(z)) < expit(5 + 3 * z)).astype(np.float64)
    slopes = blocks_of(np.arange(len(z)) * 3, block_s=7200, n_resamples=50, seed=0).slope(z, hit)
    assert float(np.median(slopes)) == pytest.approx(calibration_slope(expit(z), hit), abs=0.1)
    assert len(np.unique(slopes.round(6))) > 40


def test_without_both_outcomes_there_is_neither_area_nor_slope() -> None:
    blocks = blocks_of(np.arange(0, 36_000, 60), block_s=7200, n_resamples=20, seed=0)
    z = np.linspace(-1, 1, 600)
    for hit in (np.zeros(600), np.ones(600)):
        assert np.isnan(blocks.auc(z, hit)).all()
        assert np.isnan(blocks.slope(z, hit)).all()
    assert np.isnan(blocks.ratio(z, np.zeros(600))).all()
