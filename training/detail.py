"""What a backtest tells beside its scores: folds, curves, what carried, and every incident with what was said before it.

`training.walkforward` fills it; `training.report` hands it on as values, `training.page` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from models.calibration import reliability
from models.ensemble import ENSEMBLE
from models.hazard import cumulate, log_losses, reached
from models.recalibration import TOGETHER
from training.alerting import EventScores, alert_column, alerts, score_events
from training.categories import MIXTURE
from training.fit import Fitted, overlaps_of
from training.rows import Rows

__all__ = ["GROUPS", "Bin", "Budget", "Detail", "Fold", "Told", "coverage", "detail_of", "events_of", "iso", "json_of"]

GROUPS = 10
"""Groups of rows of a fold that coverage is a share of."""

_BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # false alarms a day of the curve
_BINS = 10
_SAMPLE = 20_000  # rows of a fold that the worth of groups is measured on
_TOLD = 400  # incidents that are told one by one, the newest
_SAID = 12  # forecasts that are told before each


@dataclass(frozen=True, slots=True)
class Bin:
    """A point of a reliability diagram: what was said, what happened with its 90 % interval, and in how many rows."""

    predicted: float
    observed: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True, slots=True)
class Budget:
    """A point of the alert curve: at so many false alarms a day, which share of incidents is announced, and of alerts right."""

    false_alarms_a_day: float
    threshold: float
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class Told:
    """An incident and what was said before it.

    Parameters
    ----------
    series : str
        Whose.
    start_s : float
        Unix seconds.
    lead_s : float or None
        How long before it the first alert came, None without one.
    threshold : float
        From which on an alert was due then, as earlier time had set it.
    said : tuple of (float, float)
        Seconds before the start, and the probability for the horizon of alerts then.
    """

    series: str
    start_s: float
    lead_s: float | None
    threshold: float
    said: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold.

    Parameters
    ----------
    begin_s, end_s : int
        Unix seconds of what it forecast.
    rows, trained_on : int
        Rows that it forecast, and incidents that it had learned from.
    weights : dict of str to float
        Stacking weight of each member, 0 where it was dropped.
    groups : dict of str to float
        Nats a row that the log loss grows by when a feature group's values are shuffled among the rows.
    coverage : float
        Share of ten groups of rows, each of as many expected incidents within the longest horizon, whose observed rate agrees with the
        stated interval, both being uncertain: 0.9 is right.
    notes : tuple of str
        What had to give.
    category_weights : dict of str to float
        Weight of each source of categories; empty where there are none.
    """

    begin_s: int
    end_s: int
    rows: int
    trained_on: int
    weights: dict[str, float]
    groups: dict[str, float]
    coverage: float
    notes: tuple[str, ...]
    category_weights: dict[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, fitted: Fitted, test: Rows, hazards: FloatArray, begin_s: int, end_s: int) -> Fold:
        """Describe a fitted fold, whose ensemble said `hazards` (n, intervals) of its rows."""
        record = fitted.record
        return cls(
            begin_s,
            end_s,
            len(test),
            record.events["refit"],
            record.weights,
            _worth(fitted, test, record.seed),
            _coverage(fitted, test, hazards),
            tuple(note for note in record.notes if not note.startswith("tested on")),
            dict(fitted.categories[MIXTURE].weights) if fitted.categories else {},
        )


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything beside the scores.

    Parameters
    ----------
    folds : tuple of Fold
        In order of time.
    deployed : dict of str to EventScores
        Alerts at the thresholds that earlier time had set, by forecaster.
    reliability : dict of str to tuple of Bin
        By horizon.
    budgets : tuple of Budget
        The ensemble's alert curve.
    incidents : tuple of Told
        The newest, by start.
    n_series : int
        Series that were forecast.
    """

    folds: tuple[Fold, ...]
    deployed: dict[str, EventScores]
    reliability: dict[str, tuple[Bin, ...]]
    budgets: tuple[Budget, ...]
    incidents: tuple[Told, ...]
    n_series: int

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "folds": [_plain(fold) | {"begin": iso(fold.begin_s), "end": iso(fold.end_s)} for fold in self.folds],
            "deployed": {name: events_of(scores) for name, scores in self.deployed.items()},
            "reliability": {name: [_plain(point) for point in bins] for name, bins in self.reliability.items()},
            "budgets": [_plain(point) for point in self.budgets],
            "series": self.n_series,
            "told": [_plain(told) | {"start": iso(told.start_s)} for told in self.incidents],
        }


def detail_of(
    hazards: Mapping[str, FloatArray],
    test: Rows,
    limit: FloatArray,
    folds: list[Fold],
    deployed: dict[str, EventScores],
) -> Detail:
    """Gather what a backtest tells.

    Parameters
    ----------
    hazards : mapping of str to FloatArray
        Shape (n, intervals) by forecaster.
    test : Rows
        The rows of all folds.
    limit : FloatArray
        Shape (n,), the ensemble's threshold for alerts at each row.
    folds, deployed
        As of `Detail`.
    """
    y, at_risk = test.targets()
    hit, known = reached(y, at_risk)
    p = cumulate(hazards[ENSEMBLE])
    diagrams = {
        horizon: _diagram(p[known[:, j], j], hit[known[:, j], j], test, horizon_s)
        for j, (horizon, horizon_s) in enumerate(test.horizons.items())
    }
    given_on = p[:, alert_column(test.horizons)]
    curve = tuple(_budget(score_events(given_on, test, known[:, -1], each)) for each in _BUDGETS)
    told = _told(given_on, np.where(known[:, -1], limit, np.inf), test)
    return Detail(tuple(folds), deployed, diagrams, curve, told, len(np.unique(test.series)))


def _diagram(p: FloatArray, hit: FloatArray, test: Rows, horizon_s: int) -> tuple[Bin, ...]:
    if not len(p):
        return ()
    steps = np.diff(np.unique(test.as_of_s))
    overlap = max(horizon_s / float(np.median(steps)), 1.0) if len(steps) else 1.0
    table = reliability(p, hit, n_bins=_BINS, overlap=overlap, by_mass=True)
    columns = (table.predicted, table.observed, table.lower, table.upper, table.rows)
    return tuple(Bin(a, b, c, d, int(n)) for a, b, c, d, n in zip(*(c.tolist() for c in columns), strict=True))


def _budget(scores: EventScores) -> Budget:
    return Budget(scores.false_alarms_a_day, scores.threshold, scores.recall, scores.precision)


def _told(p: FloatArray, limit: FloatArray, test: Rows) -> tuple[Told, ...]:
    """Return the newest incidents with what was said within the longest horizon before each."""
    alerted = np.zeros(len(p), dtype=np.bool_)
    alerted[alerts(p, limit, test.series, test.as_of_s, max(test.horizons.values()))] = True
    wait = test.next_start_s - test.as_of_s
    before = np.flatnonzero(wait <= max(test.horizons.values()))
    order = before[np.lexsort((test.as_of_s[before], test.series[before], test.next_start_s[before]))]
    if not len(order):
        return ()
    names = np.stack([test.next_start_s[order], test.series[order].astype(np.float64)])
    edges = np.append(np.flatnonzero(np.append(True, (np.diff(names, axis=1) != 0).any(axis=0))), len(order))
    return tuple(
        _one(order[begin:end], p, limit, alerted, test)
        for begin, end in zip(edges[-_TOLD - 1 : -1].tolist(), edges[1:][-_TOLD:].tolist(), strict=True)
    )


def _one(rows: IntArray, p: FloatArray, limit: FloatArray, alerted: BoolArray, test: Rows) -> Told:
    wait = test.next_start_s[rows] - test.as_of_s[rows]
    given, usable = np.flatnonzero(alerted[rows]), limit[rows][np.isfinite(limit[rows])]
    shown = np.unique(np.linspace(0, len(rows) - 1, _SAID).astype(np.int64))
    said = tuple(zip(wait[shown].tolist(), p[rows[shown]].tolist(), strict=True))
    first = rows[0]
    lead_s = float(wait[given[0]]) if len(given) else None
    threshold = float(usable[0]) if len(usable) else float("nan")
    return Told(str(test.keys[test.series[first]]), float(test.next_start_s[first]), lead_s, threshold, said)


def _worth(fitted: Fitted, test: Rows, seed: int) -> dict[str, float]:
    """Shuffle each group's columns among a sample of rows, and see what the log loss grows by.

    References
    ----------
    Breiman (2001), Random forests, Machine Learning 45 (permutation importance; here by group, since columns of a group say
    nearly the same).
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(test), min(_SAMPLE, len(test)), replace=False))
    part = test.take(rows)
    y, at_risk = part.targets()
    if not at_risk.any():
        return {}

    def loss(x: Float32Array) -> float:
        h = fitted.ensemble.hazards_of(ENSEMBLE, x)
        return float((log_losses(h, y) * at_risk).sum() / len(y))

    usual, worth = loss(part.x), dict[str, float]()
    for group in part.schema.groups:
        columns = list(part.schema.columns(group))
        other = part.x.copy()
        other[:, columns] = part.x[rng.permutation(len(part))][:, columns]
        worth[group] = loss(other) - usual
    return worth


