"""Calibration is measured right and mended only where that is earned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from models.calibration import SigmoidCalibration, calibration_slope, ece, reliability
from models.hazard import from_logits, to_logits


def stated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 8, (n, 3))
    return p, (rng.random((n, 3)) < p).astype(float)


def test_true_probabilities_have_slope_one_and_hardly_any_error() -> None:
    p, hit = stated(40_000)
    assert abs(calibration_slope(p[:, 0], hit[:, 0]) - 1.0) < 0.05
    assert ece(p[:, 0], hit[:, 0]) < 0.01
    assert ece(np.clip(p[:, 0] + 0.1, 0, 1), hit[:, 0]) > 0.08


def test_overconfidence_has_a_slope_below_one() -> None:
    p, hit = stated(20_000)
    assert calibration_slope(from_logits(2 * to_logits(p[:, 0])), hit[:, 0]) < 0.6


@given(st.integers(1, 12), st.booleans(), st.integers(0, 3))
def test_reliability_counts_every_row_once_and_its_bounds_hold_the_share(n_bins: int, by_mass: bool, seed: int) -> None:
    p, hit = stated(300, seed)
    table = reliability(p[:, 0], hit[:, 0], n_bins=n_bins, overlap=5.0, by_mass=by_mass)
    assert table.rows.sum() == 300
    assert (np.diff(table.predicted) >= 0).all()
    assert ((table.lower <= table.observed) & (table.observed <= table.upper)).all()
    assert np.isclose((table.observed * table.rows).sum(), hit[:, 0].sum())


def test_overlapping_rows_widen_the_interval() -> None:
    p, hit = stated(2000)
    alone, shared = (reliability(p[:, 0], hit[:, 0], overlap=overlap) for overlap in (1.0, 60.0))
    assert ((shared.upper - shared.lower) > (alone.upper - alone.lower)).all()


def test_a_calibrated_model_and_one_with_few_events_are_left_alone() -> None:
    p, hit = stated(1000)
    wrong = from_logits(2 * to_logits(p))
    few = SigmoidCalibration().fit(wrong, hit * (np.arange(1000) < 900)[:, None], np.ones(p.shape, dtype=np.bool_))
    assert (few.slopes_ == 1).all()
    assert np.allclose(few.apply(p), p, atol=1e-6)


def test_undefined_scores_are_nan_and_not_a_number_that_looks_good() -> None:
    assert np.isnan(ece(np.zeros(0), np.zeros(0)))
    assert np.isnan(calibration_slope(np.full(5, 0.1), np.array([0.0, 1, 0, 1, 0])))
    assert np.isnan(calibration_slope(np.linspace(0.1, 0.9, 5), np.zeros(5)))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidValue, match="p and hit"):
        reliability(np.zeros(2), np.zeros(3))
