"""Keeping a fitted forecaster calibrated after it was deployed: a map of log odds an interval that follows what came true.

`app.members` puts it behind what the live members say together, `training.walkforward` behind the ensemble of every fold: outcomes are
learned once their horizons have closed, after what was said of them.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import SnapshotMismatch
from models.hazard import from_logits, to_logits

__all__ = ["TOGETHER", "OnlineSigmoid", "Subjects"]

TOGETHER = 3.0
"""Series whose outcomes come together count as one so often. Guessed: an incident is seen by two or three services."""

_BEGIN = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
"""What each interval begins with: slope, intercept, how much both differ for quiet series, and the weight of a series' own record."""

_SD = np.array([0.2, 0.5, 0.4, 0.5, 0.5])
"""Deviations of the beginning. Guessed: a slope beyond 0.6 to 1.4, or odds wrong by more than a factor of 2.7, would surprise; quiet series
may differ from others by more."""

_RARE = -5.0
"""Log odds at which a slope of their own turns quiet series' forecasts: somewhere among those of rare events."""

_DOUBT = 1.0
"""Incidents, expected and seen alike, that are added to a series' record: one incident more than expected is then twice as many. Guessed."""

_NEWTON_STEPS = 8
_LARGEST_STEP = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """Whom forecasts are about, as it was known when they were made.

    Parameters
    ----------
    series : IntArray
        Shape (n,), number of each row's series; -1 for one that is none.
    quiet : BoolArray
        Shape (n, intervals), whether no incident of the series began within the horizon before.
    record : FloatArray
        Shape (n, intervals), what the series' record said, from `OnlineSigmoid.record`.
    """

    series: IntArray
    quiet: BoolArray
    record: FloatArray

    @classmethod
    def nobody(cls, n: int, n_intervals: int) -> Subjects:
        """Return quiet series without a record."""
        return cls(np.full(n, -1, np.int64), np.ones((n, n_intervals), dtype=np.bool_), np.zeros((n, n_intervals)))

    def take(self, chosen: BoolArray | IntArray) -> Subjects:
        """Return some of the rows."""
        return Subjects(self.series[chosen], self.quiet[chosen], self.record[chosen])

    def joined(self, other: Subjects) -> Subjects:
        """Return these rows and then those of another."""
        both = ((getattr(self, name), getattr(other, name)) for name in ("series", "quiet", "record"))
        return Subjects(*(np.concatenate(pair) for pair in both))


