"""A forecaster that drifts off is brought back, one that is right is left alone, and outcomes are learned after they were forecast."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import SnapshotMismatch
from models.hazard import from_logits, to_logits
from models.recalibration import OnlineSigmoid, Subjects


def said_and_came(slope: float, intercept: float, n: int = 20_000) -> tuple[FloatArray, FloatArray, BoolArray]:
    rng = np.random.default_rng(3)
    said = from_logits(rng.normal(-3.0, 1.0, (n, 2)))
    true = from_logits(to_logits(said) * slope + intercept)
    return said, (rng.random(said.shape) < true).astype(np.float64), np.ones(said.shape, dtype=np.bool_)


def nobody(said: FloatArray) -> Subjects:
    """Return rows of no series, of which none is quiet."""
    return about(np.full(len(said), -1), np.zeros(said.shape, dtype=np.bool_))


def about(series: IntArray, quiet: BoolArray, online: OnlineSigmoid | None = None) -> Subjects:
    """Return subjects with the record that they have now."""
    return Subjects(series, quiet, np.zeros(quiet.shape) if online is None else online.record(series))


def taught(online: OnlineSigmoid, said: FloatArray, subjects: Subjects, came: FloatArray, batches: int) -> OnlineSigmoid:
    for batch in np.array_split(np.arange(len(said)), batches):
        then = about(subjects.series[batch], subjects.quiet[batch], online)
        online.learn(said[batch], then, came[batch], np.ones(said[batch].shape, dtype=np.bool_))
    return online


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.7, -0.5), (1.3, 0.8)])
def test_many_outcomes_find_the_map_that_made_them(slope: float, intercept: float) -> None:
    said, came, _ = said_and_came(slope, intercept)
    online = taught(OnlineSigmoid((1.0, 1.0)), said, nobody(said), came, 20)
    slopes, offsets = online.lines(about(np.array([-1]), np.zeros((1, 2), dtype=np.bool_)))
    assert np.allclose([slopes, offsets], [[[slope]], [[intercept]]], atol=0.2)


@pytest.mark.parametrize(("slope", "intercept"), [(0.6, -1.5), (1.2, 0.5)])
def test_quiet_series_have_a_map_of_their_own(slope: float, intercept: float) -> None:
    said, came, _ = said_and_came(1.0, 0.0, n=40_000)
    _, came_to_quiet, _ = said_and_came(slope, intercept, n=40_000)
    quiet = np.random.default_rng(5).random(len(said)) < 0.5
    subjects = about(np.full(len(said), -1), np.tile(quiet[:, None], (1, 2)))
    online = taught(OnlineSigmoid((1.0, 1.0)), said, subjects, np.where(quiet[:, None], came_to_quiet, came), 20)
    slopes, offsets = online.lines(about(np.array([-1, -1]), np.array([[False, False], [True, True]])))
    assert np.allclose(slopes, [[1.0], [slope]], atol=0.2)
    assert np.allclose(offsets, [[0.0], [intercept]], atol=0.4)


def crowd(rng: np.random.Generator, factors: FloatArray, n: int) -> tuple[FloatArray, Subjects, FloatArray]:
    """Return what was said of series, and what came of each one so many times as often."""
    series: IntArray = np.tile(np.arange(len(factors)), n)
    said = np.full((len(series), 1), 0.05)
    came = (rng.random(said.shape) < said * factors[series][:, None]).astype(np.float64)
    return said, about(series, np.ones(said.shape, dtype=np.bool_)), came


def test_a_series_with_a_record_is_forecast_by_it_and_a_new_one_as_all_are() -> None:
    factors = np.array([0.1] * 20 + [1.0] * 40 + [3.0] * 20)
    said, subjects, came = crowd(np.random.default_rng(1), factors, 400)
    online = taught(OnlineSigmoid((1.0,), keep=0.999), said, subjects, came, 100)
    p = online.apply(np.full((81, 1), 0.05), about(np.arange(81), np.ones((81, 1), dtype=np.bool_), online))[:, 0]
    assert p[:20].mean() < 0.02
    assert p[20:60].mean() == pytest.approx(0.05, abs=0.015)
    assert p[60:80].mean() > 0.1
    assert p[80] == pytest.approx(came.mean(), abs=0.02)  # of the 81st nothing is known


def overlapping(rng: np.random.Generator, hours: int, n_series: int, a_tick: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield, tick after tick of five minutes, what was said of the hour after it and what came: of a Poisson process, and right."""
    starts: FloatArray = (rng.random((hours * 12 + 12, n_series)) < 0.05 / 12).astype(np.float64)
    said = np.full((n_series, 1), 1.0 - (1.0 - 0.05 / 12) ** 12)
    for tick in range(0, hours * 12, a_tick):
        yield said, starts[tick : tick + 12].max(axis=0)[:, None]


