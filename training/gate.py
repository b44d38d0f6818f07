"""Decide whether a new model may serve.

`training.retrain` gives the scores of what the candidate would serve, as `training.choice` chose it, and those of the champion
on the same held-out rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.ensemble import composed
from training.bootstrap import Interval
from training.choice import kind_of, told
from training.evaluate import CHAMPION, Scored
from training.fit import CLIMATOLOGY

__all__ = ["Decision", "decide"]

_ECE_SLACK = 0.002
"""Calibration error by which a candidate may exceed the champion: the size of the differences between
equal models in the hazard experiment (quoted, 0.0002 to 0.003)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to promote, and why.

    Parameters
    ----------
    promote : bool
        Whether the candidate may take the place of what serves now.
    against : str
        Whom it was compared with.
    difference : float
        Mean log loss a row over all intervals, what would be served minus the opponent; below 0 the former is better.
    interval : tuple of float or None
        Its paired 90 % block-bootstrap interval.
    reasons : tuple of str
        In words, in the order in which they were found.
    """

    promote: bool
    against: str
    difference: float
    interval: Interval | None
    reasons: tuple[str, ...]


def decide(scored: Scored) -> Decision:
    """Judge a candidate.

    What it would serve, in each interval the ensemble or a baseline, must as a whole and with certainty beat the champion, or
    the base rate when there is no champion; against a champion, recall at the alert budget and calibration must not be worse
    either. Certainty is a paired 90 % block-bootstrap interval that excludes 0.

    Parameters
    ----------
    scored : Scored
        From `training.evaluate.evaluate`.
    """
    against = CHAMPION if CHAMPION in scored.losses else CLIMATOLOGY
    difference, interval = _compare(scored, against)
    promote = kind_of(interval) == "better"
    verb = "beats" if promote else "does not beat"
    reasons = [f"what would be served {verb} {against}: log loss {told(difference, interval)}"]
    if promote and against == CHAMPION:
        worse = (*_recall_worse(scored), *_calibration_worse(scored))
        reasons += worse
        promote = not worse
    return Decision(promote, against, difference, interval, tuple(reasons))


def _compare(scored: Scored, other: str) -> tuple[float, Interval | None]:
    losses = (composed(scored.losses, scored.report.serves) - scored.losses[other]).sum(axis=1)
    if not len(losses):
        return float("nan"), None
    return float(losses.mean()), scored.blocks.interval(scored.blocks.mean(losses))


def _recall_worse(scored: Scored) -> tuple[str, ...]:
    mine, other = scored.report.served.events.recall, scored.report.events[CHAMPION].recall
    if math.isnan(other) or mine >= other:
        return ()
    return (f"recall at the alert budget falls from {other:.2f} to {mine:.2f}",)


def _calibration_worse(scored: Scored) -> tuple[str, ...]:
    found = []
    for horizon, scores in scored.report.served.horizons.items():
        mine, other = scores.ece, scored.report.horizons[horizon][CHAMPION].ece
        if mine > other + _ECE_SLACK:
            found.append(f"calibration error at {horizon} rises from {other:.4f} to {mine:.4f}")
    return tuple(found)
