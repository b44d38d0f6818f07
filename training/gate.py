"""Decide whether a new model may serve, and what it serves.

`training.retrain` gives the scores of the candidate, of the baselines and of the champion on the same
held-out rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.ensemble import ENSEMBLE
from models.prediction import HORIZONS
from training.bootstrap import Interval
from training.evaluate import CHAMPION, Scored
from training.fit import CLIMATOLOGY

__all__ = ["Decision", "decide"]

_BASELINES = ("recency", "rate", "seasonal")

_ECE_SLACK = 0.002
"""Calibration error by which a candidate may exceed the champion: the size of the differences between
equal models in the hazard experiment (quoted, 0.0002 to 0.003)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to promote, what to serve, and why.

    Parameters
    ----------
    promote : bool
        Whether the candidate may take the place of what serves now.
    serves : str
        ``ensemble``, or the baseline that it did not beat.
    against : str
        Whom it was compared with.
    difference : float
        Mean log loss a row, candidate minus opponent; below 0 the candidate is better.
    interval : tuple of float or None
        Its paired 90 % block-bootstrap interval.
    reasons : tuple of str
        In words, in the order in which they were found.
    """

    promote: bool
    serves: str
    against: str
    difference: float
    interval: Interval | None
    reasons: tuple[str, ...]


def decide(scored: Scored) -> Decision:
    """Judge a candidate.

    It serves the ensemble if its log loss is below the best baseline's with certainty, else that baseline.
    Whatever it serves must with certainty beat the champion, or the base rate when there is no champion;
    against a champion, recall at the alert budget and calibration must not be worse either. Certainty is a
    paired 90 % block-bootstrap interval that excludes 0.

    Parameters
    ----------
    scored : Scored
        From `training.evaluate.evaluate`.
    """
    best = min(_BASELINES, key=lambda name: float(scored.losses[name].mean()) if len(scored.losses[name]) else math.inf)
    difference, interval = _compare(scored, ENSEMBLE, best)
    wins = _certain(interval)
    serves = ENSEMBLE if wins else best
    verb = "beats" if wins else "does not beat"
    reasons = [f"the ensemble {verb} the best baseline, {best}: log loss {_words(difference, interval)}"]
    against = CHAMPION if CHAMPION in scored.losses else CLIMATOLOGY
    difference, interval = _compare(scored, serves, against)
    promote = _certain(interval)
    verb = "beats" if promote else "does not beat"
    reasons.append(f"{serves} {verb} {against}: log loss {_words(difference, interval)}")
    if promote and against == CHAMPION:
        worse = (*_recall_worse(scored, serves), *_calibration_worse(scored, serves))
        reasons += worse
        promote = not worse
    return Decision(promote, serves, against, difference, interval, tuple(reasons))


def _compare(scored: Scored, name: str, other: str) -> tuple[float, Interval | None]:
    if not len(scored.losses[name]):
        return float("nan"), None
    losses = scored.losses[name] - scored.losses[other]
    return float(losses.mean()), scored.blocks.interval(scored.blocks.mean(losses))


def _certain(interval: Interval | None) -> bool:
    return interval is not None and interval[1] < 0.0


def _recall_worse(scored: Scored, serves: str) -> tuple[str, ...]:
    mine, other = scored.report.events[serves].recall, scored.report.events[CHAMPION].recall
    if math.isnan(other) or mine >= other:
        return ()
    return (f"recall at the alert budget falls from {other:.2f} to {mine:.2f}",)


def _calibration_worse(scored: Scored, serves: str) -> tuple[str, ...]:
    found = []
    for horizon in HORIZONS:
        by_name = scored.report.horizons[horizon]
        mine, other = by_name[serves].ece, by_name[CHAMPION].ece
        if mine > other + _ECE_SLACK:
            found.append(f"calibration error at {horizon} rises from {other:.4f} to {mine:.4f}")
    return tuple(found)


def _words(difference: float, interval: Interval | None) -> str:
    if interval is None:
        return f"difference {difference:.5f}, too little data for an interval"
    return f"difference {difference:.5f} [{interval[0]:.5f}, {interval[1]:.5f}]"