def _coverage(fitted: Fitted, test: Rows, hazards: FloatArray) -> float:
    y, at_risk = test.targets()
    hit, known = reached(y, at_risk)
    rows = np.flatnonzero(known[:, -1])
    p = cumulate(hazards[rows])
    lower, upper = fitted.ensemble.bounds(p)
    overlap = TOGETHER * sum(overlaps_of(test))
    return coverage(p[:, -1], lower[:, -1], upper[:, -1], hit[rows, -1], overlap)


def coverage(said: FloatArray, lower: FloatArray, upper: FloatArray, outcome: FloatArray, overlap: float) -> float:
    """Return the share of groups whose observed rate is no farther from what was said than both their intervals allow.

    An observed rate is uncertain itself, by the few incidents behind it. Its distance from the true rate and that of the statement add
    up as independent errors do, so of right intervals of 90 % the share is 90 %.

    Parameters
    ----------
    said, lower, upper : FloatArray
        Shape (n,), probabilities and their stated intervals.
    outcome : FloatArray
        Shape (n,), 1 where it came, else 0.
    overlap : float
        Rows that share one outcome, at least 1.

    Returns
    -------
    float
        Of `GROUPS` groups by what was said, each of as many expected incidents; NaN of fewer rows than groups.

    Examples
    --------
    >>> said, outcome = np.full(40, 0.5), np.tile([0.0, 1.0], 20)
    >>> coverage(said, said - 0.1, said + 0.1, outcome, 1.0)
    1.0
    """
    if len(said) < GROUPS:
        return float("nan")
    order = np.argsort(said, kind="stable")
    expected = np.cumsum(said[order])
    inside: list[bool] = []
    for part in np.split(order, np.searchsorted(expected, expected[-1] * np.arange(1, GROUPS) / GROUPS)):
        if len(part):
            seen = reliability(said[part], outcome[part], n_bins=1, overlap=overlap)
            gap = float(seen.observed[0] - seen.predicted[0])
            stated = (upper[part].mean() if gap > 0 else lower[part].mean()) - seen.predicted[0]
            of_seen = (seen.lower[0] if gap > 0 else seen.upper[0]) - seen.observed[0]
            inside.append(abs(gap) <= float(np.hypot(stated, of_seen)))
    return float(np.mean(inside))


def iso(unix_s: float) -> str:
    """Return a time as RFC 3339 has it."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat()


def json_of(value: object) -> object:
    """Return a value as JSON has it; what is not finite is None."""
    if isinstance(value, tuple):
        return [json_of(part) for part in value]
    if isinstance(value, dict):
        return {name: json_of(part) for name, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _plain(one: Bin | Budget | Fold | Told) -> dict[str, object]:
    return {part.name: json_of(getattr(one, part.name)) for part in fields(one)}


def events_of(scores: EventScores) -> dict[str, object]:
    """Return scores of alerts as JSON values."""
    plain = {part.name: json_of(getattr(scores, part.name)) for part in fields(scores)}
    return plain | {name: json_of(getattr(scores, name)) for name in ("recall", "precision", "false_alarms_a_day")}
