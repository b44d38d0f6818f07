"""The online learner is river's, survives a restart to the bit, and is not thrown by wild values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidValue, SnapshotMismatch
from models.hazard import N_INTERVALS
from models.online import OnlineHazard

WIDTH = 6


def taught(steps: int = 40, seed: int = 0) -> OnlineHazard:
    online, rng = OnlineHazard(WIDTH), np.random.default_rng(seed)
    for _ in range(steps):
        x = rng.normal(size=(50, WIDTH)).astype(np.float32)
        event = x[:, 0] > 1.0
        y = np.zeros((50, 3))
        y[event, 0] = 1.0
        at_risk = np.ones((50, 3), dtype=np.bool_)
        at_risk[event, 1:] = False
        online.learn(x, y, at_risk)
    return online


def test_forecasts_are_those_of_river_itself() -> None:
    online = taught()
    x = np.random.default_rng(1).normal(size=(20, WIDTH)).astype(np.float32)
    frame = online._scaler.transform_many(pd.DataFrame(x.astype(np.float64), columns=[f"f{i}" for i in range(WIDTH)]))  # pyright: ignore[reportPrivateUsage]
    mine = online.hazards(x)
    for j in range(N_INTERVALS):
        theirs = np.asarray(online._models[j].predict_proba_many(frame))[:, 1]  # pyright: ignore[reportPrivateUsage]
        assert np.allclose(mine[:, j], theirs, rtol=1e-9)


def test_it_learns_what_precedes_events() -> None:
    online = taught(200)
    high, low = np.zeros((1, WIDTH), np.float32), np.zeros((1, WIDTH), np.float32)
    high[0, 0], low[0, 0] = 3.0, -3.0
    assert online.hazards(high)[0, 0] > 2 * online.hazards(low)[0, 0]


def test_forecasting_changes_nothing() -> None:
    online = taught()
    before = online.snapshot()
    online.hazards(np.ones((4, WIDTH), np.float32))
    assert online.snapshot() == before


def test_a_restored_learner_goes_on_to_the_same_bits() -> None:
    online, other = taught(), OnlineHazard(WIDTH)
    other.restore(online.snapshot())
    x = np.random.default_rng(2).normal(size=(30, WIDTH)).astype(np.float32)
    for learner in (online, other):
        learner.learn(x, np.zeros((30, 3)), np.ones((30, 3), dtype=np.bool_))
    assert other.snapshot() == online.snapshot()


def test_a_snapshot_of_another_size_is_refused() -> None:
    with pytest.raises(SnapshotMismatch, match="features"):
        OnlineHazard(WIDTH + 1).restore(taught(1).snapshot())


def test_one_wild_value_does_not_spoil_the_scale() -> None:
    online = taught()
    wild = np.full((1, WIDTH), 1e30, np.float32)
    online.learn(wild, np.zeros((1, 3)), np.ones((1, 3), dtype=np.bool_))
    h = online.hazards(np.concatenate([wild, -wild, np.zeros_like(wild)]))
    assert np.isfinite(h).all()
    assert ((h > 0) & (h < 1)).all()
    ordinary = np.zeros((1, WIDTH), np.float32)
    assert np.allclose(taught().hazards(ordinary), online.hazards(ordinary), rtol=0.5)


def test_rows_that_are_not_at_risk_teach_nothing() -> None:
    online = taught()
    before = online.snapshot()
    online.learn(np.ones((3, WIDTH), np.float32), np.ones((3, 3)), np.zeros((3, 3), dtype=np.bool_))
    assert online.snapshot() == before


def test_an_interval_learns_from_its_own_rows_alone() -> None:
    online = OnlineHazard(WIDTH)
    at_risk = np.zeros((5, 3), dtype=np.bool_)
    at_risk[:, 0] = True
    start = online.hazards(np.zeros((1, WIDTH), np.float32))
    online.learn(np.ones((5, WIDTH), np.float32), np.ones((5, 3)), at_risk)
    after = online.hazards(np.zeros((1, WIDTH), np.float32))
    assert after[0, 0] > start[0, 0]
    assert (after[0, 1:] == start[0, 1:]).all()


def test_what_is_not_a_feature_matrix_is_refused() -> None:
    online = OnlineHazard(WIDTH)
    with pytest.raises(InvalidValue, match="finite"):
        online.hazards(np.full((1, WIDTH), np.nan, np.float32))
    with pytest.raises(InvalidValue, match="must be"):
        online.hazards(np.zeros((1, WIDTH + 1), np.float32))
    with pytest.raises(InvalidValue, match="y and at_risk"):
        online.learn(np.zeros((1, WIDTH), np.float32), np.zeros((2, 3)), np.zeros((2, 3), dtype=np.bool_))
    with pytest.raises(InvalidValue, match="schema_size"):
        OnlineHazard(0)
