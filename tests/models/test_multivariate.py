"""Scores are river's, combinations are seen that single numbers do not show, and what was learned survives without a pickle."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from features.arrays import FloatArray
from features.errors import InvalidValue
from models.multivariate import MOST_ROWS, Multivariate


def along(rng: np.random.Generator, n: int) -> FloatArray:
    """Return points near the diagonal: each number takes any value, not any two of them."""
    both = rng.uniform(0.1, 0.9, (n, 1))
    return np.clip(both + rng.normal(0.0, 0.02, (n, 2)), 0.0, 1.0)


def taught(rows: int, seed: int = 0) -> tuple[Multivariate, np.random.Generator]:
    forest, rng = Multivariate(2), np.random.default_rng(seed)
    for _ in range(-(-rows // 50)):
        forest.learn(along(rng, 50))
    return forest, rng


def test_scores_are_those_of_river() -> None:
    forest, rng = taught(1_500)
    points = rng.uniform(size=(40, 2))
    river = cast("Any", forest)._forest
    own = forest.score(points)
    theirs = [-np.log2(1.0 - river.score_one({0: a, 1: b})) for a, b in points.tolist()]
    assert own == pytest.approx(np.array(theirs), rel=1e-9)


def test_a_combination_is_seen_that_no_single_number_shows() -> None:
    forest, rng = taught(2_000)
    usual, strange = forest.score(along(rng, 200)), forest.score(np.array([[0.25, 0.75], [0.8, 0.2]]))
    assert (strange > np.quantile(usual, 0.99)).all()


def test_nothing_is_said_before_a_window_is_full_and_of_a_tick_only_so_much_is_learned() -> None:
    forest, rng = taught(950)
    assert np.isnan(forest.score(along(rng, 3))).all()
    forest.learn(along(rng, 5_000))
    assert not np.isnan(forest.score(along(rng, 3))).any()
    assert cast("Any", forest)._forest.counter == 950 + MOST_ROWS - 1_000


def test_a_restored_forest_goes_on_as_if_nothing_had_been() -> None:
    forest, rng = taught(1_700)
    other = Multivariate(2)
    assert other.restore(forest.snapshot())
    assert other.snapshot() == forest.snapshot()
    for _ in range(10):
        rows = along(rng, 50)
        assert (other.score(rows) == forest.score(rows)).all()
        forest.learn(rows)
        other.learn(rows)
    assert other.snapshot() == forest.snapshot()
    assert len(forest.snapshot()) < 2**15


def test_masses_of_other_trees_are_not_taken() -> None:
    forest, rng = taught(1_100)
    other = Multivariate(3)
    assert not other.restore(forest.snapshot())
    assert np.isnan(other.score(rng.uniform(size=(1, 3)))).all()


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"\(n, 2\), got \(1, 3\)"):
        Multivariate(2).score(np.zeros((1, 3)))
    with pytest.raises(InvalidValue, match="at least 1, got 0"):
        Multivariate(0)
