"""The signs that the world has moved away from the model that serves, put together and in words.

`app.members` teaches it with every matured forecast; `training.triggers` takes what it says as reasons to train again.
"""

from __future__ import annotations

import json

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from models.drift import DriftWatch
from models.sequence import Sequence
from models.shift import LARGE, Reference, ShiftWatch

__all__ = ["Drifts"]

_HOURS_OF_SHIFT = 24.0  # guessed: an afternoon looks otherwise than a day, and is no shift
_PERSISTS_H = 1.0  # guessed: how long a column must look otherwise before it is said
_SETTLED = LARGE / 2  # below it a shift that was said is over


class Drifts:
    """Three signs: the loss has risen, incidents begin more or less often than forecast, important columns look otherwise.

    Parameters
    ----------
    a_block : int
        Matured forecasts within the longest horizon, which tell of the same incidents.
    names : tuple of str
        Of all columns.

    Notes
    -----
    A sign of the loss stays until another model serves: what the model cannot do any more it will not learn by itself. The others end by
    themselves, when the recalibration has caught up or the columns look as before.
    """

    def __init__(self, a_block: int, names: tuple[str, ...]) -> None:
        self.a_block = a_block
        self.names = names
        self.loss = DriftWatch()
        self.risen = False
        self.excess = Sequence(a_block)
        self._n_learned = 0
        self._began = self._expected = 0.0
        self._shift: ShiftWatch | None = None
        self._kept: dict[str, object] | None = None  # of a snapshot, until the model with the reference is there again
        self._above: IntArray = np.zeros(0, np.int64)
        self._said: set[int] = set()

    def attach(self, reference: Reference | None) -> None:
        """Compare columns with a reference from now on, and go on where a snapshot of the same one ended."""
        if reference is None:
            return
        self._shift = ShiftWatch(
            reference, keep=1.0 - 1.0 / (_HOURS_OF_SHIFT * self.a_block), enough=_HOURS_OF_SHIFT * self.a_block / 2
        )
        self._above = np.zeros(len(reference.columns), np.int64)
        if self._kept is not None:
            self._shift.restore(str(self._kept["watch"]).encode())
            self._above = np.array(self._kept["above"], np.int64)
            self._said = set(np.array(self._kept["said"], np.int64).tolist())
            self._kept = None

    def learn(self, x: Float32Array, losses: FloatArray, began: FloatArray, expected: FloatArray) -> bool:
        """Take a matured forecast.

        Parameters
        ----------
        x : Float32Array
            Shape (n, n_features), what was known.
        losses : FloatArray
            Shape (m,), of what was served, one a row and interval at risk.
        began, expected : FloatArray
            Shape (n,), incidents of each row, and how many were forecast.

        Returns
        -------
        bool
            Whether the loss was seen to rise just now.
        """
        risen = self.loss.learn(losses)
        self.risen |= risen
        self.excess.learn(self._n_learned, began - expected)
        self._n_learned += 1
        self._began += float(began.sum())
        self._expected += float(expected.sum())
        if self._shift is not None:
            self._shift.learn(x)
            index = self._shift.index()
            self._above = np.where(index > LARGE, self._above + 1, 0)
            lasting = np.flatnonzero(self._above >= max(1, round(_PERSISTS_H * self.a_block)))
            self._said = {k for k in self._said if index[k] >= _SETTLED} | set(lasting.tolist())
        return risen

    @property
    def incidents(self) -> tuple[float, float]:
        """How many incidents began in what has matured, and how many were forecast."""
        return self._began, self._expected

    def reasons(self) -> tuple[str, ...]:
        """Return the signs that there are, in words, the surest first."""
        found = ["its loss has risen"] if self.risen else []
        if self.excess.verdict() != "open" and self._expected > 0:
            found.append(f"incidents begin {self._began / self._expected:.2g} times as often as forecast")
        if self._said and self._shift is not None:
            names = ", ".join(self.names[self._shift.reference.columns[k]] for k in sorted(self._said))
            found.append(f"what it looks at most looks otherwise than when it was fitted: {names}")
        return tuple(found)

    def snapshot(self) -> bytes:
        """Return what was seen as JSON; `restore`, and `attach` with the same reference, give exactly the same back."""
        shift = self._kept
        if self._shift is not None:
            shift = {"watch": self._shift.snapshot().decode(), "above": self._above.tolist(), "said": sorted(self._said)}
        state = {
            "loss": self.loss.snapshot().decode(),
            "risen": self.risen,
            "excess": self.excess.snapshot().decode(),
            "counts": [self._n_learned, self._began, self._expected],
            "shift": shift,
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take what a snapshot had seen; what it knows of columns waits for `attach`."""
        state = json.loads(data)
        self.loss.restore(state["loss"].encode())
        self.excess.restore(state["excess"].encode())
        self.risen = bool(state["risen"])
        self._n_learned, self._began, self._expected = state["counts"]
        self._kept = state["shift"]