class OnlineSigmoid:
    """Slope and intercept of each interval's log odds, as a normal distribution that every batch of outcomes moves.

    Both may differ for quiet series, whose risk is told by less. Beyond that each series has a record: incidents that began and that were
    expected, of which the log of the ratio is added by a weight that is learned as well; so a series that is forecast too high again and
    again comes down, and one without a record is as the others are.

    It begins with what was said, so that few outcomes change little. Between two batches the distribution widens and records fade, so that
    old outcomes do.

    Parameters
    ----------
    overlaps : tuple of float
        One an interval, at least 1: rows of a series that share an outcome count as one together.
    keep : float
        Part of what is known that is kept from one batch to the next.

    References
    ----------
    Spiegelhalter, Lauritzen (1990), Sequential updating of conditional probabilities on directed graphical structures, Networks 20
    (Laplace approximation of logistic regression, one batch after the other).
    Platt (1999), Probabilistic outputs for support vector machines (the map).
    Bühlmann (1967), Experience rating and credibility, ASTIN Bulletin 4 (a member's own record beside that of all).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> said = np.full((4000, 1), 0.2)
    >>> came = (rng.random(said.shape) < 0.1).astype(float)
    >>> subjects = Subjects.nobody(4000, 1)
    >>> online = OnlineSigmoid((1.0,)).learn(said, subjects, came, came == came)
    >>> round(float(online.apply(said[:1], subjects.take(np.arange(1)))[0, 0]), 1)
    0.1
    """

    def __init__(self, overlaps: tuple[float, ...], keep: float = 0.98) -> None:
        self.overlaps = overlaps
        self.keep = keep
        self.means_: FloatArray = np.tile(_BEGIN, (len(overlaps), 1))
        self._prior: FloatArray = np.diag(_SD**-2)
        self.precisions_: FloatArray = np.tile(self._prior, (len(overlaps), 1, 1))
        self.records_: Float32Array = np.zeros((0, len(overlaps), 2), np.float32)
        """Shape (known series, intervals, 2): incidents that began, and that were expected."""
        self._known: IntArray = np.zeros(0, np.int64)  # numbers of the series with a record, ascending

    def apply(self, hazards: FloatArray, subjects: Subjects) -> FloatArray:
        """Return corrected hazards, shape (n, intervals)."""
        slopes, offsets = self.lines(subjects)
        return from_logits(to_logits(hazards) * slopes + offsets)

    def lines(self, subjects: Subjects) -> tuple[FloatArray, FloatArray]:
        """Return what the log odds of forecasts are multiplied by, at least 0, and what is added, shape (n, intervals) each."""
        slopes, offsets = self._shared(subjects)
        return slopes, offsets + self.means_[:, 4] * subjects.record

    def record(self, series: IntArray) -> FloatArray:
        """Return the log of how many incidents began for each one expected, shape (n, intervals); 0 without a record."""
        began, expected = np.moveaxis(self._records_of(series).astype(np.float64), 2, 0)
        return np.log((began + _DOUBT) / (expected + _DOUBT))

    def learn(self, hazards: FloatArray, subjects: Subjects, y: FloatArray, at_risk: BoolArray) -> Self:
        """Learn from outcomes.

        Parameters
        ----------
        hazards : FloatArray
            Shape (n, intervals), as the forecaster said them, uncorrected.
        subjects : Subjects
            Whom they were about, as it was known then: a record of today holds the very outcomes that are learned.
        y, at_risk : FloatArray, BoolArray
            Shape (n, intervals), what came; only what is at risk is looked at.
        """
        z = to_logits(hazards)
        for j, overlap in enumerate(self.overlaps):
            rows = at_risk[:, j]
            if not rows.any():
                continue
            quiet = subjects.quiet[rows, j].astype(np.float64)
            columns = (z[rows, j], np.ones(len(quiet)), quiet * (z[rows, j] - _RARE), quiet, subjects.record[rows, j])
            # What is forgotten falls back on the beginning, not on nothing.
            prior = self.keep * self.precisions_[j] + (1.0 - self.keep) * self._prior
            known = self.keep * self.precisions_[j] @ self.means_[j] + (1.0 - self.keep) * self._prior @ _BEGIN
            weight = 1.0 / (TOGETHER * overlap)
            self.means_[j], self.precisions_[j] = _laplace(
                np.stack(columns, axis=1), y[rows, j], weight, np.linalg.solve(prior, known), prior
            )
        self._note(z, subjects, y, at_risk)
        return self

    def _shared(self, subjects: Subjects) -> tuple[FloatArray, FloatArray]:
        """Return slopes and offsets without the series' records."""
        slope, intercept, quiet_slope, quiet_intercept, _ = self.means_.T
        slopes = slope + subjects.quiet * quiet_slope
        kept = np.maximum(slopes, 0.0)
        # A slope that may not be negative is turned to 0 where most forecasts are, so that their level stays.
        return kept, intercept + subjects.quiet * (quiet_intercept - _RARE * quiet_slope) + _RARE * (slopes - kept)

    def _note(self, z: FloatArray, subjects: Subjects, y: FloatArray, at_risk: BoolArray) -> None:
        """Add outcomes to the records of their series, beside what all series' correction made of the forecasts."""
        slopes, offsets = self._shared(subjects)
        named = subjects.series >= 0
        self._know(subjects.series[named])
        counted = at_risk[named] / np.array(self.overlaps)
        both = np.stack([y[named] * counted, expit(z * slopes + offsets)[named] * counted], axis=2)
        self.records_ *= self.keep
        np.add.at(self.records_, np.searchsorted(self._known, subjects.series[named]), both.astype(np.float32))

    def _know(self, series: IntArray) -> None:
        """Begin records of series that have none."""
        known = np.union1d(self._known, series)
        if len(known) > len(self._known):
            self._known, self.records_ = known, self._records_of(known)

    def _records_of(self, series: IntArray) -> Float32Array:
        found = np.zeros((len(series), len(self.overlaps), 2), np.float32)
        place = np.minimum(np.searchsorted(self._known, series), len(self._known) - 1)
        has = self._known[place] == series if len(self._known) else np.zeros(len(series), np.bool_)
        found[has] = self.records_[place[has]]
        return found

    def snapshot(self, series: IntArray) -> bytes:
        """Return what was learned as JSON, with the records of some series in that order; `restore` gives exactly the same numbers back."""
        state = {
            "version": 2,
            "means": self.means_.ravel().tolist(),
            "precisions": self.precisions_.ravel().tolist(),
            "records": b64encode(self._records_of(series).astype("<f4").tobytes()).decode(),
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes, series: IntArray) -> None:
        """Take what a snapshot had learned; records go to the series of these numbers, and nowhere where one is -1.

        Raises
        ------
        SnapshotMismatch
            When it is of another version or number of intervals.
        """
        state = json.loads(data)
        if state.get("version") != 2 or len(state["means"]) != self.means_.size:  # noqa: PLR2004 - the version
            raise SnapshotMismatch(
                f"recalibration snapshot is of version {state.get('version')} with {len(state.get('means', ()))} numbers, "
                f"expected version 2 with {self.means_.size}"
            )
        self.means_ = np.array(state["means"]).reshape(self.means_.shape)
        self.precisions_ = np.array(state["precisions"]).reshape(self.precisions_.shape)
        records = np.frombuffer(b64decode(state["records"]), "<f4").reshape(-1, len(self.overlaps), 2)
        kept = np.flatnonzero((series >= 0) & records.any(axis=(1, 2)))
        order = kept[np.argsort(series[kept])]
        self._known, self.records_ = series[order], records[order].copy()

    def join(self, other: OnlineSigmoid) -> None:
        """Take the records of series that have none here; what is learned of all series together stays as it is."""
        new = ~np.isin(other._known, self._known)
        known = np.concatenate([self._known, other._known[new]])
        order = np.argsort(known)
        self._known, self.records_ = known[order], np.concatenate([self.records_, other.records_[new]])[order]


def _laplace(
    columns: FloatArray, hit: FloatArray, weight: float, start: FloatArray, prior: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mode and precision of the weights of columns (n, k) after some outcomes."""
    mean, precision = start.copy(), prior
    for _ in range(_NEWTON_STEPS):
        p = expit(columns @ mean)
        gap, spread = weight * (hit - p), weight * p * (1.0 - p)
        slope = columns.T @ gap - prior @ (mean - start)
        precision = prior + (columns * spread[:, None]).T @ columns
        mean += np.clip(np.linalg.solve(precision, slope), -_LARGEST_STEP, _LARGEST_STEP)
    return mean, precision
