"""What single signals do not show: combinations of a service's signals, each hardly unusual, that no service of the tenant showed lately.

`app.anomalies` gives it a vector of every busy service once a tick, self-normalised, so that one forest is enough for all; what comes
back is one more signal. The forest is river's; scores are read from its masses with NumPy, since walking its nodes row by row would cost
more than the rest of a tick.
"""

from __future__ import annotations

import io
from hashlib import sha256
from typing import Any, cast

import numpy as np
from river.anomaly import HalfSpaceTrees

from features.arrays import FloatArray, IntArray
from features.errors import InvalidValue

__all__ = ["MOST_ROWS", "Multivariate"]

MOST_ROWS = 64
"""Rows learned in a tick at most: at 20 microseconds each they cost about a millisecond, and at ten thousand services a window of the
forest is full after a quarter of an hour all the same. What is usual for all services is told by a sample as well."""

_TREES, _HEIGHT, _WINDOW = 25, 7, 1_000
"""Of river's defaults of 10, 8 and 250: more trees and a longer window, since a score must be told from others of a thousand."""

_SEED = 0
_LEAST_MASS = 1e-9


class Multivariate:
    """Half-space trees over vectors in [0, 1].

    Parameters
    ----------
    width : int
        Numbers in a vector.

    Notes
    -----
    Trees halve the space at random before they see anything; a point is unusual where few of the last window's points lie. Scores are
    minus the logarithm to base 2 of the share of mass around a point, so that what is rare is far.

    References
    ----------
    Tan, Ting and Liu (2011), Fast anomaly detection for streaming data, IJCAI.

    Examples
    --------
    >>> forest, rng = Multivariate(2), np.random.default_rng(0)
    >>> forest.score(np.full((1, 2), 0.5)).tolist()
    [nan]
    >>> for _ in range(20):
    ...     forest.learn(rng.normal(0.5, 0.05, (50, 2)))
    >>> usual, strange = forest.score(np.array([[0.5, 0.5], [0.9, 0.1]]))
    >>> bool(strange > usual + 2.0)
    True
    """

    def __init__(self, width: int) -> None:
        if width < 1:
            raise InvalidValue(f"width must be at least 1, got {width}")
        self.width = width
        self._forest = HalfSpaceTrees(n_trees=_TREES, height=_HEIGHT, window_size=_WINDOW, seed=_SEED)
        self._forest.learn_one(dict.fromkeys(range(width), 0.5))  # river makes its trees at the first point
        self._nodes = [_by_breadth(tree) for tree in self._forest.trees]
        inner = 2**_HEIGHT - 1
        self._feature: IntArray = np.array([[node.feature for node in tree[:inner]] for tree in self._nodes])
        self._threshold: FloatArray = np.array([[node.threshold for node in tree[:inner]] for tree in self._nodes])
        self._put(np.zeros((2, _TREES, 2**_HEIGHT), np.int64), 0, first=True)

    def score(self, x: FloatArray) -> FloatArray:
        """Return how unusual vectors are, shape (n,); NaN before a first window is full. Nothing changes.

        Parameters
        ----------
        x : FloatArray, shape (n, width)
            In [0, 1].
        """
        self._check(x)
        if self._first:
            return np.full(len(x), np.nan)
        trees, rows = np.arange(_TREES)[:, None], np.arange(len(x))
        at, mass = np.zeros((_TREES, len(x)), np.int64), np.zeros((_TREES, len(x)))
        going = np.ones((_TREES, len(x)), np.bool_)
        for depth in range(_HEIGHT + 1):
            here = self._mass[trees, at]
            mass += np.where(going, here * 2.0**depth, 0.0)
            going &= here >= self._forest.size_limit
            if depth < _HEIGHT and going.any():
                inner = np.where(going, at, 0)
                right = x[rows, self._feature[trees, inner]] >= self._threshold[trees, inner]
                at = np.where(going, 2 * at + 1 + right, at)
        most = _TREES * _WINDOW * (2.0 ** (_HEIGHT + 1) - 1.0)
        return -np.log2(np.maximum(mass.sum(0) / most, _LEAST_MASS))

    def learn(self, x: FloatArray) -> None:
        """Take in vectors, shape (n, width), at most `MOST_ROWS` of them."""
        self._check(x)
        for row in x[:MOST_ROWS].tolist():
            self._forest.learn_one(dict(enumerate(row)))
            if self._forest.counter == 0:  # a window is full, so that river compares with it from now on
                self._first = False
                self._mass = self._masses("r_mass")

    def snapshot(self) -> bytes:
        """Return what was learned as arrays of numbers: of every tree the masses of its leaves, of which all others are sums."""
        leaves = np.stack([self._masses(name)[:, 2**_HEIGHT - 1 :] for name in ("l_mass", "r_mass")])
        buffer = io.BytesIO()
        state: dict[str, Any] = {
            "leaves": leaves.astype(np.uint16),
            "counter": np.array([self._forest.counter, int(self._first)]),
            "trees": np.frombuffer(self._fingerprint(), np.uint8),
        }
        np.savez_compressed(buffer, **state)
        return buffer.getvalue()

    def restore(self, data: bytes) -> bool:
        """Put a snapshot back; return whether its trees were the same. Those of another river may not be: then the forest begins anew."""
        with np.load(io.BytesIO(data), allow_pickle=False) as state:
            if state["trees"].tobytes() != self._fingerprint():
                return False
            counter, first = state["counter"].tolist()
            self._put(state["leaves"].astype(np.int64), counter, first=bool(first))
        return True

    def _check(self, x: FloatArray) -> None:
        if x.ndim != 2 or x.shape[1] != self.width:  # noqa: PLR2004 - rows and columns
            raise InvalidValue(f"x must be (n, {self.width}), got {x.shape}")

    def _fingerprint(self) -> bytes:
        """Return a hash of where the trees halve the space."""
        return sha256(self._feature.astype("<i8").tobytes() + self._threshold.astype("<f8").tobytes()).digest()

    def _masses(self, name: str) -> IntArray:
        return np.array([[getattr(node, name) for node in tree] for tree in self._nodes], np.int64)

    def _put(self, leaves: IntArray, counter: int, *, first: bool) -> None:
        """Give river's nodes their masses."""
        for number, name in enumerate(("l_mass", "r_mass")):
            for tree, of_tree in zip(self._nodes, leaves[number].tolist(), strict=True):
                masses = [0] * (2**_HEIGHT - 1) + of_tree
                for place in range(2**_HEIGHT - 2, -1, -1):
                    masses[place] = masses[2 * place + 1] + masses[2 * place + 2]
                for node, mass in zip(tree, masses, strict=True):
                    setattr(node, name, mass)
        self._forest.counter = counter
        self._first = first
        cast("Any", self._forest)._first_window = first  # river offers no public way to set it
        self._mass = self._masses("r_mass")


def _by_breadth(tree: Any) -> list[Any]:
    """Return a tree's nodes level by level: those below the node at place k stand at 2k + 1 and 2k + 2."""
    level, nodes = [tree], list[Any]()
    while level:
        nodes += level
        level = [child for node in level for child in getattr(node, "children", ())]
    return nodes
