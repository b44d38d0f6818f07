"""Whether the columns that matter look as they did when the model was fitted: a stability index over their deciles.

`training.fit` takes the reference from the rows of a fit, `app.members` feeds the watch with live rows; `training.triggers` takes a large
shift as a reason to train again.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from features.errors import InvalidValue, SnapshotMismatch

__all__ = ["LARGE", "Reference", "ShiftWatch", "stability"]

LARGE = 0.25
"""Index above which a column counts as shifted: the rule of thumb of credit scoring. Quoted (Siddiqi 2006)."""

_DECILES = np.linspace(0.0, 1.0, 11)[1:-1]
_LEAST = 1e-3  # share below which a bin counts as this: an empty one would be infinitely far


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """How some columns were distributed.

    Parameters
    ----------
    columns : IntArray
        Shape (k,), which ones.
    edges : FloatArray
        Shape (k, 9), their deciles; equal ones where a value is frequent.
    shares : FloatArray
        Shape (k, 10), of rows at or below the first edge, between two, and above the last.
    """

    columns: IntArray
    edges: FloatArray
    shares: FloatArray

    @classmethod
    def of(cls, x: Float32Array, columns: IntArray) -> Reference:
        """Take the distribution of some columns of rows (n, n_features).

        Raises
        ------
        InvalidValue
            When there are no rows.
        """
        if not len(x):
            raise InvalidValue("a reference needs at least 1 row, got 0")
        edges = np.quantile(x[:, columns].astype(np.float64), _DECILES, axis=0, method="higher").T
        counts = _counts(x, columns, edges)
        return cls(columns, edges, counts / len(x))


def stability(reference: FloatArray, present: FloatArray) -> FloatArray:
    """Return the population stability index of distributions over the same bins, shape (k,).

    Parameters
    ----------
    reference, present : FloatArray
        Shape (k, bins), shares; bins with less than a thousandth count as that.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards. It is the symmetric Kullback-Leibler divergence of the two.

    Examples
    --------
    >>> stability(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]])).tolist()
    [0.0]
    >>> stability(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])).round(2).tolist()
    [0.88]
    """
    a, b = np.maximum(reference, _LEAST), np.maximum(present, _LEAST)
    return np.sum((b - a) * np.log(b / a), axis=1)


class ShiftWatch:
    """Compare live rows, the older the less, with a reference.

    Parameters
    ----------
    reference : Reference
        Of the model that serves.
    keep : float
        Part of the counts that is kept from one tick to the next, in (0, 1). A day should stay, since an afternoon never looks as whole days.
    enough : float
        Ticks, faded as the counts are, before anything is said.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> watch = ShiftWatch(Reference.of(rng.normal(size=(5000, 2)).astype(np.float32), np.array([0, 1])), keep=0.9, enough=5.0)
    >>> for _ in range(50):
    ...     watch.learn((rng.normal(size=(100, 2)) + [0.0, 2.0]).astype(np.float32))
    >>> (watch.index() > LARGE).tolist()
    [False, True]
    """

    def __init__(self, reference: Reference, keep: float, enough: float) -> None:
        if not 0.0 < keep < 1.0:
            raise InvalidValue(f"keep must be in (0, 1), got {keep}")
        self.reference = reference
        self.keep = keep
        self.enough = enough
        self._counts: FloatArray = np.zeros(reference.shares.shape)
        self._ticks = 0.0

    def learn(self, x: Float32Array) -> None:
        """Take the rows (n, n_features) of a tick; each tick counts as much as another, however many rows it has."""
        if not len(x):
            return
        self._counts = self._counts * self.keep + _counts(x, self.reference.columns, self.reference.edges) / len(x)
        self._ticks = self._ticks * self.keep + 1.0

    def index(self) -> FloatArray:
        """Return the stability index of each column, shape (k,); zeros until enough was seen."""
        if self._ticks < self.enough:
            return np.zeros(len(self._counts))
        return stability(self.reference.shares, self._counts / self._ticks)

    def snapshot(self) -> bytes:
        """Return what was counted as JSON; `restore` gives exactly the same numbers back."""
        state = {"version": 1, "ticks": self._ticks, "counts": b64encode(self._counts.astype("<f8").tobytes()).decode()}
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take what a snapshot had counted beside the same reference.

        Raises
        ------
        SnapshotMismatch
            When it is of another version or of other columns.
        """
        state = json.loads(data)
        counts = np.frombuffer(b64decode(state.get("counts", "")), "<f8")
        if state.get("version") != 1 or counts.size != self._counts.size:
            raise SnapshotMismatch(
                f"shift snapshot is of version {state.get('version')} with {counts.size} counts, "
                f"expected version 1 with {self._counts.size}"
            )
        self._counts, self._ticks = counts.reshape(self._counts.shape).copy(), float(state["ticks"])


def _counts(x: Float32Array, columns: IntArray, edges: FloatArray) -> FloatArray:
    """Return how many rows lie in each bin of each column, shape (k, 10)."""
    n_bins = edges.shape[1] + 1
    bins = (x[:, columns].astype(np.float64)[:, :, None] > edges).sum(axis=2)
    places = bins + n_bins * np.arange(len(columns))
    return np.bincount(places.ravel(), minlength=n_bins * len(columns)).reshape(-1, n_bins).astype(np.float64)
