"""Labels, stacking and the way back to horizons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.errors import InvalidValue
from models.hazard import INTERVALS, cumulate, from_logits, intervals_of, labels, log_losses, reached, stack, to_logits

WAITS = hnp.arrays(np.float64, 20, elements=st.one_of(st.floats(1.0, 10_000.0), st.just(float("inf"))))
OBSERVED = hnp.arrays(np.float64, 20, elements=st.floats(0.0, 10_000.0))
HAZARDS = hnp.arrays(np.float64, (7, 3), elements=st.floats(0.0, 1.0))


@given(WAITS, OBSERVED)
def test_what_was_not_observed_is_never_a_label(wait: np.ndarray, observed: np.ndarray) -> None:
    y, at_risk = labels(wait, observed)
    assert not (y > at_risk).any()
    for j, (begin, end) in enumerate(INTERVALS):
        event = (wait > begin) & (wait <= end) & (wait <= observed)
        assert (y[:, j] == event).all()
        negative = at_risk[:, j] & ~event
        assert (wait[negative] > end).all()
        assert (observed[negative] >= end).all()


@given(WAITS, OBSERVED)
def test_no_row_is_at_risk_after_its_event(wait: np.ndarray, observed: np.ndarray) -> None:
    y, at_risk = labels(wait, observed)
    before = np.cumsum(y, axis=1) - y
    assert not (at_risk & (before > 0)).any()


@given(HAZARDS)
def test_a_longer_horizon_is_never_less_likely(hazards: np.ndarray) -> None:
    p = cumulate(hazards)
    assert (np.diff(p, axis=1) >= 0).all()
    assert ((p >= 0) & (p <= 1)).all()
    assert np.allclose(p[:, -1], 1 - np.prod(1 - hazards, axis=1))


def test_stacked_rows_point_back_to_where_they_came_from() -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    y, at_risk = labels(np.array([100.0, 600.0, 2000.0, np.inf]), np.full(4, 9000.0))
    stacked = stack(x, y, at_risk)
    assert len(stacked.y) == 1 + 2 + 3 + 3
    assert (stacked.x[:, :2] == x[stacked.row]).all()
    assert (stacked.x[:, 2] == stacked.interval).all()
    assert (stacked.y == y[stacked.row, stacked.interval]).all()


def test_a_horizon_is_known_once_its_event_came_even_if_the_rest_was_not_seen() -> None:
    y, at_risk = labels(np.array([100.0, np.inf]), np.array([200.0, 200.0]))
    hit, known = reached(y, at_risk)
    assert hit[0].all()
    assert known.tolist() == [[True] * 3, [False] * 3]


@given(hnp.arrays(np.float64, 9, elements=st.floats(1e-6, 1 - 1e-6)))
def test_logits_turn_back_into_probabilities(p: np.ndarray) -> None:
    assert np.allclose(from_logits(to_logits(p)), p)


def test_the_log_loss_of_certainty_that_is_wrong_stays_finite() -> None:
    assert np.isfinite(log_losses(np.array([0.0, 1.0]), np.array([1.0, 0.0]))).all()


def test_impossible_values_are_refused() -> None:
    with pytest.raises(InvalidValue, match="above 0"):
        labels(np.array([0.0]), np.array([1.0]))
    with pytest.raises(InvalidValue, match="one shape"):
        labels(np.array([1.0]), np.array([1.0, 2.0]))
    with pytest.raises(InvalidValue, match=r"in \[0, 1\]"):
        cumulate(np.array([[1.5, 0.0, 0.0]]))
    with pytest.raises(InvalidValue, match="must be"):
        stack(np.zeros((2, 1), np.float32), np.zeros((3, 2)), np.zeros((3, 2), bool))
    for wrong in ({}, {"a": 0}, {"a": 60, "b": 60}):
        with pytest.raises(InvalidValue, match="horizons must be at least one and ascend"):
            intervals_of(wrong)
