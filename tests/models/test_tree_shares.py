"""Shares of groups in trees are the Shapley values that enumeration gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from models.tree_shares import Tree, Trees, shapley, tree_games, tree_shares
from tests.shapley import enumerated

COLUMNS = 6


def grown(rng: np.random.Generator, depth: int, n_outputs: int) -> Tree:
    """Grow a random tree of unequal branches."""
    nodes: list[tuple[int, float, int, int, bool]] = []

    def grow(left_to_go: int) -> int:
        place = len(nodes)
        nodes.append((0, 0.0, 0, 0, True))
        if left_to_go and rng.random() < 0.85:
            feature, threshold = int(rng.integers(COLUMNS)), float(rng.integers(3))
            nodes[place] = (feature, threshold, grow(left_to_go - 1), grow(left_to_go - 1), False)
        return place

    grow(depth)
    feature, threshold, left, right, leaf = (np.array(part) for part in zip(*nodes, strict=True))
    return Tree(feature, threshold, left, right, leaf, rng.normal(size=(len(nodes), n_outputs)))


def answered(trees: list[Tree], x: np.ndarray) -> np.ndarray:
    """Ask every tree about every row, one after the other."""
    total = np.zeros((len(x), trees[0].value.shape[1]))
    for tree in trees:
        for i, row in enumerate(x):
            node = 0
            while not tree.leaf[node]:
                node = int(tree.left[node] if row[tree.feature[node]] <= tree.threshold[node] else tree.right[node])
            total[i] += tree.value[node]
    return total


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 5), st.integers(1, 3))
def test_shares_are_the_shapley_values_of_the_sum(seed: int, n_trees: int, depth: int, n_outputs: int) -> None:
    rng = np.random.default_rng(seed)
    trees = [grown(rng, depth, n_outputs) for _ in range(n_trees)]
    x, background = rng.integers(0, 4, (3, COLUMNS)).astype(np.float32), rng.integers(0, 4, COLUMNS).astype(np.float32)
    groups = np.array([0, 1, 0, 2, 3, 1])
    shares = tree_shares(Trees.of(trees), x, background, groups)
    assert np.allclose(shares, enumerated(lambda rows: answered(trees, rows), x, background, groups), atol=1e-12)
    assert np.allclose(shares.sum(axis=2), answered(trees, x) - answered(trees, background[None]), atol=1e-12)
    games = np.concatenate(list(tree_games(Trees.of(trees), x, background, groups)), axis=-1)
    assert np.allclose(games[:, -1].T, answered(trees, x), atol=1e-12)
    assert np.allclose(shapley(games).transpose(2, 0, 1), shares, atol=1e-12)


def test_a_game_says_what_every_coalition_gets() -> None:
    rng = np.random.default_rng(5)
    tree, groups = grown(rng, 5, 2), np.array([0, 1, 2, 2, 1, 0])
    x, background = rng.integers(0, 4, (4, COLUMNS)).astype(np.float32), np.ones(COLUMNS, np.float32)
    (game,) = tree_games(Trees.of([tree]), x, background, groups)
    for coalition in range(8):
        mixed = np.where(coalition >> groups & 1, x, background)
        assert np.allclose(game[:, coalition].T, answered([tree], mixed))


def test_rows_that_do_not_fit_a_table_come_in_order() -> None:
    rng = np.random.default_rng(1)
    tree, groups = grown(rng, 4, 1), np.append(np.arange(5), 19)  # 20 groups: one row a table
    x = rng.integers(0, 4, (2, COLUMNS)).astype(np.float32)
    games = list(tree_games(Trees.of([tree]), x, np.ones(COLUMNS, np.float32), groups))
    assert [float(game[0, -1, 0]) for game in games] == pytest.approx(answered([tree], x)[:, 0].tolist())


def test_no_rows_have_no_shares() -> None:
    trees = Trees.of([grown(np.random.default_rng(0), 3, 2)])
    none, background = np.zeros((0, COLUMNS), np.float32), np.zeros(COLUMNS, np.float32)
    assert tree_shares(trees, none, background, np.arange(COLUMNS)).shape == (0, 2, COLUMNS)
    assert not list(tree_games(trees, none, background, np.arange(COLUMNS)))


def test_shapes_and_numbers_of_groups_that_do_not_fit_are_refused() -> None:
    trees = Trees.of([grown(np.random.default_rng(0), 3, 1)])
    x = np.zeros((1, COLUMNS), np.float32)
    with pytest.raises(InvalidValue, match="background"):
        tree_shares(trees, x, np.zeros(COLUMNS - 1, np.float32), np.arange(COLUMNS))
    with pytest.raises(InvalidValue, match="at most 62 groups, got 63"):
        tree_shares(trees, x, x[0], np.append(np.arange(5), 62))
    with pytest.raises(InvalidValue, match="at most 20 groups, got 21"):
        list(tree_games(trees, x, x[0], np.append(np.arange(5), 20)))
