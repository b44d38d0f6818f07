"""Choose who serves each interval: the ensemble where it beats the best baseline beyond doubt, that baseline elsewhere.

`training.evaluate` chooses by the losses on held-out rows and scores the composed forecast, `training.gate` judges it, and
`training.retrain` lets `models.ensemble` serve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.arrays import BoolArray, FloatArray
from models.ensemble import ENSEMBLE
from training.bootstrap import Blocks, Interval

__all__ = ["BASELINES", "Choice", "Kind", "choose", "kind_of", "serves_of", "told"]

BASELINES = ("recency", "rate", "seasonal")
"""Who may serve in the ensemble's stead."""

Kind = Literal["better", "even", "worse", "unknown"]
"""How a forecaster did against another: even where the difference may be chance, unknown where nothing can be resampled."""


def kind_of(interval: Interval | None) -> Kind:
    """Return what the interval of a difference in log loss says of the one that the other's is taken from.

    Examples
    --------
    >>> [kind_of(i) for i in ((-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2), None)]
    ['better', 'even', 'worse', 'unknown']
    """
    if interval is None:
        return "unknown"
    return "better" if interval[1] < 0 else "worse" if interval[0] > 0 else "even"


def told(difference: float, interval: Interval | None) -> str:
    """Return a difference in log loss in words.

    Examples
    --------
    >>> told(-0.002, (-0.003, -0.001))
    'difference -0.00200 [-0.00300, -0.00100]'
    """
    if interval is None:
        return f"difference {difference:.5f}, too little data for an interval"
    return f"difference {difference:.5f} [{interval[0]:.5f}, {interval[1]:.5f}]"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who serves the interval that ends at a horizon, and why.

    Parameters
    ----------
    best : str
        The baseline with the lowest log loss in the interval.
    difference : float
        Mean log loss in the interval of a row at risk in it, the ensemble's minus that of `best`; NaN without such rows.
    interval : tuple of float or None
        Its paired 90 % block-bootstrap interval.
    """

    best: str
    difference: float
    interval: Interval | None

    @property
    def kind(self) -> Kind:
        """How the ensemble did against the best baseline."""
        return kind_of(self.interval)

    @property
    def serves(self) -> str:
        """The ensemble if it is better beyond doubt, else the best baseline."""
        return ENSEMBLE if self.kind == "better" else self.best

    def __str__(self) -> str:
        """Say it on one line."""
        if self.kind == "unknown":
            return f"{self.serves} serves, too little data to compare the ensemble with it"
        how = f"better than {self.best}" if self.kind == "better" else f"the ensemble is {self.kind}"
        return f"{self.serves} serves, {how}: log loss {told(self.difference, self.interval)}"


def choose(losses: Mapping[str, FloatArray], at_risk: BoolArray, blocks: Blocks, horizons: Sequence[str]) -> dict[str, Choice]:
    """Choose by interval. Hazards of different forecasters make probabilities that never contradict each other.

    Parameters
    ----------
    losses : mapping of str to FloatArray
        Shape (n, intervals) by forecaster, the ensemble and `BASELINES` among them: log loss of each interval's hazard.
    at_risk : BoolArray
        Shape (n, intervals), where a loss counts.
    blocks : Blocks
        Resamples of the rows.
    horizons : sequence of str
        Names of the intervals' ends, in order.
    """
    choices: dict[str, Choice] = {}
    for j, horizon in enumerate(horizons):
        rows = np.flatnonzero(at_risk[:, j])
        if not len(rows):
            choices[horizon] = Choice(BASELINES[0], float("nan"), None)
            continue
        best = min(BASELINES, key=lambda name: float(losses[name][rows, j].mean()))
        difference = losses[ENSEMBLE][rows, j] - losses[best][rows, j]
        part = blocks.take(rows)
        choices[horizon] = Choice(best, float(difference.mean()), part.interval(part.mean(difference)))
    return choices


def serves_of(choices: Mapping[str, Choice]) -> dict[str, str]:
    """Return the forecaster that serves, by horizon, as `models.ensemble.composed` takes it."""
    return {horizon: choice.serves for horizon, choice in choices.items()}
