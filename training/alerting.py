"""What an alert budget buys: which incidents a forecaster would have announced, how early, how wrongly.

`training.fit` finds the threshold to serve with on the middle block. `training.evaluate` compares forecasters
on held-out rows at the threshold at which each just spends the same budget of false alarms there: an
operating point, the same for all, not a forecast of how many alerts there will be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from models.prediction import HORIZONS
from training.rows import Rows

__all__ = ["COOL_DOWN_S", "EventScores", "alerts", "score_events", "threshold_for"]

COOL_DOWN_S = max(HORIZONS.values())
"""An alert speaks for its series for as long as its horizon; a second one within it would say the same."""

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class EventScores:
    """Scores of alerts against incidents.

    Parameters
    ----------
    threshold : float
        60-minute probability from which an alert was given, found on these very rows.
    incidents, announced : int
        Incidents with a usable row in the hour before, and those with an alert in that hour.
    alerts, right : int
        Alerts, and those that an incident followed within 60 minutes.
    median_lead_s : float
        Median time from an incident's first alert to its start; NaN when none was announced.
    days : float
        Length of the block.
    """

    threshold: float
    incidents: int
    announced: int
    alerts: int
    right: int
    median_lead_s: float
    days: float

    @property
    def recall(self) -> float:
        """Share of incidents that were announced; NaN without any."""
        return self.announced / self.incidents if self.incidents else float("nan")

    @property
    def precision(self) -> float:
        """Share of alerts that were right; NaN without any."""
        return self.right / self.alerts if self.alerts else float("nan")

    @property
    def false_alarms_a_day(self) -> float:
        """Wrong alerts a day, over all series."""
        return (self.alerts - self.right) / self.days


def alerts(p60: FloatArray, threshold: float, series: IntArray, as_of_s: IntArray) -> IntArray:
    """Return the rows at which an alert would have been given.

    The first row of a series at or above the threshold, then again after the cool-down.

    Examples
    --------
    >>> p = np.array([0.1, 0.6, 0.7, 0.9])
    >>> alerts(p, 0.5, np.zeros(4, np.int64), np.array([0, 60, 120, 3720])).tolist()
    [1, 3]
    """
    above = np.flatnonzero(p60 >= threshold)
    above = above[np.lexsort((as_of_s[above], series[above]))]
    given: list[int] = []
    current, quiet_until = -1, -np.inf
    for row in above.tolist():
        who, when = int(series[row]), float(as_of_s[row])
        if who != current or when >= quiet_until:
            given.append(row)
            current, quiet_until = who, when + COOL_DOWN_S
    return np.array(given, dtype=np.int64)


def threshold_for(p60: FloatArray, series: IntArray, as_of_s: IntArray, budget_per_day: float) -> float:
    """Return the lowest threshold whose alerts stay within a budget.

    Parameters
    ----------
    p60 : FloatArray
        Shape (n,), 60-minute probabilities of usable rows.
    series, as_of_s : IntArray
        Shape (n,): whose, and when.
    budget_per_day : float
        Alerts a day over all series.

    Returns
    -------
    float
        Above every probability when not even one alert is allowed. A block of less than the budget's time
        may spend one whole alert.
    """
    allowed = int(np.ceil(budget_per_day * _days(as_of_s)))
    return _lowest(p60, lambda threshold: len(alerts(p60, threshold, series, as_of_s)) <= allowed)


def score_events(p60: FloatArray, rows: Rows, usable: BoolArray, false_per_day: float) -> EventScores:
    """Compare alerts with incidents at the lowest threshold that spends no more than a budget of false alarms.

    Parameters
    ----------
    p60 : FloatArray
        Shape (n,), 60-minute probabilities.
    rows : Rows
        What they are of.
    usable : BoolArray
        Shape (n,), rows on which an alert can be given and judged: before an incident, outcome known.
    false_per_day : float
        Wrong alerts a day over all series.
    """
    chosen = np.flatnonzero(usable)
    series, as_of, start = rows.series[chosen], rows.as_of_s[chosen], rows.next_start_s[chosen]
    p = p60[chosen]
    soon = (start - as_of <= COOL_DOWN_S) & (start <= rows.end_s)
    days = _days(as_of)

    def wrong(threshold: float) -> int:
        given = alerts(p, threshold, series, as_of)
        return len(given) - int(soon[given].sum())

    threshold = _lowest(p, lambda t: wrong(t) <= false_per_day * days)
    given = alerts(p, threshold, series, as_of)
    incidents = set(zip(series[soon].tolist(), start[soon].tolist(), strict=True))
    first: dict[tuple[int, float], float] = {}
    for i in given[soon[given]].tolist():
        first.setdefault((int(series[i]), float(start[i])), float(start[i] - as_of[i]))
    return EventScores(
        threshold=threshold,
        incidents=len(incidents),
        announced=len(first),
        alerts=len(given),
        right=int(soon[given].sum()),
        median_lead_s=float(np.median(list(first.values()))) if first else float("nan"),
        days=days,
    )


def _days(as_of_s: IntArray) -> float:
    """Return a block's length; one shorter than an hour is taken for an hour, so that rates stay finite."""
    return max(float(as_of_s.max() - as_of_s.min()) / _DAY_S, 1 / 24) if len(as_of_s) else 1.0


def _lowest(p: FloatArray, fits: Callable[[float], bool]) -> float:
    """Find the lowest probability that fits a budget, one above all of them when none does.

    Fewer rows above mean fewer alerts but for where a cool-down begins, so bisection finds one that fits.
    """
    values = np.unique(p)
    low, high = 0, len(values)
    while low < high:
        mid = (low + high) // 2
        if fits(float(values[mid])):
            high = mid
        else:
            low = mid + 1
    if low < len(values):
        return float(values[low])
    return float(np.nextafter(values[-1], 2.0)) if len(values) else 1.0
