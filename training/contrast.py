"""Say whether later verdicts bear out what earlier ones taught: who learned from these tells what stands from what was taken away.

`training.overlaid` asks it of held-out time. Loss cannot answer it, in either direction: where people take away half of all incidents by
chance, a model that says half as much everywhere has the lower loss by their labels; and where they take away what is harmless but have
not come to all of it, the incidents that they left alone speak against whoever learned from them. The order of the forecasts before incidents
is moved by neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray
from models.contract import Forecaster
from models.hazard import cumulate
from training.alerting import alert_column
from training.bootstrap import Interval, blocks_of
from training.choice import Kind
from training.rows import Rows

__all__ = ["Contrast", "contrast_of"]

_FEWEST = 5
"""Incidents of either kind, held out, below which the order says nothing. Guessed."""

_RESAMPLES = 200  # enough for a 90 % interval


@dataclass(frozen=True, slots=True)
class Contrast:
    """How well two models tell held-out incidents that stand from those that people took away.

    Parameters
    ----------
    stand, taken_away : int
        Held-out incidents with a row shortly before them: within the horizon that alerts are given on.
    without, with_feedback : float
        Share of pairs of rows, one before an incident that stands and one before one that was taken away, in which the first was
        forecast higher; a half is chance, NaN where there is no pair.
    interval : tuple of float or None
        Paired 90 % block-bootstrap interval of the difference; None where there are too few incidents of a kind.
    """

    stand: int
    taken_away: int
    without: float
    with_feedback: float
    interval: Interval | None

    @property
    def kind(self) -> Kind:
        """How the model with feedback did against the one without.

        Examples
        --------
        >>> ends = ((0.1, 0.2), (-0.1, 0.1), (-0.2, -0.1), None)
        >>> [Contrast(9, 9, 0.5, 0.5, end).kind for end in ends]
        ['better', 'even', 'worse', 'unknown']
        """
        if self.interval is None:
            return "unknown"
        return "better" if self.interval[0] > 0 else "worse" if self.interval[1] < 0 else "even"


def contrast_of(plain: Rows, laid: Rows, models: tuple[Forecaster, Forecaster], *, seed: int = 0) -> Contrast:
    """Compare a model without feedback and one with it on the rows before incidents.

    Parameters
    ----------
    plain, laid : Rows
        Held-out rows without and with feedback, row by row of the same series and time.
    models : tuple of Forecaster
        Without and with feedback.
    seed : int
        Of the resamples.
    """
    (y, at_risk), (y_laid, at_risk_laid) = plain.targets(), laid.targets()
    near = slice(0, alert_column(plain.horizons) + 1)  # where alerts are given; most signs are not there sooner
    before = (y[:, near].any(axis=1) | y_laid[:, near].any(axis=1)) & at_risk.any(axis=1) & at_risk_laid.any(axis=1)
    rows = np.flatnonzero(before)
    stands: FloatArray = y_laid[rows, near].max(axis=1, initial=0.0)
    test = laid.take(rows)
    stand, taken_away = test.events(), plain.take(rows[stands == 0.0]).events()
    if min(stand, taken_away) < _FEWEST:
        return Contrast(stand, taken_away, float("nan"), float("nan"), None)
    blocks = blocks_of(test.as_of_s, block_s=2 * max(test.horizons.values()), n_resamples=_RESAMPLES, seed=seed)
    one, other = (blocks.auc(cumulate(model.hazards(test.x))[:, -1], stands) for model in models)
    return Contrast(stand, taken_away, float(np.nanmean(one)), float(np.nanmean(other)), blocks.interval(other - one))
