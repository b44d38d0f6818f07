"""Shares keep their sum on the way to the log odds of the longest horizon, and no ratio explodes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.hazard import cumulate, from_logits, to_logits
from models.shares import grouped, horizon_shares, rescaled
from tests.shapley import enumerated

LOGITS = st.floats(-12, 6)


def logit_of_longest(z: np.ndarray) -> np.ndarray:
    return to_logits(cumulate(from_logits(z.astype(np.float64))))[:, -1]


def test_columns_are_summed_into_their_groups() -> None:
    assert grouped(np.array([[1.0, 2.0, 3.0]]), np.array([1, 0, 1])).tolist() == [[2.0, 4.0]]


def test_where_nothing_differs_the_slope_is_followed() -> None:
    shares = np.array([[2.0, -2.0], [1.0, 1.0]])
    assert rescaled(shares, np.array([0.0, 1.0]), 0.25).tolist() == [[0.5, -0.5], [0.5, 0.5]]


@given(hnp.arrays(float, (4, 3, 2), elements=st.floats(-6, 6)), hnp.arrays(float, 3, elements=LOGITS))
def test_shares_of_the_longest_horizon_sum_to_its_distance(shares: np.ndarray, background: np.ndarray) -> None:
    z = background + shares.sum(axis=2)
    found = horizon_shares(shares, from_logits(z), from_logits(background))
    bounded = rescaled(shares, to_logits(from_logits(z)) - to_logits(from_logits(background)))
    assert np.allclose(found.sum(axis=1), logit_of_longest(z) - logit_of_longest(background[None]), atol=1e-7)
    assert (np.abs(found) <= np.abs(bounded).sum(axis=1) + 1e-6).all()


@given(hnp.arrays(float, (3, 3), elements=LOGITS), hnp.arrays(float, 3, elements=LOGITS))
def test_a_group_for_each_interval_gets_the_shapley_value_of_the_interval(z: np.ndarray, background: np.ndarray) -> None:
    z, background = z.astype(np.float32).astype(float), background.astype(np.float32).astype(float)
    apart = z - background
    found = horizon_shares(apart[:, :, None] * np.eye(3), from_logits(z), from_logits(background))
    exact = enumerated(logit_of_longest, z, background, np.arange(3))[:, 0]
    assert np.allclose(found, exact, atol=1e-6)


def test_groups_that_cancel_in_an_interval_are_followed_by_its_slope() -> None:
    background = np.array([-3.0, -3.0, -2.0])
    found = {
        gap: horizon_shares(
            np.array([[[1.0 + gap, -1.0], [0.3, 0.0], [0.0, 0.0]]]),
            from_logits(background + np.array([gap, 0.3, 0.0]))[None],
            from_logits(background),
        )
        for gap in (0.0, 1e-5)
    }
    assert np.allclose(found[0.0], found[1e-5], atol=1e-4)
    assert found[0.0][0, 1] < -0.1
