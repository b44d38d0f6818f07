"""Tails of counts against the distributions themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from features.errors import InvalidValue
from models.tails import tail


def test_tails_are_those_of_the_distributions() -> None:
    v = np.array([0.0, 3.0, 12.0, 0.0, 3.0, 40.0])
    mean = np.array([2.0, 2.0, 2.0, 5.0, 5.0, 5.0])
    spread = np.array([1.0, 1.0, 1.0, 4.0, 4.0, 4.0])
    p, lower, upper = tail(v, mean, spread)
    assert np.allclose(p[:3], poisson.sf(v[:3], 2.0) + poisson.pmf(v[:3], 2.0) / 2)
    size, q = 5.0 / 3.0, 0.25
    assert np.allclose(p[3:], nbinom.sf(v[3:], size, q) + nbinom.pmf(v[3:], size, q) / 2)
    assert (lower <= mean).all()
    assert (upper >= mean).all()


def test_mid_tails_of_usual_windows_average_one_half() -> None:
    rng = np.random.default_rng(0)
    v = rng.negative_binomial(2.0, 0.25, 20_000).astype(float)
    p, lower, upper = tail(v, np.full(20_000, 6.0), np.full(20_000, 4.0))
    assert abs(p.mean() - 0.5) < 0.01
    assert ((v >= lower) & (v <= upper)).mean() > 0.94


def test_more_errors_are_never_less_unlikely() -> None:
    p, _, _ = tail(np.arange(60.0), np.full(60, 3.0), np.full(60, 2.5))
    assert (np.diff(p) <= 0).all()


def test_zero_expectation_and_huge_counts_stay_finite() -> None:
    p, lower, upper = tail(np.array([0.0, 1e7, 5.0]), np.zeros(3), np.array([1.0, 1.0, 9.0]))
    assert np.isfinite([p, lower, upper]).all()
    assert p[1] == 0.0
    empty = tail(np.zeros(0), np.zeros(0), np.zeros(0))
    assert [len(part) for part in empty] == [0, 0, 0]


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(InvalidValue, match="at least 0"):
        tail(np.array([-1.0]), np.array([1.0]), np.array([1.0]))
    with pytest.raises(InvalidValue, match="one shape"):
        tail(np.zeros(1), np.zeros(2), np.zeros(2))
