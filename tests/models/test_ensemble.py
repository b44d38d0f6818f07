"""Stacking finds the good member, bounds hold what they bound, and a baseline can be served."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.errors import InvalidValue
from models.ensemble import ENSEMBLE, Ensemble
from models.hazard import cumulate, from_logits, log_losses, to_logits
from models.linear import HazardLinear
from models.prediction import HORIZONS
from models.shares import grouped


@dataclass(frozen=True)
class Reader:
    """A forecaster that reads its log odds from a column."""

    column: int

    def hazards(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(from_logits(x[:, [self.column]].astype(float)), 3, axis=1)

    def shares(self, x: np.ndarray, background: np.ndarray, groups: np.ndarray) -> np.ndarray:
        parts = np.zeros((len(x), 3, len(groups)))
        parts[:, :, self.column] = (x - background)[:, [self.column]]
        return grouped(parts, groups)


def simulated(n: int = 6000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(-3.0, 1.0, (n, 3)).astype(np.float32)
    y = (rng.random((n, 3)) < from_logits(x[:, [0]].astype(float))).astype(float)
    at_risk = np.cumsum(y, axis=1) - y == 0
    return x, y * at_risk, at_risk


def stacked(n_events: int = 500) -> Ensemble:
    members = (("good", Reader(0)), ("noise", Reader(1)), ("other", Reader(2)))
    return Ensemble(members, (("rate", Reader(1)),)).fit(*simulated(), n_events=n_events)


FITTED = stacked()
MIXED = {"5min": ENSEMBLE, "15min": "rate", "60min": ENSEMBLE}


def test_the_member_that_knows_gets_the_weight_and_noise_is_dropped() -> None:
    assert abs(FITTED.weights["good"] - 1.0) < 0.15
    assert FITTED.weights["noise"] < 0.1
    assert all(weight >= 0 for weight in FITTED.weights.values())


def test_it_is_no_worse_than_its_best_member_on_new_rows() -> None:
    x, y, at_risk = simulated(seed=1)
    mine = (log_losses(FITTED.hazards(x), y) * at_risk).sum()
    best = (log_losses(Reader(0).hazards(x), y) * at_risk).sum()
    assert mine < 1.01 * best


def test_without_incidents_members_are_weighed_equally() -> None:
    assert np.allclose(list(stacked(0).weights.values()), 1 / 3)


def test_few_incidents_move_weights_less_than_many() -> None:
    assert FITTED.weights["good"] > stacked(3).weights["good"] > 1 / 3


@given(hnp.arrays(np.float64, (6, 3), elements=st.floats(0.0, 1.0)))
def test_bounds_hold_the_probability_and_never_contradict_each_other(h: np.ndarray) -> None:
    p = cumulate(h)
    lower, upper = FITTED.bounds(p)
    assert ((lower >= 0) & (lower <= p) & (p <= upper) & (upper <= 1)).all()
    assert (np.diff(lower, axis=1) >= 0).all()
    assert (np.diff(upper, axis=1) >= 0).all()


def test_bounds_stand_even_where_nothing_was_observed() -> None:
    x, y, at_risk = simulated(50)
    empty = Ensemble((("good", Reader(0)),)).fit(x, 0 * y, np.zeros_like(at_risk), n_events=0)
    lower, upper = empty.bounds(np.array([[0.1, 0.2, 0.3]]))
    assert (lower < 0.01).all()
    assert (upper > 0.9).all()


def test_a_baseline_that_was_not_beaten_is_what_is_served() -> None:
    served = FITTED.serving(MIXED)
    x = simulated(20)[0]
    mine = FITTED.hazards(x)
    assert (served.hazards(x) == np.stack([mine[:, 0], Reader(1).hazards(x)[:, 1], mine[:, 2]], axis=1)).all()
    assert (np.diff(cumulate(served.hazards(x)), axis=1) >= 0).all()
    assert set(FITTED.serves_.values()) == {ENSEMBLE}
    assert (served.hazards_of(ENSEMBLE, x) == mine).all()


@pytest.mark.parametrize("serves", [dict.fromkeys(HORIZONS, "nothing"), {"5min": ENSEMBLE}, dict(reversed(MIXED.items()))])
def test_what_cannot_serve_is_refused(serves: dict[str, str]) -> None:
    with pytest.raises(InvalidValue, match="serves must name one of"):
        FITTED.serving(serves)


def test_bounds_are_those_of_what_is_served() -> None:
    x, y, at_risk = simulated()
    p = cumulate(FITTED.serving(MIXED).hazards(x))
    served = FITTED.serving(MIXED).bounds(p)
    assert not np.allclose(served, FITTED.bounds(p))
    assert np.allclose(served, FITTED.serving(MIXED).bounded_by(x, y, at_risk).bounds(p))


def test_an_artifact_leaves_out_what_only_the_choice_needed() -> None:
    again = pickle.loads(pickle.dumps(FITTED))
    with pytest.raises(InvalidValue, match="chosen where the ensemble was fitted"):
        again.serving(MIXED)
    x = simulated(20)[0]
    assert (again.hazards(x) == FITTED.hazards(x)).all()


def test_members_fitted_on_more_rows_keep_their_weights() -> None:
    other = FITTED.refitted((("good", Reader(0)), ("noise", Reader(2)), ("other", Reader(1))), FITTED.baselines)
    assert other.weights == FITTED.weights
    with pytest.raises(InvalidValue, match="members must be"):
        FITTED.refitted((("x", Reader(0)),), ())


def test_log_odds_are_divided_by_the_weights_of_the_members() -> None:
    x = simulated(20)[0]
    shares = FITTED.shares(x, FITTED.background_, np.arange(3))
    assert np.allclose(shares.sum(axis=2), to_logits(FITTED.hazards(x)) - to_logits(FITTED.hazards(FITTED.background_[None])))
    of_good = FITTED.weights["good"] * (x - FITTED.background_)[:, [0]]
    assert np.allclose(shares[:, :, 0], of_good * FITTED.calibration_.slopes_, atol=1e-6)


def test_the_columns_that_members_look_at_most_are_watched_and_none_where_they_look_at_none() -> None:
    x, y, at_risk = simulated()
    learned = Ensemble((("linear", HazardLinear().fit(x, y, at_risk)), ("reader", Reader(2)))).fit(x, y, at_risk, n_events=500)
    reference = learned.watching(x).reference_
    assert reference is not None
    assert 0 in reference.columns
    assert np.allclose(reference.shares.sum(axis=1), 1.0)
    assert learned.reference_ is None
    assert FITTED.watching(x).reference_ is None


def test_members_need_distinct_names() -> None:
    with pytest.raises(InvalidValue, match="distinct"):
        Ensemble((("a", Reader(0)), ("a", Reader(1)))).fit(*simulated(50), n_events=1)