@pytest.mark.parametrize("a_tick", [1, 12])
@pytest.mark.parametrize("seed", range(3))
def test_of_series_that_are_alike_records_come_to_count_for_nothing_although_forecasts_overlap(a_tick: int, seed: int) -> None:
    online, waiting = OnlineSigmoid((12.0 / a_tick,), keep=0.98 ** (a_tick / 12)), []
    quiet, series, everyone = np.ones((60, 1), dtype=np.bool_), np.arange(60), np.ones((60, 1), dtype=np.bool_)
    for said, came in overlapping(np.random.default_rng(seed), 200, 60, a_tick):
        waiting.append((said, about(series, quiet, online), came))
        if len(waiting) > 12 // a_tick:  # its hour is over
            said_then, then, came_then = waiting.pop(0)
            online.learn(said_then, then, came_then, everyone)
    assert abs(online.means_[0, 4]) < 0.35


def test_where_all_series_are_alike_records_change_little() -> None:
    said, subjects, came = crowd(np.random.default_rng(2), np.ones(60), 400)
    online = taught(OnlineSigmoid((1.0,), keep=0.999), said, subjects, came, 100)
    p = online.apply(np.full((60, 1), 0.05), about(np.arange(60), np.ones((60, 1), dtype=np.bool_), online))[:, 0]
    assert p == pytest.approx(np.full(60, 0.05), abs=0.02)


def test_few_outcomes_change_little_and_shared_ones_less() -> None:
    said, came, at_risk = said_and_came(0.5, -1.0, n=200)
    moved = [OnlineSigmoid((overlap, overlap)).learn(said, nobody(said), came, at_risk).means_[0, 0] for overlap in (1.0, 20.0)]
    assert 0.5 < moved[0] < moved[1] < 1.0
    assert moved[1] > 0.95


def test_what_is_unknown_teaches_nothing() -> None:
    said, came, at_risk = said_and_came(0.5, -1.0, n=500)
    subjects = about(np.arange(500), np.ones(said.shape, dtype=np.bool_))
    online = OnlineSigmoid((1.0, 1.0)).learn(said, subjects, came, at_risk & np.array([True, False]))
    assert not np.allclose(online.apply(said, subjects)[:, 0], said[:, 0])
    assert np.allclose(online.apply(said, subjects)[:, 1], said[:, 1])


def test_a_change_of_the_world_is_followed() -> None:
    online = OnlineSigmoid((1.0, 1.0), keep=0.8)
    for intercept in (-1.0, 1.0):
        said, came, _ = said_and_came(1.0, intercept, n=40_000)
        taught(online, said, nobody(said), came, 40)
    assert online.lines(nobody(said[:1]))[1] == pytest.approx(np.ones((1, 2)), abs=0.35)


