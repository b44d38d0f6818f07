"""What an alert budget comes to: the lowest threshold whose pages stay within it on what was said before.

`app.alerts.fitting` asks once a day. The past is walked as `app.alerts.states` walks the present (a test compares
them), and the threshold is found as training finds one (`training.alerting`). No outcome is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from app.alerts.states import Bounds
from features.arrays import BoolArray, FloatArray, IntArray
from training.alerting import COOL_DOWN_S, alerts, lowest_threshold

__all__ = ["DAY_S", "Fit", "Page", "Said", "firings", "fit", "spent", "tail_threshold"]

DAY_S = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said of series, each one's in order of time.

    Parameters
    ----------
    p : FloatArray
        Shape (n,), probabilities; NaN where nothing could be said, as in an incident.
    series, page : IntArray
        Shape (n,): numbers of the series, rising, and of what a page is of.
    as_of_s : IntArray
        Shape (n,), unix seconds.
    """

    p: FloatArray
    series: IntArray
    page: IntArray
    as_of_s: IntArray

    @classmethod
    def ordered(cls, p: FloatArray, series: IntArray, page: IntArray, as_of_s: IntArray) -> Said:
        """Return what was said in any order, in order."""
        order = np.lexsort((as_of_s, series))
        return cls(p[order], series[order], page[order], as_of_s[order])

    def thinned(self, floor: float) -> Said:
        """Return it without what is below a floor and comes after the like: nothing changes at thresholds whose bound of the end is above."""
        low = self.p < floor
        again = np.r_[False, low[1:] & low[:-1] & (np.diff(self.series) == 0)]
        kept = np.flatnonzero(~again[: len(low)])
        return Said(self.p[kept], self.series[kept], self.page[kept], self.as_of_s[kept])

    @property
    def days(self) -> int:
        """On how many days of UTC something was said; where nothing could be, as in an incident, nothing was."""
        return len(np.unique(self.as_of_s[~np.isnan(self.p)] // DAY_S))


@dataclass(frozen=True, slots=True)
class Page:
    """How alerts begin, end and are counted.

    Parameters
    ----------
    resolve_ratio, min_duration_s : float
        See `app.alerts.states.Bounds`.
    group_s : float
        Seconds from a page's first alert within which further ones are part of it.
    stale_s : float
        Seconds of silence after which an alert is over.
    """

    resolve_ratio: float = 0.7
    min_duration_s: float = 0.0
    group_s: float = 3600.0
    stale_s: float = 900.0

    def bounds(self, threshold: float) -> Bounds:
        """Return when an alert begins and ends at a threshold."""
        return Bounds(threshold, threshold * self.resolve_ratio, self.min_duration_s)


@dataclass(frozen=True, slots=True)
class Fit:
    """A threshold, and what it would have come to.

    Parameters
    ----------
    threshold : float
        Above everything that was said where not even one page may be opened.
    alerts, pages : int
        Over all days; an alert that lasts for long costs several pages.
    days : int
        On how many something was said.
    """

    threshold: float
    alerts: int
    pages: int
    days: int


def firings(said: Said, bounds: Bounds, stale_s: float) -> IntArray:
    """Return the rows at which an alert fires.

    Examples
    --------
    >>> said = Said(np.array([0.1, 0.6, 0.4, 0.6, 0.2, 0.7]), np.zeros(6, np.int64), np.zeros(6, np.int64), np.arange(6) * 60)
    >>> firings(said, Bounds(0.5, 0.3), 900.0).tolist()
    [1, 5]
    """
    return _lives(said, bounds, stale_s)[0]


def _lives(said: Said, bounds: Bounds, stale_s: float) -> tuple[IntArray, IntArray]:
    """Return the rows at which an alert fires, and those at which one is firing."""
    if not len(said.p):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    apart = np.r_[True, (np.diff(said.series) != 0) | (np.diff(said.as_of_s) > stale_s)]
    stretch = np.cumsum(apart)
    rows = np.flatnonzero(~np.isnan(said.p))
    p, stretch, as_of_s = said.p[rows], stretch[rows], said.as_of_s[rows]
    met, kept = p >= bounds.fire, p >= bounds.resolve
    since = as_of_s[np.maximum.accumulate(np.where(_begins(met, stretch), np.arange(len(p)), 0))]
    ready = np.flatnonzero(met & (as_of_s - since >= bounds.min_duration_s))
    # What fires once is one alert for as long as it is not over, however often the threshold is met anew.
    life = np.cumsum(_begins(kept, stretch))
    lives, first = np.unique(life[ready], return_index=True)
    fired = ready[first]
    begun = np.full(int(life.max(initial=0)) + 1, len(p))
    begun[lives] = fired
    firing = np.flatnonzero(kept & (np.arange(len(p)) >= begun[life]))
    return rows[fired], rows[firing]


def _begins(holds: BoolArray, stretch: IntArray) -> BoolArray:
    """Return where something begins to hold: in the row before it did not, or that is of another stretch."""
    before = np.r_[False, holds[:-1] & (np.diff(stretch) == 0)]
    return holds & ~before


def spent(said: Said, firing: IntArray, group_s: float) -> int:
    """Return how many pages the rows at which alerts are firing cost.

    One that lasts for longer than a page takes further alerts in costs another: what fires all the time is no cheap alert.
    """
    of, again_s = (said.page, ceil(group_s)) if group_s > 0 else (said.series, COOL_DOWN_S)
    return len(alerts(np.ones(len(firing)), 0.5, of[firing], said.as_of_s[firing], cool_down_s=again_s))


def fit(said: Said, budget_per_day: float, page: Page) -> Fit:
    """Return the lowest threshold whose pages stay within a budget, on average over the days on which something was said.

    Parameters
    ----------
    said : Said
        In order.
    budget_per_day : float
        Pages a day; less than the budget's time may spend one whole page.
    page : Page
        How alerts begin, end and are counted.

    Examples
    --------
    >>> hours = np.arange(0, 10 * DAY_S, 3600)
    >>> p = np.where(hours % DAY_S == 0, 0.5, 0.1)
    >>> found = fit(Said(p, hours * 0, hours * 0, hours), 1.0, Page(stale_s=7200.0))
    >>> found.threshold, found.pages, found.days
    (0.5, 10, 10)
    """
    allowed, known = ceil(budget_per_day * said.days), said.p[~np.isnan(said.p)]

    def count(threshold: float) -> tuple[int, int]:
        fired, firing = _lives(said, page.bounds(threshold), page.stale_s)
        return len(fired), spent(said, firing, page.group_s)

    threshold = lowest_threshold(known, lambda one: count(one)[1] <= allowed)
    return Fit(threshold, *count(threshold), said.days)


def tail_threshold(budget_per_day: float, n_series: int, windows_per_day: float) -> float:
    """Return the score from which anomalies come as often as a budget allows, since a score says how rare a window is.

    Examples
    --------
    >>> round(tail_threshold(2.0, 10, 1440.0), 6)
    0.999861
    """
    return max(0.0, 1.0 - budget_per_day / (max(n_series, 1) * windows_per_day))
