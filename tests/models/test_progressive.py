"""How well members forecast lately."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue, SnapshotMismatch
from models.hazard import cumulate, log_losses, reached
from models.progressive import Progressive


def outcomes(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hazards, labels and what is at risk, as rows of `models.hazard.labels` are."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 3)) < 0.2).astype(float)
    y[np.cumsum(y, axis=1) > 1] = 0.0
    at_risk = np.cumsum(y, axis=1) - y == 0
    censored = rng.random(n) < 0.2
    at_risk[censored, 2] = False
    y[~at_risk] = 0.0
    return rng.random((n, 3)) * 0.5, y, at_risk


@given(st.integers(0, 2**32 - 1))
def test_of_one_tick_it_is_the_mean_over_rows_whose_outcome_is_known(seed: int) -> None:
    hazards, y, at_risk = outcomes(seed)
    progressive = Progressive(keep=0.9)
    progressive.learn({"a": hazards}, y, at_risk)
    (began, known), p = reached(y, at_risk), cumulate(hazards)
    for k, found in enumerate(progressive.said()["a"].values()):
        rows = known[:, k]
        assert found.rows == rows.sum()
        assert found.base_rate == pytest.approx(began[rows, k].mean())
        assert found.forecast_rate == pytest.approx(p[rows, k].mean())
        assert found.log_loss == pytest.approx(log_losses(p[rows, k], began[rows, k]).mean())
        assert found.brier == pytest.approx(((p - began)[rows, k] ** 2).mean())
        assert found.base_log_loss <= log_losses(np.full(rows.sum(), 0.3), began[rows, k]).mean() + 1e-12


def test_older_rows_count_less() -> None:
    progressive = Progressive(keep=0.5)
    none, all_of_them = np.zeros((4, 3)), np.tile([1.0, 0.0, 0.0], (4, 1))
    progressive.learn({"a": np.full((4, 3), 0.1)}, all_of_them, np.tile([True, False, False], (4, 1)))
    progressive.learn({"a": np.full((4, 3), 0.1)}, none, np.ones((4, 3), bool))
    found = progressive.said()["a"]["5min"]
    assert (found.rows, found.base_rate) == (6.0, pytest.approx(1 / 3))


def test_a_member_that_fell_silent_stays_with_what_it_weighs() -> None:
    progressive = Progressive(keep=0.5)
    hazards, y, at_risk = outcomes(3)
    progressive.learn({"a": hazards, "b": hazards}, y, at_risk)
    progressive.learn({"a": hazards}, y, at_risk)
    said = progressive.said()
    assert said["a"]["5min"].rows == 3 * said["b"]["5min"].rows
    assert said["a"]["5min"].log_loss == pytest.approx(said["b"]["5min"].log_loss)


def test_a_snapshot_gives_the_same_back_and_another_pace_is_refused() -> None:
    progressive, empty = Progressive(keep=0.5), Progressive(keep=0.5)
    for seed in range(5):
        progressive.learn({"a": outcomes(seed)[0], "b": outcomes(seed + 9)[0]}, *outcomes(seed)[1:])
    empty.restore(progressive.snapshot())
    assert empty.snapshot() == progressive.snapshot()
    assert empty.said() == progressive.said()
    with pytest.raises(SnapshotMismatch, match=r"keeps 0\.5, expected version 1 and 0\.9"):
        Progressive(keep=0.9).restore(progressive.snapshot())


def test_nothing_is_said_before_anything_was_judged_and_a_pace_is_checked() -> None:
    assert Progressive(keep=0.5).said() == {}
    with pytest.raises(InvalidValue, match=r"keep must be in \(0, 1\), got 1"):
        Progressive(keep=1.0)


def test_where_nothing_ever_began_the_base_rate_says_so_without_loss() -> None:
    progressive = Progressive(keep=0.9)
    progressive.learn({"a": np.full((4, 3), 0.1)}, np.zeros((4, 3)), np.ones((4, 3), bool))
    assert [one.base_log_loss for one in progressive.said()["a"].values()] == [0.0, 0.0, 0.0]
