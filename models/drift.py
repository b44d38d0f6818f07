"""Whether the world has moved away from the model: ADWIN over the matured log loss.

`app.flow.settle` gives the losses of each matured tick; `training.triggers` takes a detection as a reason
to retrain.
"""

from __future__ import annotations

import json

import numpy as np
from river.drift import ADWIN

from features.arrays import FloatArray
from features.errors import InvalidValue, SnapshotMismatch

__all__ = ["DriftWatch"]

_KEPT = 4096
"""Ticks that are kept at most, about three days. Guessed; then the older half is forgotten, so that a
snapshot stays small and a restored watch is exactly the one that was saved."""

_LOSS_CAP = 1.0
"""Nats a tick's mean may reach; ADWIN wants values in [0, 1]. Guessed: a mean of 1 is far beyond failure."""


class DriftWatch:
    """Watch a model's loss and say when its mean has risen.

    Parameters
    ----------
    delta : float
        Chance of a false detection at each test. 0.002 is ADWIN's default; larger detects sooner and
        wrongly more often.

    References
    ----------
    Bifet, Gavaldà (2007), Learning from time-changing data with adaptive windowing, SIAM SDM.

    Examples
    --------
    >>> watch = DriftWatch()
    >>> calm = [watch.learn(np.full(20, 0.01)) for _ in range(300)]
    >>> broken = [watch.learn(np.full(20, 0.9)) for _ in range(100)]
    >>> any(calm), any(broken), watch.n_detected
    (False, True, 1)
    """

    def __init__(self, delta: float = 0.002) -> None:
        if not 0.0 < delta < 1.0:
            raise InvalidValue(f"delta must be in (0, 1), got {delta}")
        self.delta = delta
        self.n_seen = 0
        self.n_detected = 0
        self._kept: list[float] = []
        self._adwin = ADWIN(delta=delta)

    def learn(self, losses: FloatArray) -> bool:
        """Take the losses of one matured tick and say whether their level has risen for good.

        Parameters
        ----------
        losses : FloatArray
            Shape (n,), nats, at least 0; their mean is one observation, because a tick's rows share one
            world. None leave everything as it is.
        """
        if not len(losses):
            return False
        if not np.isfinite(losses).all() or losses.min() < 0:
            raise InvalidValue(f"losses must be finite and at least 0, got from {losses.min()} to {losses.max()}")
        mean = min(float(losses.mean()), _LOSS_CAP)
        before = float(self._adwin.estimation)
        self._adwin.update(mean)
        self._kept.append(mean)
        self.n_seen += 1
        # A change for the better is no reason to worry.
        risen = bool(self._adwin.drift_detected) and float(self._adwin.estimation) > before
        if risen:
            self.n_detected += 1
            self._rebuild([])
        elif len(self._kept) >= _KEPT:
            self._rebuild(self._kept[_KEPT // 2 :])
        return risen

    def snapshot(self) -> bytes:
        """Return counts and kept losses as JSON; `restore` gives exactly the same watch back."""
        state = {
            "version": 1,
            "delta": self.delta,
            "n_seen": self.n_seen,
            "n_detected": self.n_detected,
            "kept": [value.hex() for value in self._kept],
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take the state of a snapshot.

        Raises
        ------
        SnapshotMismatch
            When it is of another version or another delta.
        """
        state = json.loads(data)
        if state.get("version") != 1 or state.get("delta") != self.delta:
            raise SnapshotMismatch(
                f"drift snapshot is of version {state.get('version')} and delta {state.get('delta')}, "
                f"expected version 1 and {self.delta}"
            )
        self.n_seen, self.n_detected = int(state["n_seen"]), int(state["n_detected"])
        self._rebuild([float.fromhex(value) for value in state["kept"]])

    def _rebuild(self, values: list[float]) -> None:
        self._adwin = ADWIN(delta=self.delta)
        self._kept = values
        for value in values:
            self._adwin.update(value)
