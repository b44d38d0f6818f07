"""Arithmetic over windows against SciPy and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import entropy as scipy_entropy
from scipy.stats import poisson

from features.batch import BUCKETS, N_BUCKETS
from features.rates import decayed, entropy, log_factorial, quantile, ratio, slope, surprise

COUNTS = st.integers(0, 10**6).map(float)


@given(mean=st.floats(1e-6, 500.0), count=st.integers(1, 3000))
def test_surprise_is_the_poisson_tail(mean: float, count: int) -> None:
    got = float(surprise(np.array([float(count)]), np.array([mean]))[0])
    if count < mean:
        assert got == 0.0
        return
    exact = -poisson.logsf(count - 1, mean) / np.log(10.0)
    assert got == pytest.approx(min(float(exact), 300.0), rel=0.02, abs=0.005)


@given(count=st.floats(0, 1e15), mean=st.floats(0, 1e15))
def test_surprise_is_bounded_whatever_it_is_given(count: float, mean: float) -> None:
    got = surprise(np.array([count, -1.0]), np.array([mean, mean]))
    assert ((got >= 0) & (got <= 300)).all()
    assert got[1] == 0.0


def test_surprise_grows_with_the_count() -> None:
    tails = surprise(np.arange(10.0, 200.0), np.full(190, 10.0))
    assert (np.diff(tails) >= 0).all()


@given(n=st.floats(0, 1e15))
def test_log_factorial_is_that_of_the_gamma_function(n: float) -> None:
    assert float(log_factorial(np.array([n]))[0]) == pytest.approx(float(gammaln(n + 1)), rel=1e-9, abs=1e-7)


@given(
    counts=st.lists(st.integers(0, 1000).map(float), min_size=N_BUCKETS, max_size=N_BUCKETS),
    q=st.floats(0.001, 0.999),
    p=st.floats(0.001, 0.999),
)
def test_quantile_grows_with_q_and_lies_in_a_bucket_that_holds_something(counts: list[float], q: float, p: float) -> None:
    histogram = np.array(counts)
    low, high = (float(quantile(histogram, x)) for x in sorted((p, q)))
    assert low <= high * (1 + 1e-12)
    if not histogram.any():
        assert low == high == 0.0
        return
    edges = [BUCKETS[0] / 2, *BUCKETS, BUCKETS[-1] * 2]
    filled = np.flatnonzero(histogram)
    assert edges[filled[0]] * (1 - 1e-12) <= low
    assert high <= edges[filled[-1] + 1] * (1 + 1e-12)


def test_quantile_of_durations_is_that_of_numpy_within_a_bucket() -> None:
    seconds = np.random.default_rng(0).lognormal(-3.0, 1.0, 20_000)
    histogram = np.histogram(seconds, [0.0, *BUCKETS, np.inf])[0].astype(float)
    for q in (0.05, 0.5, 0.95):
        assert float(quantile(histogram, q)) == pytest.approx(float(np.quantile(seconds, q)), rel=0.08)


@given(counts=st.lists(COUNTS, min_size=1, max_size=14))
def test_entropy_is_that_of_scipy_and_within_its_bounds(counts: list[float]) -> None:
    bits = float(entropy(np.array([counts]))[0])
    assert 0.0 <= bits <= np.log2(len(counts)) + 1e-9
    assert bits == pytest.approx(float(scipy_entropy(counts, base=2)) if any(counts) else 0.0, abs=1e-9)


@given(values=st.lists(COUNTS, min_size=2, max_size=60))
def test_slope_is_the_least_squares_fit(values: list[float]) -> None:
    fitted = np.polynomial.polynomial.polyfit(np.arange(len(values)), values, 1)[1]
    assert float(slope(np.array([values]))[0]) == pytest.approx(float(fitted), rel=1e-6, abs=1e-4)


@given(values=st.lists(COUNTS, min_size=1, max_size=60), time_constant=st.floats(0.5, 100.0))
def test_decayed_mean_lies_among_the_values(values: list[float], time_constant: float) -> None:
    mean = float(decayed(np.array(values), time_constant))
    assert min(values) - 1e-6 <= mean <= max(values) + 1e-6


def test_decayed_mean_weighs_the_newest_most() -> None:
    assert float(decayed(np.array([0.0, 0.0, 1.0]), 2.0)) > float(decayed(np.array([1.0, 0.0, 0.0]), 2.0))


@given(part=COUNTS, whole=COUNTS, prior=st.floats(0, 1), weight=st.floats(0, 100))
def test_ratio_of_nothing_is_nothing_and_else_lies_by_its_prior(part: float, whole: float, prior: float, weight: float) -> None:
    got = float(ratio(np.array([min(part, whole)]), np.array([whole]), prior, weight)[0])
    assert 0.0 <= got <= 1.0 + 1e-12
    if whole + weight == 0:
        assert got == 0.0
