"""Thinning keeps every event and the weight of both classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from models.thin import Thinning, thin


@given(st.integers(0, 60), st.integers(1, 5000), st.integers(0, 5))
def test_every_event_is_kept_and_classes_keep_their_weight(n_events: int, n_quiet: int, seed: int) -> None:
    y = np.zeros((n_events + n_quiet, 3))
    y[:n_events, 1] = 1.0
    weight = np.random.default_rng(seed).uniform(0.5, 2.0, len(y))
    rows, weights = thin(y, np.ones(y.shape, dtype=np.bool_), weight, Thinning(per_positive=5), np.random.default_rng(seed))
    assert set(range(n_events)) <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()
    assert np.isclose(weights[rows < n_events].sum(), weight[:n_events].sum())
    assert np.isclose(weights[rows >= n_events].sum(), weight[n_events:].sum())


def test_rows_at_no_risk_are_left_out() -> None:
    at_risk = np.zeros((10, 3), dtype=np.bool_)
    at_risk[3, 0] = True
    rows, _ = thin(np.zeros((10, 3)), at_risk, np.ones(10), Thinning(), np.random.default_rng(0))
    assert rows.tolist() == [3]


def test_the_bound_of_rows_holds_even_when_events_are_many() -> None:
    y = np.ones((5000, 3))
    y[2500:] = 0
    rows, weights = thin(y, np.ones(y.shape, dtype=np.bool_), np.ones(5000), Thinning(max_rows=1000), np.random.default_rng(0))
    assert len(rows) == 1000
    assert np.isclose(weights.sum(), 5000)


def test_impossible_bounds_are_refused() -> None:
    with pytest.raises(InvalidValue, match="above 0"):
        Thinning(per_positive=0)


def test_rows_that_somebody_spoke_of_are_kept_before_the_quiet_is_thinned() -> None:
    y = np.zeros((20_000, 3))
    y[:5, 2] = 1
    weight = np.ones(20_000)
    weight[10_000:10_030] = 4.0
    rows, weights = thin(y, np.ones(y.shape, dtype=np.bool_), weight, Thinning(), np.random.default_rng(0))
    assert set(range(10_000, 10_030)) <= set(rows.tolist())
    assert (weights[np.isin(rows, np.arange(10_000, 10_030))] == 4.0).all()
    assert np.isclose(weights.sum(), weight.sum())
    weight[5:] = 4.0
    many, _ = thin(y, np.ones(y.shape, dtype=np.bool_), weight, Thinning(), np.random.default_rng(0))
    assert len(many) == len(rows)


def test_of_what_is_kept_without_an_event_up_to_half_is_what_somebody_spoke_of() -> None:
    y, weight = np.zeros((20_000, 3)), np.ones(20_000)
    y[:5, 2] = 1
    weight[10_000:] = 4.0
    rows, _ = thin(y, np.ones(y.shape, dtype=np.bool_), weight, Thinning(), np.random.default_rng(0))
    n_negative = len(rows) - 5
    assert np.count_nonzero(rows >= 10_000) == n_negative // 2
