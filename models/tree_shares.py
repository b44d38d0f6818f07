"""Exact Shapley values of feature groups for sums of regression trees, against one background row.

`models.trees` puts its fitted trees into `Trees`; `models.explain` adds up what comes out with the other forecasters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import factorial
from typing import NamedTuple, Self

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue

__all__ = ["Tree", "Trees", "shapley", "tree_games", "tree_shares"]

_MOST_GROUPS = 62
"""Groups that the bits of a signed 64-bit number can tell apart."""

_MOST_LISTED = 20
"""Groups whose coalitions are listed one by one: a million."""

_TABLE = 2**20
"""Numbers of a table that are worked on at once: 8 MiB. Measured: half or twice as many are no faster."""


class Tree(NamedTuple):
    """One tree as arrays over its nodes, the root first.

    Attributes
    ----------
    feature : IntArray
        Shape (n_nodes,), the column that a node looks at; anything at a leaf.
    threshold : FloatArray
        Shape (n_nodes,); a value up to it goes left.
    left, right : IntArray
        Shape (n_nodes,), the nodes below; anything at a leaf.
    leaf : BoolArray
        Shape (n_nodes,).
    value : FloatArray
        Shape (n_nodes, n_outputs); only those of leaves count.
    """

    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    leaf: BoolArray
    value: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees whose leaves add up, their nodes in one array.

    Parameters
    ----------
    nodes : Tree
        All nodes; children are numbered through.
    roots : IntArray
        Shape (n_trees,).
    """

    nodes: Tree
    roots: IntArray

    @classmethod
    def of(cls, trees: Iterable[Tree]) -> Self:
        """Put trees, at least one, behind each other."""
        parts = list(trees)
        sizes = np.array([len(tree.leaf) for tree in parts], np.int64)
        roots = np.cumsum(sizes) - sizes
        nodes = Tree(
            np.concatenate([tree.feature for tree in parts]),
            np.concatenate([tree.threshold for tree in parts]),
            np.concatenate([tree.left + root for tree, root in zip(parts, roots, strict=True)]),
            np.concatenate([tree.right + root for tree, root in zip(parts, roots, strict=True)]),
            np.concatenate([tree.leaf for tree in parts]),
            np.concatenate([tree.value for tree in parts]),
        )
        return cls(nodes, roots)


