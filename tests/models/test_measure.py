"""Scales: errors are about as large whatever the value."""

from __future__ import annotations

import numpy as np

from models.measure import counts


def test_poisson_counts_scatter_by_about_one_whatever_their_mean() -> None:
    means = np.array([2.0, 10.0, 300.0])
    drawn = np.random.default_rng(0).poisson(means * 5, (4000, 3)) / 5
    assert np.allclose(counts(5).forward(drawn).std(0), 1.0, atol=0.1)


def test_what_lies_below_no_count_at_all_is_none() -> None:
    assert counts(5).backward(np.array([-3.0, 0.1])).tolist() == [0.0, 0.0]
