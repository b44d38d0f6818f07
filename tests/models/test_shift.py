"""Columns that move are named, those that do not are not, however their values are distributed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.arrays import Float32Array
from features.errors import InvalidValue, SnapshotMismatch
from models.shift import LARGE, Reference, ShiftWatch, stability


def rows(n: int, seed: int) -> Float32Array:
    """Return a normal column, one that is mostly 0, and one that is constant."""
    rng = np.random.default_rng(seed)
    rare = np.where(rng.random(n) < 0.05, rng.exponential(size=n), 0.0)
    return np.stack([rng.normal(size=n), rare, np.full(n, 3.0)], axis=1).astype(np.float32)


def watch() -> ShiftWatch:
    return ShiftWatch(Reference.of(rows(20_000, 0), np.array([0, 1, 2])), keep=0.95, enough=10.0)


def test_rows_of_the_same_world_are_no_shift() -> None:
    watched = watch()
    for seed in range(1, 60):
        watched.learn(rows(200, seed))
        assert (watched.index() < LARGE / 5).all()


@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_column_that_moved_is_named_alone(column: int) -> None:
    watched = watch()
    for seed in range(1, 60):
        x = rows(200, seed)
        x[:, column] += 1.5
        watched.learn(x)
    assert np.flatnonzero(watched.index() > LARGE).tolist() == [column]


def test_a_world_that_comes_back_is_no_shift_any_more() -> None:
    watched = watch()
    for seed in range(1, 60):
        watched.learn(rows(200, seed) + np.float32(2.0))
    assert (watched.index() > LARGE).any()
    for seed in range(60, 160):
        watched.learn(rows(200, seed))
    assert not (watched.index() > LARGE).any()


def test_little_says_nothing() -> None:
    watched = watch()
    watched.learn(rows(0, 1))
    for seed in range(9):
        watched.learn(rows(200, seed) + np.float32(9.0))
    assert not watched.index().any()


@given(arrays(np.float64, (3, 10), elements=st.floats(0.0, 1.0)), arrays(np.float64, (3, 10), elements=st.floats(0.0, 1.0)))
def test_the_index_is_symmetric_and_never_below_zero(
    a: np.ndarray[tuple[int, int], np.dtype[np.float64]], b: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> None:
    assert (stability(a, b) >= 0.0).all()
    assert np.allclose(stability(a, b), stability(b, a))


def test_what_was_counted_survives_and_only_beside_the_same_columns() -> None:
    one, other = watch(), watch()
    for seed in range(30):
        one.learn(rows(50, seed))
    other.restore(one.snapshot())
    for watched in (one, other):
        watched.learn(rows(50, 99))
    assert other.snapshot() == one.snapshot()
    assert np.array_equal(one.index(), other.index())
    with pytest.raises(SnapshotMismatch, match="version 1 with 30 counts, expected version 1 with 20"):
        ShiftWatch(Reference.of(rows(10, 0), np.array([0, 1])), 0.9, 1.0).restore(one.snapshot())
    with pytest.raises(InvalidValue, match="at least 1 row, got 0"):
        Reference.of(rows(0, 0), np.array([0]))
    with pytest.raises(InvalidValue, match=r"keep must be in \(0, 1\), got 1"):
        ShiftWatch(one.reference, 1.0, 1.0)
