"""A forecaster that drifts off is brought back, one that is right is left alone, and outcomes are learned after they were forecast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import SnapshotMismatch
from models.hazard import from_logits, to_logits
from models.recalibration import OnlineSigmoid, Whose


def said_and_came(slope: float, intercept: float, n: int = 20_000) -> tuple[FloatArray, FloatArray, BoolArray]:
    rng = np.random.default_rng(3)
    said = from_logits(rng.normal(-3.0, 1.0, (n, 2)))
    true = from_logits(to_logits(said) * slope + intercept)
    return said, (rng.random(said.shape) < true).astype(np.float64), np.ones(said.shape, dtype=np.bool_)


def nobody(said: FloatArray) -> Whose:
    """Return rows of no series, of which none is quiet."""
    return Whose(np.full(len(said), -1), np.zeros(said.shape, dtype=np.bool_))


def taught(online: OnlineSigmoid, said: FloatArray, whose: Whose, came: FloatArray, batches: int) -> OnlineSigmoid:
    for batch in np.array_split(np.arange(len(said)), batches):
        online.learn(said[batch], whose.take(batch), came[batch], np.ones(said[batch].shape, dtype=np.bool_))
    return online


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.7, -0.5), (1.3, 0.8)])
def test_many_outcomes_find_the_map_that_made_them(slope: float, intercept: float) -> None:
    said, came, _ = said_and_came(slope, intercept)
    online = taught(OnlineSigmoid((1.0, 1.0)), said, nobody(said), came, 20)
    slopes, offsets = online.lines(Whose(np.array([-1]), np.zeros((1, 2), dtype=np.bool_)))
    assert np.allclose([slopes, offsets], [[[slope]], [[intercept]]], atol=0.2)


@pytest.mark.parametrize(("slope", "intercept"), [(0.6, -1.5), (1.2, 0.5)])
def test_quiet_series_have_a_map_of_their_own(slope: float, intercept: float) -> None:
    said, came, _ = said_and_came(1.0, 0.0, n=40_000)
    _, came_to_quiet, _ = said_and_came(slope, intercept, n=40_000)
    quiet = np.random.default_rng(5).random(len(said)) < 0.5
    whose = Whose(np.full(len(said), -1), np.tile(quiet[:, None], (1, 2)))
    online = taught(OnlineSigmoid((1.0, 1.0)), said, whose, np.where(quiet[:, None], came_to_quiet, came), 20)
    slopes, offsets = online.lines(Whose(np.array([-1, -1]), np.array([[False, False], [True, True]])))
    assert np.allclose(slopes, [[1.0], [slope]], atol=0.2)
    assert np.allclose(offsets, [[0.0], [intercept]], atol=0.4)


def crowd(rng: np.random.Generator, factors: FloatArray, n: int) -> tuple[FloatArray, Whose, FloatArray]:
    """Return what was said of series, and what came of each one so many times as often."""
    series: IntArray = np.tile(np.arange(len(factors)), n)
    said = np.full((len(series), 1), 0.05)
    came = (rng.random(said.shape) < said * factors[series][:, None]).astype(np.float64)
    return said, Whose(series, np.ones(said.shape, dtype=np.bool_)), came


def test_a_series_with_a_record_is_forecast_by_it_and_a_new_one_as_all_are() -> None:
    factors = np.array([0.1] * 20 + [1.0] * 40 + [3.0] * 20)
    said, whose, came = crowd(np.random.default_rng(1), factors, 400)
    online = taught(OnlineSigmoid((1.0,), keep=0.999), said, whose, came, 100)
    p = online.apply(np.full((81, 1), 0.05), Whose(np.arange(81), np.ones((81, 1), dtype=np.bool_)))[:, 0]
    assert p[:20].mean() < 0.02
    assert p[20:60].mean() == pytest.approx(0.05, abs=0.015)
    assert p[60:80].mean() > 0.1
    assert p[80] == pytest.approx(came.mean(), abs=0.02)  # of the 81st nothing is known


def test_where_all_series_are_alike_records_change_little() -> None:
    said, whose, came = crowd(np.random.default_rng(2), np.ones(60), 400)
    online = taught(OnlineSigmoid((1.0,), keep=0.999), said, whose, came, 100)
    p = online.apply(np.full((60, 1), 0.05), Whose(np.arange(60), np.ones((60, 1), dtype=np.bool_)))[:, 0]
    assert p == pytest.approx(np.full(60, 0.05), abs=0.02)


def test_few_outcomes_change_little_and_shared_ones_less() -> None:
    said, came, at_risk = said_and_came(0.5, -1.0, n=200)
    moved = [OnlineSigmoid((overlap, overlap)).learn(said, nobody(said), came, at_risk).means_[0, 0] for overlap in (1.0, 20.0)]
    assert 0.5 < moved[0] < moved[1] < 1.0
    assert moved[1] > 0.95


def test_what_is_unknown_teaches_nothing() -> None:
    said, came, at_risk = said_and_came(0.5, -1.0, n=500)
    whose = Whose(np.arange(500), np.ones(said.shape, dtype=np.bool_))
    online = OnlineSigmoid((1.0, 1.0)).learn(said, whose, came, at_risk & np.array([True, False]))
    assert not np.allclose(online.apply(said, whose)[:, 0], said[:, 0])
    assert np.allclose(online.apply(said, whose)[:, 1], said[:, 1])


def test_a_change_of_the_world_is_followed() -> None:
    online = OnlineSigmoid((1.0, 1.0), keep=0.8)
    for intercept in (-1.0, 1.0):
        said, came, _ = said_and_came(1.0, intercept, n=40_000)
        taught(online, said, nobody(said), came, 40)
    assert online.lines(nobody(said[:1]))[1] == pytest.approx(np.ones((1, 2)), abs=0.35)


def test_what_was_learned_survives_bit_by_bit_and_only_into_its_like() -> None:
    said, came, at_risk = said_and_came(0.7, -0.5, n=2_000)
    whose = Whose(np.arange(2_000) % 9, came > 0)
    one, other = OnlineSigmoid((2.0, 3.0)).learn(said, whose, came, at_risk), OnlineSigmoid((2.0, 3.0))
    other.restore(one.snapshot())
    for online in (one, other):
        online.learn(said[:100], whose.take(np.arange(100)), came[:100], at_risk[:100])
    assert np.array_equal(one.apply(said, whose), other.apply(said, whose))
    with pytest.raises(SnapshotMismatch, match="of version 2 with 10 numbers, expected version 2 with 5"):
        OnlineSigmoid((1.0,)).restore(one.snapshot())
    with pytest.raises(SnapshotMismatch, match="of version 1 with 0 numbers"):
        OnlineSigmoid((1.0,)).restore(b'{"version": 1}')


@given(order=st.permutations(range(5)), gone=st.sets(st.integers(0, 4)))
def test_records_follow_their_series_to_new_numbers(order: list[int], gone: set[int]) -> None:
    said, whose, came = crowd(np.random.default_rng(3), np.array([0.1, 0.5, 1.0, 2.0, 4.0]), 200)
    one, other = taught(OnlineSigmoid((1.0,)), said, whose, came, 10), OnlineSigmoid((1.0,))
    now = np.array([-1 if number in gone else order.index(number) + 10 for number in range(5)])
    other.restore(one.snapshot(np.arange(5)), now)
    kept = now >= 0
    quiet = np.ones((5, 1), dtype=np.bool_)
    before, after = (online.apply(said[:5], Whose(who, quiet)) for online, who in ((one, np.arange(5)), (other, now)))
    assert np.array_equal(before[kept], after[kept])
    assert np.array_equal(after[~kept], other.apply(said[:5], Whose.nobody(5, 1))[~kept])


def test_order_among_rows_is_never_turned_round() -> None:
    online = OnlineSigmoid((1.0,))
    online.means_[0, :2] = [-0.5, 0.0]
    two = np.array([[0.1], [0.9]])
    assert np.allclose(online.apply(two, nobody(two)), 0.5)
