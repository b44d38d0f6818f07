"""The rule that finds incidents: observed truth, never a model's opinion.

`broken` judges closed windows, `step` follows them window by window, `find` runs `step` over a whole
history. `features.memory` steps live, `training.dataset` steps over history: the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.batch import channel
from features.errors import InvalidValue
from features.rates import ratio, surprise
from features.series import SeriesKey

__all__ = ["Incident", "IncidentRule", "Standing", "broken", "find", "step"]

_TOTAL, _FAILED, _ERRORS = channel("total"), channel("failed"), channel("errors")


@dataclass(frozen=True, slots=True)
class Incident:
    """A longest interval in which a series broke its rule.

    Parameters
    ----------
    id : str
        Unique; the same when the log is read again.
    series : SeriesKey
        Whose.
    start, detected_at : datetime
        When the first window broke, and when the rule had seen enough of them.
    end : datetime or None
        Half-open end, None while it lasts.
    source : str
        ``rule``, or who reported it.
    category : str
        The category of most of its errors, ``unknown`` where there are none.

    Raises
    ------
    InvalidValue
        When the times are out of order.
    """

    id: str
    series: SeriesKey
    start: datetime
    detected_at: datetime
    end: datetime | None = None
    source: str = "rule"
    category: str = "unknown"

    def __post_init__(self) -> None:
        if self.detected_at < self.start or (self.end is not None and self.end < self.start):
            raise InvalidValue(f"start <= detected_at, end must hold, got {self.start}, {self.detected_at}, {self.end}")

    @classmethod
    def at(cls, series: SeriesKey, start_s: int, detected_s: int, end_s: int | None, category: str = "unknown") -> Incident:
        """Make an incident that the rule found, with an id from its start and series that fits into a path."""
        times = [None if s is None else datetime.fromtimestamp(s, UTC) for s in (start_s, detected_s, end_s)]
        start, detected, end = times
        assert start is not None
        assert detected is not None
        name = blake2b(str(series).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return cls(f"{start_s}-{name}", series, start, detected, end, "rule", category)


@dataclass(frozen=True, slots=True)
class IncidentRule:
    """When windows break, and when broken windows are an incident.

    Parameters
    ----------
    k, m : int
        An incident is detected when `k` of the last `m` windows broke, and over after `m` unbroken ones.
    min_errors : int
        Errors below which a window never breaks; ``m - 1`` more in the pool of the last `m` windows.
    min_ratio : float
        Share of failed requests that must be passed where there is traffic.
    absent : int
        Windows without expected traffic after which silence breaks the rule.
    improbability : float
        -log10 of the Poisson tail against the baseline that the errors must pass. 4: by chance once in
        ten thousand windows, about a week of minutes.

    Raises
    ------
    InvalidValue
        When ``1 <= k <= m <= 60`` does not hold.
    """

    k: int = 2
    m: int = 3
    min_errors: int = 3
    min_ratio: float = 0.05
    absent: int = 5
    improbability: float = 4.0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.m <= 60:  # noqa: PLR2004 - the fine windows that are kept
            raise InvalidValue(f"1 <= k <= m <= 60 must hold, got k={self.k}, m={self.m}")


def broken(windows: Float32Array | FloatArray, expected: FloatArray, heard: BoolArray, rule: IncidentRule) -> BoolArray:
    """Judge the newest of some windows.

    Parameters
    ----------
    windows : FloatArray, shape (n, w, WIDTH), w > rule.absent
        Closed windows, oldest first; the last one is judged.
    expected : FloatArray, shape (n, 4)
        `features.rhythm.Rhythm.expected` at the last window.
    heard : BoolArray, shape (n, w)
        Whether the tenant's telemetry arrived at all in each window: if everything is silent at once, it is
        the way to us that is broken, and nothing is known of the services.
    rule : IncidentRule
        The bounds.

    Returns
    -------
    BoolArray, shape (n,)
        True where errors pass every bound, or where expected traffic was absent for long enough.

    Notes
    -----
    Failed requests and errors are judged against their usual share at this hour times the traffic seen, so
    that a busy minute is no incident; without traffic (a service that only logs) the errors are judged
    against their usual number. Errors count apart from failed requests because a service may log what
    its spans do not say.
    """
    now = _too_many(windows[:, -1:], expected, rule.min_errors, rule)
    # At a few requests a minute one window says little: the pool of the rule's windows may say it together.
    pooled = _too_many(windows[:, -rule.m :], expected, rule.min_errors + rule.m - 1, rule)
    lately_wrong = windows[:, -1, _ERRORS] > 0
    # Silence is surprising where so many requests were due that none at all is improbable.
    lately = heard & (np.cumsum(heard[:, ::-1], axis=1)[:, ::-1] <= rule.absent)
    traffic = windows[:, :, _TOTAL]
    silent = heard[:, -1] & (lately.sum(1) == rule.absent) & (np.where(lately, traffic, 0.0).sum(1) == 0)
    due = expected[:, 0] * rule.absent
    absent = silent & (due / np.log(10.0) > rule.improbability) & (traffic.sum(1) > 0)
    return now | (pooled & lately_wrong) | absent


def _too_many(windows: Float32Array | FloatArray, expected: FloatArray, least: int, rule: IncidentRule) -> BoolArray:
    """Judge the sum of some windows by failed requests and by errors."""
    sums = windows.sum(1, dtype=float)
    total, failed, errors = sums[:, _TOTAL], sums[:, _FAILED], sums[:, _ERRORS]
    usual_share = ratio(expected[:, 1], expected[:, 0], 0.001, 100.0)
    by_share = (
        (failed >= least)
        & (ratio(failed, total) > np.maximum(rule.min_ratio, 2.0 * usual_share))
        & (surprise(failed, usual_share * total) > rule.improbability)
    )
    usual_errors = ratio(expected[:, 2], expected[:, 0], 0.001, 100.0) * total
    usual_errors = np.where(total > 0, usual_errors, expected[:, 2] * windows.shape[1])
    by_count = (
        (errors >= least)
        & ((total == 0) | (ratio(errors, total) > rule.min_ratio))
        & (surprise(errors, usual_errors) > rule.improbability)
    )
    return by_share | by_count


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Which series are in an incident after a window, and what just began or ended.

    Parameters
    ----------
    open_since : IntArray, shape (n,)
        Window in which the current incident began, -1 outside one.
    began, ended : BoolArray, shape (n,)
        Detected or closed by this very window.
    """

    open_since: IntArray
    began: BoolArray
    ended: BoolArray


