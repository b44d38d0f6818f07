"""What an alert budget buys: which incidents a forecaster would have announced, how early, how wrongly.

`training.fit` finds a first threshold on the middle block; then thresholds follow what was said, day by day, within a budget that
counts all alerts, right or wrong. `training.walkforward` tells what these would have done. `training.evaluate` compares forecasters on
held-out rows at the threshold at which each just spends the same budget of false alarms there: an operating point, the same for all,
not a forecast of how many alerts there will be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from models.prediction import HORIZONS
from training.bootstrap import Blocks, Interval
from training.rows import Rows

__all__ = [
    "COOL_DOWN_S",
    "EventScores",
    "alert_column",
    "alerts",
    "followed_thresholds",
    "lowest_threshold",
    "score_events",
    "threshold_for",
]

COOL_DOWN_S = max(HORIZONS.values())
"""An alert speaks for its series for as long as its horizon; a second one within it would say the same."""

_DAY_S = 86_400.0

_MOST_STEPS = 100
"""Times that thresholds are found anew, so that years cost no more than months: every day up to a hundred days."""

_MADE_GOOD = 0.25
"""Part of the budget by which it is changed at most to make good what was spent before. Guessed."""

_WINDOW_S = 14 * 86_400
"""What thresholds look back on: twice a week, so that each day of it counts alike. Guessed."""


@dataclass(frozen=True, slots=True)
class EventScores:
    """Scores of alerts against incidents.

    Parameters
    ----------
    threshold : float
        Probability from which an alert was given: found on these very rows for a budget of false alarms, or the mean over the rows where
        each came with its own.
    incidents, announced : int
        Incidents with a usable row in the hour before, and those with an alert in that hour.
    alerts, right : int
        Alerts, and those that an incident followed within 60 minutes.
    median_lead_s, tenth_lead_s : float
        Median and 10th percentile of the time from an incident's first alert to its start; NaN when none was announced.
    days : float
        Length of the block.
    recall_interval, precision_interval, median_lead_interval, false_alarms_interval : tuple of float or None
        90 % block-bootstrap intervals; None where no blocks were given or there are too few.
    leads_s : tuple of float
        Of every incident that was announced.
    """

    threshold: float
    incidents: int
    announced: int
    alerts: int
    right: int
    median_lead_s: float
    tenth_lead_s: float
    days: float
    recall_interval: Interval | None = None
    precision_interval: Interval | None = None
    median_lead_interval: Interval | None = None
    false_alarms_interval: Interval | None = None
    leads_s: tuple[float, ...] = ()

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


def alert_column(horizons: Mapping[str, int]) -> int:
    """Return which horizon's probability alerts are given on: the middle one.

    An alert is right when an incident follows within the longest horizon, but the probability of a shorter one tells better what is
    close to it. Measured on shops with a fault a day, at two pages a day (``python -m benchmarks.shop_faults``, which prints all three).

    Examples
    --------
    >>> alert_column({"5min": 300, "15min": 900, "60min": 3600})
    1
    """
    return len(horizons) // 2


def alerts(
    p: FloatArray, threshold: FloatArray | float, series: IntArray, as_of_s: IntArray, cool_down_s: int = COOL_DOWN_S
) -> IntArray:
    """Return the rows at which an alert would have been given.

    The first row of a series at or above the threshold, then again after the cool-down.

    Examples
    --------
    >>> p = np.array([0.1, 0.6, 0.7, 0.9])
    >>> alerts(p, 0.5, np.zeros(4, np.int64), np.array([0, 60, 120, 3720])).tolist()
    [1, 3]
    """
    above = np.flatnonzero(p >= threshold)
    above = above[np.lexsort((as_of_s[above], series[above]))]
    given: list[int] = []
    current, quiet_until = -1, -np.inf
    for row, who, when in zip(above.tolist(), series[above].tolist(), as_of_s[above].tolist(), strict=True):
        if who != current or when >= quiet_until:
            given.append(row)
            current, quiet_until = who, when + cool_down_s
    return np.array(given, dtype=np.int64)


def threshold_for(
    p: FloatArray, series: IntArray, as_of_s: IntArray, budget_per_day: float, cool_down_s: int = COOL_DOWN_S
) -> float:
    """Return the lowest threshold whose alerts stay within a budget.

    Parameters
    ----------
    p : FloatArray
        Shape (n,), probabilities of usable rows for the horizon of alerts.
    series, as_of_s : IntArray
        Shape (n,): whose, and when.
    budget_per_day : float
        Alerts a day over all series.
    cool_down_s : int
        Seconds for which an alert speaks for its series: the longest horizon.

    Returns
    -------
    float
        Above every probability when not even one alert is allowed. A block of less than the budget's time
        may spend one whole alert.
    """
    allowed = int(np.ceil(budget_per_day * _days(as_of_s)))
    return lowest_threshold(p, lambda threshold: len(alerts(p, threshold, series, as_of_s, cool_down_s)) <= allowed)


def followed_thresholds(
    p: FloatArray,
    series: IntArray,
    as_of_s: IntArray,
    budget_per_day: float,
    first: FloatArray | float,
    *,
    cool_down_s: int = COOL_DOWN_S,
) -> FloatArray:
    """Return thresholds that follow what was said: each day's is the lowest that would have kept the budget in the days before it.

    A threshold that was found once spends too much or too little as soon as the level of the forecasts moves. What was spent too much,
    or too little, since the beginning is made good over the next days, by a quarter of the budget at most. No outcome is looked at, so that
    nothing has to mature.

    Parameters
    ----------
    p, series, as_of_s, budget_per_day, cool_down_s
        As for `threshold_for`; what was said, in any order.
    first : FloatArray or float
        Thresholds, shape (n,) or one, until something was said on a third of the fourteen days that are looked back on.

    Returns
    -------
    FloatArray
        Shape (n,).

    Examples
    --------
    >>> day = np.arange(0, 10 * 86_400, 3600)
    >>> p = np.where(day % 86_400 == 0, 0.5, 0.1)
    >>> followed_thresholds(p, np.zeros(len(p), np.int64), day, 1.0, 0.9)[[0, -1]].tolist()
    [0.9, 0.5]
    """
    limits = np.broadcast_to(np.asarray(first, np.float64), p.shape).copy()
    if not len(p):
        return limits
    begin = int(as_of_s.min())
    step_s = max(int(_DAY_S), (int(as_of_s.max()) - begin) // _MOST_STEPS)
    step = (as_of_s - begin) // step_s
    last: float | None = None
    spent = allowed = 0.0
    for number in np.unique(step).tolist():
        now = begin + number * step_s
        lately = np.flatnonzero((as_of_s < now) & (as_of_s >= now - _WINDOW_S))
        # Days of which nothing was said count for nothing: after a gap a few rows would set any threshold.
        if len(np.unique(as_of_s[lately] // int(_DAY_S))) * _DAY_S >= _WINDOW_S / 3:
            owed, most = (spent - allowed) / (_WINDOW_S / _DAY_S), _MADE_GOOD * budget_per_day
            budget = budget_per_day - min(max(owed, -most), most)
            last = threshold_for(p[lately], series[lately], as_of_s[lately], budget, cool_down_s)
        if last is not None:
            rows = np.flatnonzero(step == number)
            limits[rows] = last
            spent += len(alerts(p[rows], last, series[rows], as_of_s[rows], cool_down_s))
            allowed += budget_per_day * step_s / _DAY_S
    return limits


def score_events(
    p: FloatArray,
    rows: Rows,
    usable: BoolArray,
    false_per_day: float,
    *,
    threshold: FloatArray | float | None = None,
    blocks: Blocks | None = None,
) -> EventScores:
    """Compare alerts with incidents at the lowest threshold that spends no more than a budget of false alarms.

    Parameters
    ----------
    p : FloatArray
        Shape (n,), probabilities for the horizon of alerts.
    rows : Rows
        What they are of.
    usable : BoolArray
        Shape (n,), rows on which an alert can be given and judged: before an incident, outcome known.
    false_per_day : float
        Wrong alerts a day over all series.
    threshold : float or FloatArray, optional
        Another threshold, or one for each row; then the budget is not looked at.
    blocks : Blocks, optional
        Of the rows, for intervals.
    """
    chosen = np.flatnonzero(usable)
    series, as_of, start = rows.series[chosen], rows.as_of_s[chosen], rows.next_start_s[chosen]
    said, horizon_s = p[chosen], max(rows.horizons.values())
    soon = (start - as_of <= horizon_s) & (start <= rows.end_s)
    days = _days(as_of)

    def wrong(threshold: float) -> int:
        given = alerts(said, threshold, series, as_of, horizon_s)
        return len(given) - int(soon[given].sum())

    if threshold is None:
        threshold = lowest_threshold(said, lambda t: wrong(t) <= false_per_day * days)
    limits = threshold[chosen] if isinstance(threshold, np.ndarray) else threshold
    given = alerts(said, limits, series, as_of, horizon_s)
    before = np.flatnonzero(soon)
    _, first = np.unique(np.stack([series[before], start[before].astype(np.int64)]), axis=1, return_index=True)
    incident = before[first]  # the first row before each incident stands for it
    announced: dict[tuple[int, float], float] = {}
    for i in given[soon[given]].tolist():
        announced.setdefault((int(series[i]), float(start[i])), float(start[i] - as_of[i]))
    leads = np.array([announced.get((int(series[i]), float(start[i])), np.nan) for i in incident.tolist()])
    found = leads[np.isfinite(leads)]
    median, tenth = np.quantile(found, (0.5, 0.1)).tolist() if len(found) else (float("nan"), float("nan"))
    scores = EventScores(
        threshold=float(np.mean(threshold)),
        incidents=len(incident),
        announced=len(found),
        alerts=len(given),
        right=int(soon[given].sum()),
        median_lead_s=median,
        tenth_lead_s=tenth,
        days=days,
        leads_s=tuple(found.tolist()),
    )
    return scores if blocks is None else _with_intervals(scores, blocks.take(chosen), incident, leads, given, soon)


def _with_intervals(
    scores: EventScores, blocks: Blocks, incident: IntArray, leads: FloatArray, given: IntArray, soon: BoolArray
) -> EventScores:
    of_incident, of_alert = blocks.take(incident), blocks.take(given)
    hit, right = np.isfinite(leads).astype(np.float64), soon[given].astype(np.float64)
    size = blocks.counts.shape[1]
    wrong = blocks.counts @ np.bincount(of_alert.of_row, 1.0 - right, size)
    # A resample has as many blocks as there are, so it lasts as long as the whole.
    return replace(
        scores,
        recall_interval=blocks.interval(of_incident.mean(hit)),
        precision_interval=blocks.interval(of_alert.mean(right)),
        median_lead_interval=blocks.interval(_medians(of_incident, leads)),
        false_alarms_interval=blocks.interval(wrong / scores.days),
    )


def _medians(blocks: Blocks, leads: FloatArray) -> FloatArray:
    """Return each resample's median of the leads that are there; NaN without any."""
    order = np.argsort(leads)
    order = order[np.isfinite(leads[order])]
    if not len(order):
        return np.full(len(blocks.counts), np.nan)
    weight = np.cumsum(blocks.counts[:, blocks.of_row[order]], axis=1)
    place = np.argmax(weight >= weight[:, -1:] / 2.0, axis=1)
    return np.where(weight[:, -1] > 0, leads[order][place], np.nan)


