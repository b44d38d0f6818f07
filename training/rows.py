"""The rows that everything is learned from: what was known, of whom, when, and what came after.

`training.dataset` builds them from history, `training.split` cuts them by time, `training.fit` and
`training.evaluate` read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.schema import FeatureSchema
from features.series import SeriesKey
from models.hazard import intervals_of, labels
from models.prediction import HORIZONS

__all__ = ["Evidence", "Rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What spoke for the categories of incidents, for the rows before one.

    Parameters
    ----------
    place : IntArray
        Shape (n,), index into `counts` of each row, -1 where the longest horizon holds no incident of a known category.
    counts : Float32Array
        Shape (k, sources, 14), as known at the row, from `features.evidence.evidence`.
    """

    place: IntArray
    counts: Float32Array


@dataclass(frozen=True, slots=True)
class Rows:
    """Feature rows of many series with the time of the next incident.

    Parameters
    ----------
    x : Float32Array
        Shape (n, n_features), finite; what was known at ``as_of_s``.
    schema : FeatureSchema
        The columns of `x`.
    series : IntArray
        Shape (n,), index into `keys`.
    keys : tuple of SeriesKey
        All series.
    as_of_s : IntArray
        Shape (n,), unix seconds.
    next_start_s : FloatArray
        Shape (n,), unix seconds of the series' next incident start after ``as_of_s``, inf when none.
    end_s : int
        Unix seconds at which the observation ends; later is censored.
    eligible : BoolArray
        Shape (n,), False inside an incident and its recovery and where feedback forbids a label.
    undetected : BoolArray
        Shape (n,), True between an incident's start and its detection; scored apart, never learned from.
    category : IntArray
        Shape (n,), code of the next incident's category, -1 when unknown.
    observed_until_s : FloatArray or None
        Shape (n,), unix seconds until which what followed a row was observed; what a gap hides is censored,
        not negative. None means ``end_s``.
    horizons : mapping of str to int
        Seconds by name, ascending; those of the service by default.
    evidence : Evidence or None
        What spoke for categories; None where nothing has any.
    weight : FloatArray or None
        Shape (n,), how much each row counts in a member's fit, at least 1; None is 1 for all. Scores count every row once.

    Raises
    ------
    InvalidValue
        When shapes differ, a value is not finite, or a time contradicts another.
    """

    x: Float32Array
    schema: FeatureSchema
    series: IntArray
    keys: tuple[SeriesKey, ...]
    as_of_s: IntArray
    next_start_s: FloatArray
    end_s: int
    eligible: BoolArray
    undetected: BoolArray
    category: IntArray
    observed_until_s: FloatArray | None = None
    horizons: Mapping[str, int] = field(default_factory=lambda: HORIZONS)
    evidence: Evidence | None = None
    weight: FloatArray | None = None

    def __post_init__(self) -> None:
        n = len(self.as_of_s)
        if self.x.shape != (n, len(self.schema.features)):
            raise InvalidValue(f"x must be ({n}, {len(self.schema.features)}), got {self.x.shape}")
        for name in ("series", "as_of_s", "next_start_s", "eligible", "undetected", "category"):
            shape = getattr(self, name).shape
            if shape != (n,):
                raise InvalidValue(f"{name} must be ({n},), got {shape}")
        if n == 0:
            return
        if not np.isfinite(self.x).all():
            raise InvalidValue(f"x must be finite, got {int((~np.isfinite(self.x)).sum())} values that are not")
        if self.series.min() < 0 or self.series.max() >= len(self.keys):
            raise InvalidValue(f"series must index {len(self.keys)} keys, got [{self.series.min()}, {self.series.max()}]")
        if self.weight is not None and (self.weight.shape != (n,) or not (self.weight >= 1.0).all()):
            raise InvalidValue(
                f"weight must be ({n},) and at least 1, got {self.weight.shape} from {self.weight.min(initial=1.0)}"
            )
        if self.as_of_s.max() > self.end_s:
            raise InvalidValue(f"as_of_s must not be after end_s {self.end_s}, got {self.as_of_s.max()}")
        if not (self.next_start_s > self.as_of_s).all():
            raise InvalidValue("next_start_s must be after as_of_s or inf")

    def __len__(self) -> int:
        return len(self.as_of_s)

    def targets(self, until_s: int | None = None) -> tuple[FloatArray, BoolArray]:
        """Return labels and at-risk marks as known at a time.

        Parameters
        ----------
        until_s : int or None
            Unix seconds; what happened later is not looked at. None means ``end_s``.

        Returns
        -------
        y, at_risk : FloatArray, BoolArray
            Shape (n, horizons); rows that are not eligible or undetected are never at risk.
        """
        end_s = self.end_s if until_s is None else min(until_s, self.end_s)
        until = end_s if self.observed_until_s is None else np.minimum(end_s, self.observed_until_s)
        y, at_risk = labels(
            self.next_start_s - self.as_of_s,
            np.maximum(until - self.as_of_s, 0).astype(np.float64),
            intervals_of(self.horizons),
        )
        usable = (self.eligible & ~self.undetected)[:, None]
        return y * usable, at_risk & usable

    def take(self, chosen: BoolArray | IntArray) -> Rows:
        """Return some of the rows, with the same keys, schema and end."""
        return Rows(
            self.x[chosen],
            self.schema,
            self.series[chosen],
            self.keys,
            self.as_of_s[chosen],
            self.next_start_s[chosen],
            self.end_s,
            self.eligible[chosen],
            self.undetected[chosen],
            self.category[chosen],
            None if self.observed_until_s is None else self.observed_until_s[chosen],
            self.horizons,
            None if self.evidence is None else Evidence(self.evidence.place[chosen], self.evidence.counts),
            None if self.weight is None else self.weight[chosen],
        )

    def events(self) -> int:
        """Count the distinct incidents that begin within the longest horizon of a usable row."""
        y, _ = self.targets()
        hit = y.any(axis=1)
        return len(set(zip(self.series[hit].tolist(), self.next_start_s[hit].tolist(), strict=True)))
