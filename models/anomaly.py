"""How unlikely the newest value of a series is, given everything before it: for all series at once, and for one.

`models.experts` says what is unusual about values; here every statistic becomes a streaming tail probability, these become one, and one
episode becomes one anomaly. `app.flow.forecast` gives every series' errors once a tick; what comes back goes into the
`models.prediction.Prediction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import InvalidValue
from features.rings import Columns
from models.experts import BELIEFS, EXPERTS, Experts
from models.frequencies import Frequencies, Scale
from models.tails import tail as count_tail

__all__ = ["ANOMALY", "EPISODE_TICKS", "WARM_TICKS", "Anomalies", "Counts", "Detector", "Verdict"]

ANOMALY = 1e-3
"""Tail up to which a tick is an anomaly: one in a thousand."""

WARM_TICKS = 15
"""Values before which nothing is said."""

_LOW = -3.0  # of the logarithm of a statistic to base 2: an eighth of what is usual, or of a range


def _each_believed(octave: FloatArray) -> FloatArray:
    """Return what is believed of the experts' statistics, and at last of the excess over expected counts, by their logarithms to base 2."""
    statistic = 2.0**octave
    beliefs = [BELIEFS[name].tail(statistic[:, place]) for place, name in enumerate(EXPERTS)]
    tail = np.stack([*beliefs, (1.0 + statistic[:, -1]) ** -1.5], axis=1)  # guessed, the last one: counts are bursty
    return np.where(octave > _LOW, tail, 1.0)


_EACH = Scale(low=_LOW, high=7.0, bins=20, believed=_each_believed, weight=30.0, memory=20_000, beyond=0.02)
"""Of one expert's statistic, by its logarithm to base 2. The rarest fiftieth is extrapolated: what an outlier is worth does not hang on the
age of its series."""


def _together_believed(mean: FloatArray) -> FloatArray:
    """Return what is believed of the weighted mean; a function with a name, so that a detector can be copied to another process."""
    return np.minimum(10.0 ** (-3.3 * (mean - 0.06)), 1.0)


_TOGETHER = Scale(
    low=0.0,
    high=4.0,
    bins=40,
    believed=_together_believed,
    weight=20_000.0,
    memory=50_000,
)
"""Of the weighted mean of all experts' surprise. The belief was fitted to the files for choosing, labelled windows left out."""

_LEAST_TAIL = 1e-5
"""What an expert says at most: one alone is no anomaly without end."""

_BLOCKS, _BLOCK_TICKS = 3, 20

EPISODE_TICKS = _BLOCKS * _BLOCK_TICKS
"""An episode: for 40 to 60 ticks after a surprise, only a greater one counts. Of 20 to 150 chosen on the files for choosing: all the same;
300 is worse."""

_GRADES = 3.0
"""Grades of a tail in a power of ten: only a higher grade makes an episode worse. Of 2 to 4 all the same on the files for choosing, and on
series made of them; every rise made several alarms of one."""

_LIFE = 100_000.0
"""Ticks from which on a series is no older."""

_COUNTS_WEIGHT = 2.0  # guessed: as much as the weightiest expert
_LEAST_DUE = 1e-300

_FEW, _FEW_TAIL = 3.0, 1e-2
"""Counts below which a tick is no anomaly, and the least tail there. Guessed: one or two errors are never an emergency by their number."""