def _days(as_of_s: IntArray) -> float:
    """Return a block's length; one shorter than an hour is taken for an hour, so that rates stay finite."""
    return max(float(as_of_s.max() - as_of_s.min()) / _DAY_S, 1 / 24) if len(as_of_s) else 1.0


def lowest_threshold(p: FloatArray, fits: Callable[[float], bool]) -> float:
    """Return the lowest probability that fits a budget, one above all of them when none does.

    Fewer rows above mean fewer alerts but for where a cool-down begins, so bisection finds one that fits. It begins at the
    top, since a budget lets few rows through and a low threshold costs time.

    Parameters
    ----------
    p : FloatArray
        Shape (n,), probabilities.
    fits : callable
        Whether a threshold stays within the budget.

    Examples
    --------
    >>> lowest_threshold(np.array([0.1, 0.6, 0.7]), lambda threshold: threshold > 0.5)
    0.6
    """
    values = np.unique(p)
    high = len(values)
    step = 64
    low = max(high - step, 0)
    while low > 0 and fits(float(values[low])):
        high, step = low, step * 4
        low = max(high - step, 0)
    while low < high:
        mid = (low + high) // 2
        if fits(float(values[mid])):
            high = mid
        else:
            low = mid + 1
    if low < len(values):
        return float(values[low])
    return float(np.nextafter(values[-1], 2.0)) if len(values) else 1.0
