"""Steps keep the order of values, and the rare high ones apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.bins import MAX_STEPS, Bins


@given(st.integers(0, 20))
def test_steps_keep_the_order_and_their_number_is_bounded(seed: int) -> None:
    x = np.random.default_rng(seed).standard_t(2, (500, 2)).astype(np.float32)
    steps = Bins().fit(x).apply(x)
    for column in (0, 1):
        order = np.argsort(x[:, column])
        assert (np.diff(steps[order, column]) >= 0).all()
    assert steps.min() >= 0
    assert steps.max() < MAX_STEPS


def test_the_rarest_values_have_steps_of_their_own() -> None:
    x = np.zeros((10_000, 1), np.float32)
    x[:100, 0] = np.arange(1, 101)
    steps = Bins().fit(x).apply(np.array([[0], [5], [60], [95], [1000]], np.float32))[:, 0]
    assert (np.diff(steps) > 0).all()


def test_a_constant_column_has_one_step_for_what_was_seen() -> None:
    bins = Bins().fit(np.full((50, 1), 3.0, np.float32))
    assert bins.apply(np.full((2, 1), 3.0, np.float32)).tolist() == [[0.0], [0.0]]
