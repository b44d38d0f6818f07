"""Another model beside the one that serves: it forecasts unheard, and both are compared by what comes true.

A challenger that may take over, or the former champion that its successor has to be no worse than. `app.members` lets it forecast
and learn; `training.shadow` says what follows from the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.champion import Champion
from features.arrays import Float32Array, FloatArray
from models.blend import LOSS_CAP
from models.hazard import log_losses
from models.maturing import Matured
from models.sequence import Sequence, Verdict

__all__ = ["Compared", "Rivalry"]


@dataclass(frozen=True, slots=True)
class Compared:
    """How the model that serves and its rival did on the same forecasts since they stand beside each other.

    Parameters
    ----------
    serves, rival : str
        Their versions.
    hours : int
        Longest horizons that were compared, each counted once.
    difference : float
        Log loss a row of what serves minus the rival's; below 0 what serves is better.
    interval : tuple of float or None
        Of the difference, right at all times at once; None while hours are few.
    verdict : {"below", "above", "open"}
        On which side of 0 the difference is beyond doubt.
    """

    serves: str
    rival: str
    hours: int
    difference: float
    interval: tuple[float, float] | None
    verdict: Verdict


class Rivalry:
    """The comparison of the model that serves with at most one other.

    Parameters
    ----------
    a_block : int
        Matured forecasts within the longest horizon.
    """

    def __init__(self, a_block: int) -> None:
        self.a_block = a_block
        self.rival: Champion | None = None
        self.serves = ""
        self._sequence = Sequence(a_block)
        self._n_learned = 0
        self._kept: dict[str, object] | None = None  # of a snapshot, until both models are there again
        self._compared: Compared | None = None  # put down whole, since supervision reads it while the worker learns

    @property
    def name(self) -> str:
        """What the rival's hazards are called among those that wait for their outcome."""
        return f"rival/{self.rival.version}" if self.rival else ""

    def begin(self, rival: Champion | None, serves: str) -> None:
        """Compare a model with that of version `serves` from now on, or none; what a snapshot knew of the same two goes on."""
        self._compared = None
        self.rival, self.serves = rival, serves
        self._sequence, self._n_learned = Sequence(self.a_block), 0
        kept, self._kept = self._kept, None
        if rival is not None and kept is not None and (kept["rival"], kept["serves"]) == (rival.version, serves):
            self._n_learned = int(str(kept["n_learned"]))
            self._sequence.restore(str(kept["sequence"]).encode())
        self._put_down()

    def hazards(self, x: Float32Array) -> dict[str, FloatArray]:
        """Return what the rival says, shape (n, 3), by its name; nothing without one."""
        return {self.name: self.rival.ensemble.hazards(x)} if self.rival else {}

    def learn(self, matured: Matured) -> None:
        """Compare what both said with what came, where both said something."""
        pending, y, at_risk = matured.pending, matured.y, matured.at_risk
        if self.rival is None or pending.version != self.serves or self.name not in pending.hazards:
            return
        losses = (np.minimum(log_losses(pending.hazards[who], y), LOSS_CAP) for who in ("batch", self.name))
        difference = np.subtract(*losses)
        self._sequence.learn(self._n_learned, (difference * at_risk).sum(axis=1)[at_risk.any(axis=1)])
        self._n_learned += 1
        self._put_down()

    def compared(self) -> Compared | None:
        """Return how both did so far, None without a rival."""
        return self._compared

    def _put_down(self) -> None:
        if self.rival is not None:
            sequence = self._sequence
            found = (sequence.n_blocks, sequence.mean, sequence.interval(), sequence.verdict())
            self._compared = Compared(self.serves, self.rival.version, *found)

    def snapshot(self) -> dict[str, object] | None:
        """Return what was compared, None where nothing is."""
        if self.rival is None:
            return self._kept
        return {
            "rival": self.rival.version,
            "serves": self.serves,
            "n_learned": self._n_learned,
            "sequence": self._sequence.snapshot().decode(),
        }

    def restore(self, state: dict[str, object] | None) -> None:
        """Take what a snapshot had compared; it waits for `begin` with both models."""
        self._kept = state