_SIDE = 1.96 * 1.2533
"""Mean absolute deviations to each side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What a caller expects who knows more than the values: that they count, and how many there should be.

    Parameters
    ----------
    expected, dispersion : FloatArray, shape (n,)
        Mean, and variance over mean, of this tick's counts.
    """

    expected: FloatArray
    dispersion: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is said of a tick's values.

    Parameters
    ----------
    tail : FloatArray, shape (n,)
        How likely a value as unusual as this is, in (0, 1]: below 0.001 comes once in a thousand ticks. 1 before `WARM_TICKS`.
    begins : BoolArray, shape (n,)
        Whether it is more unusual by a grade than all of the last `EPISODE_TICKS`: an episode begins, or becomes worse.
    since : IntArray, shape (n,)
        Ticks since the newest anomaly began; -1 if it is longer ago than an episode lasts.
    expected, lower, upper : FloatArray, shape (n,)
        The value that was expected, and the bounds of 95 % of values at this hour.
    warm : BoolArray, shape (n,)
        Whether enough was seen to say anything, see `WARM_TICKS`.
    """

    tail: FloatArray
    begins: BoolArray
    since: IntArray
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray
    warm: BoolArray


class Anomalies:
    """Streaming tail probabilities of all series.

    Notes
    -----
    Nothing looks ahead, nothing is set for a series. A value is judged, then learned.

    Examples
    --------
    >>> anomalies, rng = Anomalies(), np.random.default_rng(0)
    >>> anomalies.grow(2)
    >>> for tick in range(500):
    ...     verdict = anomalies.advance(rng.normal(size=2), np.full(2, tick * 60.0), np.ones(2, np.bool_))
    >>> verdict = anomalies.advance(np.array([0.0, 20.0]), np.full(2, 500 * 60.0), np.ones(2, np.bool_))
    >>> (verdict.tail < 0.02).tolist(), verdict.begins.tolist()
    ([False, True], [False, True])
    """

    def __init__(self) -> None:
        self.experts = Experts()
        self.each, self.together = Frequencies(len(EXPERTS) + 1, _EACH), Frequencies(1, _TOGETHER)
        self.columns = Columns(peaks=("f4", (_BLOCKS,), 0), began=("u4", (), 0))

    def grow(self, length: int) -> None:
        """Make room for `length` series."""
        for columns in self.parts().values():
            columns.grow(length)

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name."""
        own = {"each": self.each.columns, "together": self.together.columns, "episodes": self.columns}
        return {**self.experts.parts(), **own}

    def advance(self, value: FloatArray, time_s: FloatArray, usual: BoolArray, counts: Counts | None = None) -> Verdict:
        """Judge a tick's values, then learn them.

        Parameters
        ----------
        value, time_s : FloatArray, shape (n,)
            The values, finite, and when they were, in seconds since the epoch.
        usual : BoolArray, shape (n,)
            Which rows become part of what is usual; those of a known incident must not.
        counts : Counts, optional
            One more expert: how many were due. Where it is given, only more than expected is heard of it, the bounds are those of
            counts, and few are no anomaly.

        Raises
        ------
        InvalidValue
            When a value or time is not finite.
        """
        if not (np.isfinite(value).all() and np.isfinite(time_s).all()):
            raise InvalidValue("value and time_s must be finite")
        opinion = self.experts.advance(value, time_s, usual)
        side = _SIDE * opinion.spread
        expected, lower, upper = opinion.expected, opinion.expected - side, opinion.expected + side
        weights, excess = np.array([*EXPERTS.values(), 0.0]), np.zeros(len(value))
        if counts is not None:
            due, lower, upper = count_tail(value, counts.expected, counts.dispersion)
            expected, excess = counts.expected, -np.log(np.maximum(due, _LEAST_DUE))
            weights[-1] = _COUNTS_WEIGHT
        octaves = np.log2(np.maximum(np.concatenate([opinion.statistics, excess[:, None]], axis=1), 1e-9))
        mean = _mean(-np.log10(np.maximum(self.each.tail(octaves), _LEAST_TAIL)), weights)
        ticks = self.experts.columns["ticks"].astype(np.int64)
        warm = ticks > WARM_TICKS
        tail = np.where(warm, np.clip(self.together.tail(mean[:, None])[:, 0], 1e-12, 1.0), 1.0)
        if counts is not None:
            tail = np.where(value < _FEW, np.maximum(tail, _FEW_TAIL), tail)
        begins = self._begins(_grade(tail), ticks)
        self.each.learn(octaves, usual)
        self.together.learn(mean[:, None], usual & warm)
        return Verdict(tail, begins, self._since(begins & (tail <= ANOMALY), ticks), expected, lower, upper, warm)

    def outstanding(self, verdict: Verdict) -> FloatArray:
        """Return how outstanding the newest values were in the lives of their series, in [0, 1), shape (n,); 0 for what continues an episode.

        What is as rare as a tail says comes the more often the longer a series lives, and people expect alarms by the month rather than
        by the tick. Half way between: the tail, by grades, times the square root of the age.
        """
        age = np.minimum(self.experts.columns["ticks"].astype(float), _LIFE)
        rare = 10.0 ** (-_grade(verdict.tail) / _GRADES) * np.sqrt(age / _LIFE)
        return np.where(verdict.begins, 1.0 - rare, 0.0)

    def _begins(self, grade: FloatArray, ticks: IntArray) -> BoolArray:
        """Return where a grade is higher than all of an episode's length before, and note it."""
        peaks = self.columns["peaks"]
        new_block = ticks % _BLOCK_TICKS == 0
        peaks[new_block, 1:] = peaks[new_block, :-1]
        peaks[new_block, 0] = 0.0
        begins = grade > peaks.max(1)
        peaks[:, 0] = np.maximum(peaks[:, 0], grade)
        return begins

    def _since(self, found: BoolArray, ticks: IntArray) -> IntArray:
        """Return ticks since an anomaly began, and note where one begins: what comes within an episode of another is the same."""
        began = self.columns["began"]
        within = (began > 0) & (ticks - began < EPISODE_TICKS)
        began[:] = np.where(found & ~within, ticks, began)
        return np.where(within | found, ticks - began, -1).astype(np.int64)


def _grade(tail: FloatArray) -> FloatArray:
    """Return how many thirds of a power of ten a tail is below 1."""
    return np.floor(-_GRADES * np.log10(tail))


def _mean(surprise: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted mean over experts, added in their order: so a series' result hangs on no other."""
    total = np.zeros(len(surprise))
    for place, weight in enumerate((weights / weights.sum()).tolist()):
        total += weight * surprise[:, place]
    return np.maximum(total, 0.0)


class Detector:
    """The same for one series, value by value.

    Examples
    --------
    >>> from datetime import UTC, timedelta
    >>> detector, start = Detector(), datetime(2026, 1, 1, tzinfo=UTC)
    >>> calm = [detector.score_one(start + timedelta(minutes=i), float(i % 5)) for i in range(400)]
    >>> detector.score_one(start + timedelta(minutes=400), 100.0) > 0.99 > max(calm[100:])
    True
    """

    def __init__(self) -> None:
        self._anomalies = Anomalies()
        self._anomalies.grow(1)

    def score_one(self, time: datetime | float, value: float) -> float:
        """Return how outstanding a value is, in [0, 1): `Anomalies.outstanding`; 0 for what only continues an episode. Then learn.

        Parameters
        ----------
        time : datetime or float
            Aware, or seconds since the epoch.
        value : float
            Finite.
        """
        time_s = time.timestamp() if isinstance(time, datetime) else time
        verdict = self._anomalies.advance(np.array([value], float), np.array([time_s], float), np.ones(1, np.bool_))
        return float(self._anomalies.outstanding(verdict)[0])
