"""A forecaster that drifts off is brought back, one that is right is left alone, and outcomes are learned after they were forecast."""

from __future__ import annotations

import numpy as np
import pytest

from features.arrays import BoolArray, FloatArray
from features.errors import SnapshotMismatch
from models.hazard import from_logits, to_logits
from models.recalibration import OnlineSigmoid


def said_and_came(slope: float, intercept: float, n: int = 20_000) -> tuple[FloatArray, FloatArray, BoolArray]:
    rng = np.random.default_rng(3)
    said = from_logits(rng.normal(-3.0, 1.0, (n, 2)))
    true = from_logits(to_logits(said) * slope + intercept)
    return said, (rng.random(said.shape) < true).astype(np.float64), np.ones(said.shape, dtype=np.bool_)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.7, -0.5), (1.3, 0.8)])
def test_many_outcomes_find_the_map_that_made_them(slope: float, intercept: float) -> None:
    said, came, at_risk = said_and_came(slope, intercept)
    online = OnlineSigmoid((1.0, 1.0))
    for batch in np.array_split(np.arange(len(said)), 20):
        online.learn(said[batch], came[batch], at_risk[batch])
    assert np.allclose(online.means_, [[slope, intercept]] * 2, atol=0.15)


def test_few_outcomes_change_little_and_shared_ones_less() -> None:
    said, came, at_risk = said_and_came(0.5, -1.0, n=200)
    moved = [OnlineSigmoid((overlap, overlap)).learn(said, came, at_risk).means_[0, 0] for overlap in (1.0, 50.0)]
    assert 0.5 < moved[0] < moved[1] < 1.0
    assert moved[1] > 0.95


def test_what_is_unknown_teaches_nothing() -> None:
    said, came, at_risk = said_and_came(0.5, -1.0, n=500)
    online = OnlineSigmoid((1.0, 1.0)).learn(said, came, at_risk & np.array([True, False]))
    assert online.means_[0, 0] < 1.0
    assert online.means_[1].tolist() == [1.0, 0.0]
    assert np.allclose(online.apply(said)[:, 1], said[:, 1])


def test_a_change_of_the_world_is_followed() -> None:
    online = OnlineSigmoid((1.0, 1.0), keep=0.8)
    for intercept in (-1.0, 1.0):
        said, came, at_risk = said_and_came(1.0, intercept, n=40_000)
        for batch in np.array_split(np.arange(len(said)), 40):
            online.learn(said[batch], came[batch], at_risk[batch])
    assert online.means_[:, 1] == pytest.approx([1.0, 1.0], abs=0.3)


def test_what_was_learned_survives_bit_by_bit_and_only_into_its_like() -> None:
    said, came, at_risk = said_and_came(0.7, -0.5, n=2_000)
    one, other = OnlineSigmoid((2.0, 3.0)).learn(said, came, at_risk), OnlineSigmoid((2.0, 3.0))
    other.restore(one.snapshot())
    for online in (one, other):
        online.learn(said[:100], came[:100], at_risk[:100])
    assert np.array_equal(one.apply(said), other.apply(said))
    with pytest.raises(SnapshotMismatch, match="with 4 numbers, expected version 1 with 2"):
        OnlineSigmoid((1.0,)).restore(one.snapshot())


def test_order_among_rows_is_never_turned_round() -> None:
    online = OnlineSigmoid((1.0,))
    online.means_[0] = [-0.5, 0.0]
    assert np.allclose(online.apply(np.array([[0.1], [0.9]])), 0.5)