def tree_shares(trees: Trees, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
    """Divide the distance of every row's output from the background's among groups of columns.

    A coalition of groups has the row's values, all others the background's; the shares are the Shapley values of that game. A
    row and the background walk down a tree together. Where they part, the path splits: one goes on for the coalitions that hold
    the node's group, the other for those that do not. A leaf is then reached by the coalitions that hold certain groups and lack
    certain others, which is a game whose Shapley values are known in closed form.

    Parameters
    ----------
    trees : Trees
        Their outputs are added.
    x : Float32Array
        Shape (n, n_features), finite.
    background : Float32Array
        Shape (n_features,), finite.
    groups : IntArray
        Shape (n_features,), the group of every column, from 0.

    Returns
    -------
    FloatArray
        Shape (n, n_outputs, n_groups). Summed over groups they are the trees' output of a row less that of the background.

    Raises
    ------
    InvalidValue
        When the shapes do not fit, or there are more than 62 groups.

    References
    ----------
    Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees, Nature Machine
    Intelligence 2 (interventional TreeSHAP).
    Laberge, Pequignot (2022), Understanding interventional TreeSHAP: how and why it works, arXiv 2209.15123.

    Examples
    --------
    A tree that asks whether both columns are above 0:

    >>> below, end = np.zeros(5, np.int64), np.array([False, True, False, True, True])
    >>> tree = Tree(np.array([0, 0, 1, 0, 0]), np.zeros(5), below + [1, 0, 3, 0, 0], below + [2, 0, 4, 0, 0], end,
    ...             np.array([[0.0], [0.0], [0.0], [0.0], [8.0]]))
    >>> tree_shares(Trees.of([tree]), np.ones((1, 2), np.float32), np.zeros(2, np.float32), np.array([0, 1])).tolist()
    [[[4.0, 4.0]]]
    """
    n_groups = _checked(x, background, groups, _MOST_GROUPS)
    ends = _walk(trees, x, background, groups)
    present, absent = _weights(n_groups)
    n_with, n_without = np.bitwise_count(ends.holds), np.bitwise_count(ends.lacks)
    gain, loss = present[n_with, n_without], absent[n_with, n_without]
    values = np.ascontiguousarray(trees.nodes.value[ends.node].T)
    shares = np.empty((len(x), len(values), n_groups))
    for group in range(n_groups):
        factor = gain * (ends.holds >> group & 1) - loss * (ends.lacks >> group & 1)
        for output, value in enumerate(values):
            shares[:, output, group] = np.bincount(ends.row, factor * value, len(x))
    return shares


def tree_games(trees: Trees, x: Float32Array, background: Float32Array, groups: IntArray) -> Iterator[FloatArray]:
    """List the trees' outputs of every coalition, for what is made of them and is no sum of trees any more.

    Parameters
    ----------
    trees, x, background, groups
        As `tree_shares` takes them.

    Yields
    ------
    FloatArray
        Shape (n_outputs, 2 ** n_groups, some rows), rows in order. Bit g of a coalition's place says whether it holds group g.

    Raises
    ------
    InvalidValue
        When the shapes do not fit, or there are more than 20 groups.
    """
    n_groups = _checked(x, background, groups, _MOST_LISTED)
    n_outputs = trees.nodes.value.shape[1]
    step = max(1, _TABLE // (n_outputs << n_groups))
    for first in range(0, len(x), step):
        rows = x[first : first + step]
        yield _table(_walk(trees, rows, background, groups), trees.nodes.value, len(rows), n_groups)


def shapley(values: FloatArray) -> FloatArray:
    """Return the Shapley values of games whose coalitions are listed.

    Parameters
    ----------
    values : FloatArray
        Shape (..., 2 ** n_groups, n), as `tree_games` lists them; n games.

    Returns
    -------
    FloatArray
        Shape (..., n_groups, n).

    References
    ----------
    Shapley (1953), A value for n-person games, Contributions to the Theory of Games 2.

    Examples
    --------
    >>> shapley(np.array([[0.0], [1.0], [2.0], [9.0]])).tolist()
    [[4.0], [5.0]]
    """
    n_groups = values.shape[-2].bit_length() - 1
    held = np.arange(values.shape[-2]) >> np.arange(n_groups)[:, None] & 1
    present, absent = _weights(n_groups)
    n_held = held.sum(axis=0)
    gain, loss = present[n_held, n_groups - n_held], absent[n_held, n_groups - n_held]
    return np.where(held, gain, -loss) @ values


def _checked(x: Float32Array, background: Float32Array, groups: IntArray, most: int) -> int:
    """Return the number of groups."""
    n_groups = int(groups.max(initial=-1)) + 1
    if x.ndim != 2 or background.shape != x.shape[1:] or groups.shape != background.shape:  # noqa: PLR2004 - rows, columns
        raise InvalidValue(
            f"x must be (n, {len(groups)}) and background ({len(groups)},), got {x.shape} and {background.shape}"
        )
    if n_groups > most:
        raise InvalidValue(f"there may be at most {most} groups, got {n_groups}")
    return n_groups


class _Ends(NamedTuple):
    """Leaves that rows reach, each with the groups that a coalition must hold and must lack to get there, as bits."""

    row: IntArray
    node: IntArray
    holds: IntArray
    lacks: IntArray


def _walk(trees: Trees, x: Float32Array, background: Float32Array, groups: IntArray) -> _Ends:
    """Go down all trees with all rows at once, a level at a time."""
    nodes = trees.nodes
    asked = np.where(nodes.leaf, 0, nodes.feature)
    of_group = np.int64(1) << groups[asked]
    down = np.where(background[asked] <= nodes.threshold, nodes.left, nodes.right)
    row = np.repeat(np.arange(len(x)), len(trees.roots))
    none = np.zeros(len(row), np.int64)
    at = _Ends(row, np.tile(trees.roots, len(x)), none, none)
    done = [_Ends(*(part[:0] for part in at))]  # where there are no rows
    while len(at.row):
        ended = nodes.leaf[at.node]
        done.append(_Ends(*(part[ended] for part in at)))
        row, node, holds, lacks = (part[~ended] for part in at)
        left = x[row, asked[node]] <= nodes.threshold[node]
        with_row, with_background, bit = np.where(left, nodes.left[node], nodes.right[node]), down[node], of_group[node]
        apart = with_row != with_background
        # Groups that were decided above stay so; where both go the same way nothing is decided.
        first = ~apart | (lacks & bit == 0)
        second = apart & (holds & bit == 0)
        at = _Ends(
            np.concatenate([row[first], row[second]]),
            np.concatenate([with_row[first], with_background[second]]),
            np.concatenate([(holds | np.where(apart, bit, 0))[first], holds[second]]),
            np.concatenate([lacks[first], (lacks | bit)[second]]),
        )
    return _Ends(*(np.concatenate(parts) for parts in zip(*done, strict=True)))


def _table(ends: _Ends, leaves: FloatArray, n: int, n_groups: int) -> FloatArray:
    """Return the sum of the leaves that every coalition reaches, (n_outputs, 2 ** n_groups, n)."""
    at, sign = ends, np.ones(len(ends.row))
    for group in range(n_groups):
        # What a coalition must lack: reached by all, less by those that hold it.
        lacks = (at.lacks >> group & 1).astype(np.bool_)
        other = _Ends(at.row[lacks], at.node[lacks], at.holds[lacks] | 1 << group, at.lacks[lacks])
        at = _Ends(*(np.concatenate(parts) for parts in zip(at, other, strict=True)))
        sign = np.concatenate([sign, -sign[lacks]])
    place = at.holds * n + at.row
    table: FloatArray = np.zeros((leaves.shape[1], n << n_groups))
    for output, value in zip(table, leaves[at.node].T, strict=True):
        np.add.at(output, place, sign * value)
    for group in range(n_groups):
        # A coalition has the sum of what asks for just its groups; what asks for fewer reaches it too.
        halves = table.reshape(len(table), -1, 2, n << group)
        halves[:, :, 1] += halves[:, :, 0]
    return table.reshape(len(table), -1, n)


def _weights(n_groups: int) -> tuple[FloatArray, FloatArray]:
    """Return what a leaf's value counts for each group that must be there, and that must not, by how many there are of both."""
    present, absent = np.zeros((2, n_groups + 1, n_groups + 1))
    for a in range(n_groups + 1):
        for b in range(n_groups + 1 - a):
            if a:
                present[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                absent[a, b] = factorial(a) * factorial(b - 1) / factorial(a + b)
    return present, absent