def step(flags: BoolArray, window: int, open_since: IntArray, rule: IncidentRule) -> Standing:
    """Follow the rule by one window.

    Parameters
    ----------
    flags : BoolArray, shape (n, m)
        Whether each of the last `rule.m` windows broke, oldest first.
    window : int
        Number of the newest window.
    open_since : IntArray, shape (n,)
        Before it.

    Returns
    -------
    Standing
        After it. An incident starts at the first broken window of those that detected it.

    Examples
    --------
    >>> standing = step(np.array([[False, True, True]]), 10, np.array([-1]), IncidentRule())
    >>> standing.open_since.tolist(), standing.began.tolist()
    ([9], [True])
    """
    is_open = open_since >= 0
    enough = flags.sum(1) >= rule.k
    began = ~is_open & enough & flags[:, -1]
    first = window - (flags.shape[1] - 1) + flags.argmax(1)
    ended = is_open & ~flags.any(1)
    since = np.where(began, first, np.where(ended, -1, open_since))
    return Standing(since, began, ended)


def find(flags: BoolArray, first: int, rule: IncidentRule) -> list[tuple[int, int, int, int | None]]:
    """Find all incidents in a history of flags.

    Parameters
    ----------
    flags : BoolArray, shape (n, t)
        Whether each window broke.
    first : int
        Number of the first window.

    Returns
    -------
    list of (row, start window, window that detected it, end window or None)
        By detection. The end is half-open: the first unbroken window.

    Examples
    --------
    >>> find(np.array([[0, 0, 1, 1, 1, 0, 0, 0, 0]], bool), 100, IncidentRule())
    [(0, 102, 103, 105)]
    """
    n, length = flags.shape
    padded = np.concatenate([np.zeros((n, rule.m - 1), bool), flags], axis=1)
    open_since = np.full(n, -1, np.int64)
    found: list[tuple[int, int, int, int | None]] = []
    live: dict[int, int] = {}
    for t in range(length):
        standing = step(padded[:, t : t + rule.m], first + t, open_since, rule)
        for row in np.flatnonzero(standing.ended).tolist():
            start, detected = found[live[row]][1:3]
            found[live.pop(row)] = (row, start, detected, first + t - rule.m + 1)
        for row in np.flatnonzero(standing.began).tolist():
            live[row] = len(found)
            found.append((row, int(standing.open_since[row]), first + t, None))
        open_since = standing.open_since
    return found
