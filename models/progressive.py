"""How well every member has forecast lately, each forecast judged once by what came, before anyone learns from it.

`app.members` teaches it with every matured forecast; `app.telemetry` and the document of learning show what it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.errors import InvalidValue, SnapshotMismatch
from models.hazard import cumulate, log_losses, reached
from models.prediction import HORIZONS

__all__ = ["Progressive", "Validation"]

_ROWS, _BEGAN, _SAID, _LOSS, _BRIER = range(5)


@dataclass(frozen=True, slots=True)
class Validation:
    """Of one member and one horizon, over recent rows whose outcome is known.

    Parameters
    ----------
    rows : float
        How many, the older the less; in [0, inf).
    base_rate : float
        Share of rows before incidents.
    forecast_rate : float
        Mean probability that the member gave.
    log_loss, base_log_loss : float
        Nats a row: of the member, and of always saying the base rate, which is known only afterwards.
    brier : float
        Mean squared error.
    """

    rows: float
    base_rate: float
    forecast_rate: float
    log_loss: float
    base_log_loss: float
    brier: float


class Progressive:
    """Progressive validation of members that speak side by side.

    Parameters
    ----------
    keep : float
        What rows still weigh after one more matured forecast, in (0, 1).

    References
    ----------
    Blum, Kalai, Langford (1999), Beating the hold-out: bounds for k-fold and progressive cross-validation, COLT.

    Examples
    --------
    >>> progressive = Progressive(keep=0.5)
    >>> said = {"sharp": np.array([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]), "flat": np.full((2, 3), 0.25)}
    >>> progressive.learn(said, np.array([[1.0, 0, 0], [0, 0, 0]]), np.array([[1, 0, 0], [1, 1, 1]], bool))
    >>> found = progressive.said()["sharp"]["5min"]
    >>> found.rows, found.base_rate, found.forecast_rate, found.brier
    (2.0, 0.5, 0.25, 0.125)
    """

    def __init__(self, keep: float) -> None:
        if not 0.0 < keep < 1.0:
            raise InvalidValue(f"keep must be in (0, 1), got {keep}")
        self.keep = keep
        self._sums: dict[str, FloatArray] = {}

    def learn(self, hazards: Mapping[str, FloatArray], y: FloatArray, at_risk: BoolArray) -> None:
        """Judge what members said of one tick.

        Parameters
        ----------
        hazards : mapping of str to FloatArray
            By member, shape (n, 3).
        y, at_risk : FloatArray, BoolArray
            What happened, shape (n, 3), from `models.hazard.labels`.
        """
        began, known = reached(y, at_risk)
        self._sums = {name: self.keep * sums for name, sums in self._sums.items()}
        for name, hazard in hazards.items():
            p = cumulate(hazard)
            each = (np.ones_like(p), began, p, log_losses(p, began), (p - began) ** 2)
            sums = np.stack([np.where(known, value, 0.0).sum(axis=0) for value in each], axis=1)
            self._sums[name] = self._sums.get(name, 0.0) + sums

    def said(self) -> dict[str, dict[str, Validation]]:
        """Return what was found by member and horizon, where any row is known."""
        return {
            name: {horizon: _validation(row) for horizon, row in zip(HORIZONS, sums, strict=True) if row[_ROWS] > 0}
            for name, sums in sorted(self._sums.items())
        }

    def snapshot(self) -> bytes:
        """Return what was seen as JSON; `restore` gives exactly the same back."""
        sums = {name: sums.tolist() for name, sums in self._sums.items()}
        return json.dumps({"version": 1, "keep": self.keep, "sums": sums}, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take what a snapshot had seen.

        Raises
        ------
        SnapshotMismatch
            When it is of another version, or forgot at another pace.
        """
        state = json.loads(data)
        if state.get("version") != 1 or state.get("keep") != self.keep:
            raise SnapshotMismatch(
                f"snapshot of progressive validation is of version {state.get('version')} and keeps {state.get('keep')}, "
                f"expected version 1 and {self.keep}"
            )
        self._sums = {name: np.array(sums) for name, sums in state["sums"].items()}


def _validation(sums: FloatArray) -> Validation:
    rows = sums[_ROWS]
    rate, said, loss, brier = (sums / rows)[[_BEGAN, _SAID, _LOSS, _BRIER]].tolist()
    always = log_losses(np.array(rate), np.array([1.0, 0.0]))
    base = float(always @ np.array([rate, 1.0 - rate])) if 0.0 < rate < 1.0 else 0.0
    return Validation(float(rows), rate, said, loss, base, brier)