def test_what_was_learned_survives_bit_by_bit_and_only_into_its_like() -> None:
    said, came, at_risk = said_and_came(0.7, -0.5, n=2_000)
    everybody, series = np.arange(9), np.arange(2_000) % 9
    one, other = OnlineSigmoid((2.0, 3.0)), OnlineSigmoid((2.0, 3.0))
    one.learn(said, about(series, came > 0, one), came, at_risk)
    other.restore(one.snapshot(everybody), everybody)
    some = np.arange(100)
    for online in (one, other):
        online.learn(said[some], about(series[some], came[some] > 0, online), came[some], at_risk[some])
    assert other.snapshot(everybody) == one.snapshot(everybody)
    assert np.array_equal(one.record(everybody), other.record(everybody))
    with pytest.raises(SnapshotMismatch, match="of version 2 with 10 numbers, expected version 2 with 5"):
        OnlineSigmoid((1.0,)).restore(one.snapshot(everybody), everybody)
    with pytest.raises(SnapshotMismatch, match="of version 1 with 0 numbers"):
        OnlineSigmoid((1.0,)).restore(b'{"version": 1}', everybody)


@given(order=st.permutations(range(5)), gone=st.sets(st.integers(0, 4)))
def test_records_follow_their_series_to_new_numbers(order: list[int], gone: set[int]) -> None:
    said, subjects, came = crowd(np.random.default_rng(3), np.array([0.1, 0.5, 1.0, 2.0, 4.0]), 200)
    one, other = taught(OnlineSigmoid((1.0,)), said, subjects, came, 10), OnlineSigmoid((1.0,))
    now = np.array([-1 if number in gone else 10 * order.index(number) + 7 for number in range(5)])
    other.restore(one.snapshot(np.arange(5)), now)
    kept = now >= 0
    assert np.array_equal(one.record(np.arange(5))[kept], other.record(now)[kept])
    assert not other.record(np.array([-1, 3, 1000])).any()


def test_order_among_rows_is_never_turned_round() -> None:
    online = OnlineSigmoid((1.0,))
    online.means_[0, :2] = [-0.5, 0.0]
    two = np.array([[0.1], [0.9]])
    flat = online.apply(two, nobody(two))[:, 0]
    assert flat[0] == flat[1]


@pytest.mark.parametrize("slope", [-0.15, -0.05, 0.0])
def test_forecasts_that_tell_nothing_keep_the_level_of_what_comes(slope: float) -> None:
    rng = np.random.default_rng(6)
    said = from_logits(rng.normal(-5.0, 1.0, (60_000, 1)))
    came = (rng.random(said.shape) < from_logits(-4.0 + slope * (to_logits(said) + 5.0))).astype(np.float64)
    subjects = about(np.full(len(said), -1), np.ones(said.shape, dtype=np.bool_))
    online = taught(OnlineSigmoid((1.0,)), said, subjects, came, 40)
    assert came.sum() / online.apply(said, subjects).sum() == pytest.approx(1.0, abs=0.15)


def test_records_of_another_one_are_taken_where_there_are_none() -> None:
    rng = np.random.default_rng(4)
    one, other, both = (OnlineSigmoid((1.0, 1.0, 1.0)) for _ in range(3))
    for sigmoid, series in ((one, [3, 7]), (other, [7, 1])):
        rows = np.array(series * 20)
        hazards, y = np.full((len(rows), 3), 0.2), (rng.random((len(rows), 3)) < 0.4).astype(float)
        subjects = Subjects(rows, np.ones((len(rows), 3), bool), sigmoid.record(rows))
        sigmoid.learn(hazards, subjects, y, np.ones((len(rows), 3), bool))
    both.restore(one.snapshot(np.array([3, 7])), np.array([3, 7]))
    both.join(other)
    assert np.array_equal(both.record(np.array([3, 7])), one.record(np.array([3, 7])))
    assert np.array_equal(both.record(np.array([1])), other.record(np.array([1])))
    assert not np.array_equal(both.record(np.array([1])), one.record(np.array([1])))
    assert np.array_equal(both.means_, one.means_)
