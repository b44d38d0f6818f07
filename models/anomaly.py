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

from features.arrays import BoolArray, FloatArray
from features.errors import InvalidValue
from features.rings import Columns
from models.experts import EXPERTS, Experts
from models.frequencies import Frequencies, Scale

__all__ = ["WARM_TICKS", "Anomalies", "Detector", "Verdict"]

WARM_TICKS = 15
"""Values before which nothing is said."""

_EACH = Scale(
    low=-3.0, high=7.0, bins=20, believed=lambda octave: (1.0 + 2.0**octave) ** -1.5, weight=30.0, fade=np.inf, memory=20_000
)
"""Of one expert's statistic, by its logarithm to base 2. Of deviations a heavy tail is believed, so that a far outlier is more than a
near one even where neither was seen before."""

_TOGETHER = Scale(
    low=0.0,
    high=4.0,
    bins=40,
    believed=lambda mean: np.minimum(10.0 ** (-1.5 * (mean - 0.3)), 1.0),
    weight=2000.0,
    fade=3000.0,
    memory=50_000,
)
"""Of the weighted mean of all experts' surprise. Of stationary values it exceeds 0.55, 0.95 and 1.3 to 1.6 in one tick of ten, a hundred
and a thousand, whatever their distribution; the belief is heavier, so that a young series says less."""

_LEAST_TAIL = 1e-5
"""What an expert says at most: one alone is no anomaly without end."""

_BLOCKS, _BLOCK_TICKS = 4, 15
"""An episode: for 45 to 60 ticks after a surprise, only a greater one is another."""

_SIDE = 1.96 * 1.2533
"""Mean absolute deviations to each side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is said of a tick's values.

    Parameters
    ----------
    tail : FloatArray, shape (n,)
        How likely a value as unusual as this is, in (0, 1]: below 0.001 comes once in a thousand ticks. 1 before `WARM_TICKS`.
    begins : BoolArray, shape (n,)
        Whether it is more unusual than all of the last hour's ticks: an episode begins, or becomes worse.
    expected, lower, upper : FloatArray, shape (n,)
        The value that was expected, and the bounds of 95 % of values at this hour.
    """

    tail: FloatArray
    begins: BoolArray
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray


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
        self.each, self.together = Frequencies(len(EXPERTS), _EACH), Frequencies(1, _TOGETHER)
        self.columns = Columns(peaks=("f4", (_BLOCKS,), -1))

    def grow(self, length: int) -> None:
        """Make room for `length` series."""
        for columns in self.parts().values():
            columns.grow(length)

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name."""
        own = {"each": self.each.columns, "together": self.together.columns, "episodes": self.columns}
        return {**self.experts.parts(), **own}

    def advance(self, value: FloatArray, time_s: FloatArray, usual: BoolArray) -> Verdict:
        """Judge a tick's values, then learn them.

        Parameters
        ----------
        value, time_s : FloatArray, shape (n,)
            The values, finite, and when they were, in seconds since the epoch.
        usual : BoolArray, shape (n,)
            Which rows become part of what is usual; those of a known incident must not.

        Raises
        ------
        InvalidValue
            When a value or time is not finite.
        """
        if not (np.isfinite(value).all() and np.isfinite(time_s).all()):
            raise InvalidValue("value and time_s must be finite")
        opinion = self.experts.advance(value, time_s, usual)
        octaves = np.log2(np.maximum(opinion.statistics, 1e-9))
        surprise = -np.log10(np.maximum(self.each.tail(octaves), _LEAST_TAIL))
        weights = np.array(list(EXPERTS.values()))
        mean = np.zeros(len(value))
        for place, weight in enumerate((weights / weights.sum()).tolist()):
            mean += weight * surprise[:, place]
        mean = np.maximum(mean, 0.0)
        ticks = self.experts.columns["ticks"]
        warm = ticks > WARM_TICKS
        tail = np.where(warm, self.together.tail(mean[:, None])[:, 0], 1.0)
        begins = self._begins(np.where(warm, mean, 0.0), ticks.astype(np.int64))
        self.each.learn(octaves, usual)
        self.together.learn(mean[:, None], usual & warm)
        side = _SIDE * opinion.spread
        return Verdict(np.clip(tail, 1e-12, 1.0), begins, opinion.expected, opinion.expected - side, opinion.expected + side)

    def _begins(self, mean: FloatArray, ticks: FloatArray) -> BoolArray:
        """Return where a surprise is greater than all of an episode's length before, and note it."""
        peaks = self.columns["peaks"]
        next_block = ticks % _BLOCK_TICKS == 0
        peaks[next_block] = np.concatenate(
            [np.full((int(next_block.sum()), 1), -1, np.float32), peaks[next_block, :-1]], axis=1
        )
        mean = mean.astype(np.float32)
        begins = mean > peaks.max(1)
        peaks[:, 0] = np.maximum(peaks[:, 0], mean)
        return begins


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
        """Return one minus the tail probability, and 0 for what only continues an episode; then learn.

        Parameters
        ----------
        time : datetime or float
            Aware, or seconds since the epoch.
        value : float
            Finite.
        """
        time_s = time.timestamp() if isinstance(time, datetime) else time
        verdict = self._anomalies.advance(np.array([value], float), np.array([time_s], float), np.ones(1, np.bool_))
        return float(1.0 - verdict.tail[0]) if verdict.begins[0] else 0.0
