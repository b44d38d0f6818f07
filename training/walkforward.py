"""The backtest: what a model, trained again and again on what was known, would have said of all that came after.

`training.backtest` is the function for data frames; `app.commands.backtest_command` gives `walk_forward` the rows of a
service's own history. Every fold is fitted and stacked on what lies before it, with a gap, and asked about what lies within it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from joblib.parallel import ParallelBackendBase, get_active_backend

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import InvalidValue
from models.ensemble import ENSEMBLE
from models.hazard import cumulate, intervals_of, reached
from models.recalibration import OnlineSigmoid, Subjects
from training.alerting import EventScores, alert_column, followed_thresholds, score_events
from training.categories import score_categories, tell
from training.dataset import from_events
from training.detail import Detail, Fold, detail_of
from training.evaluate import Tables, forecasts, score, since_start
from training.fit import CLIMATOLOGY, MEMBERS, Fitted, fit, overlaps_of
from training.report import Report
from training.rows import Rows
from training.split import SplitPlan

__all__ = ["Step", "WalkPlan", "backtest", "forecast_folds", "steps", "walk_forward"]

_MAX_ROWS = 1_500_000  # of a data frame's rows: 400 MB at 66 columns


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """How to walk.

    Parameters
    ----------
    folds : int
        Test blocks of equal length.
    first_share : float
        Part of the time before the first of them.
    middle_share : float
        Part of what lies before a fold that stacks and calibrates, its last.
    embargo_s : int
        Seconds between blocks beside the purge, see `training.split.SplitPlan`.
    budget_per_day : float
        Alerts a day over all series for thresholds that follow what was said, right or wrong; false ones where forecasters are
        compared at the same price.
    seed : int
        Of everything that has chance in it.
    jobs : int
        Members fitted at a time, see `training.fit.fit`.
    folds_at_once : int
        Folds walked at a time, where joblib's backend does not decide that itself; each holds its own copy of rows.
    members : tuple of str
        Of the ensemble, see `training.fit.fit`.
    """

    folds: int = 4
    first_share: float = 0.4
    middle_share: float = 0.25
    embargo_s: int = 6 * 3600
    budget_per_day: float = 2.0
    seed: int = 0
    jobs: int = 2
    folds_at_once: int = 1
    members: tuple[str, ...] = MEMBERS

    def __post_init__(self) -> None:
        if self.jobs < 1 or self.folds_at_once < 1:
            raise InvalidValue(f"jobs and folds_at_once must be >= 1, got {self.jobs}, {self.folds_at_once}")
        if self.folds < 1 or not 0 < self.first_share < 1 or not 0 < self.middle_share < 1:
            raise InvalidValue(
                f"folds must be >= 1 and shares in (0, 1), got {self.folds}, {self.first_share}, {self.middle_share}"
            )


def backtest(
    events: pd.DataFrame,
    *,
    incidents: pd.DataFrame | None = None,
    tick: str = "60s",
    horizons: Sequence[str] = ("5min", "15min", "60min"),
    seed: int = 0,
) -> Report:
    """Say honestly how well incidents could have been forecast from events.

    Parameters
    ----------
    events : DataFrame
        One row an error or a check, see `training.dataset.from_events`.
    incidents : DataFrame, optional
        `service`, `start`, `end` and optionally `operation`; without it every error is an incident of its own.
    tick : str
        Span between two rows of a series; more where there would be very many.
    horizons : sequence of str
        Ascending.
    seed : int
        Same data and seed, same report.

    Returns
    -------
    Report
        Scores of all folds together, with `Report.detail`.

    Raises
    ------
    InvalidValue
        When a frame holds what it must not, or too short a time for folds.

    References
    ----------
    Bergmeir, Benítez (2012), On the use of cross-validation for time series predictor evaluation, Information Sciences 191.
    López de Prado (2018), Advances in Financial Machine Learning, chapter 7 (purging and embargo).
    """
    dataset = from_events(events, incidents=incidents, tick=tick, horizons=horizons, max_rows=_MAX_ROWS)
    return walk_forward(dataset.rows, WalkPlan(seed=seed))


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one fold said.

    Parameters
    ----------
    rows : IntArray
        Shape (n,), the rows that it forecast.
    hazards : dict of str to FloatArray
        Shape (n, intervals), by forecaster.
    thresholds : dict of str to float
        For the budget, by forecaster, as the fold's fit set them: the first ones, until what is said is followed.
    fold : Fold
        What it was fitted on.
    categories : dict of str to FloatArray
        What was told of the rows before incidents, see `training.categories.tell`.
    """

    rows: IntArray
    hazards: dict[str, FloatArray]
    thresholds: dict[str, float]
    fold: Fold
    categories: dict[str, FloatArray]


def steps(rows: Rows, plan: WalkPlan) -> Iterator[Step]:
    """Fit on what lies before each fold, and forecast it.

    Parameters
    ----------
    rows : Rows
        All rows, of any schema.
    plan : WalkPlan
        How to walk.

    Yields
    ------
    Step
        In order of time. What lies behind a fold's end changes nothing in it.

    Raises
    ------
    InvalidValue
        When there are no rows, or too short a time before a fold.
    """
    for (begin_s, end_s), fitted, chosen, test, hazards in _forecast_each(rows, plan):
        fold = Fold.of(fitted, test, hazards[ENSEMBLE], begin_s, end_s)
        yield Step(chosen, hazards, fitted.record.thresholds, fold, tell(fitted.categories, test))


def forecast_folds(rows: Rows, plan: WalkPlan) -> tuple[IntArray, dict[str, FloatArray]]:
    """Forecast every fold as `steps` does, and say nothing of how.

    Parameters
    ----------
    rows, plan
        As for `steps`.

    Returns
    -------
    chosen : IntArray
        Shape (n,), the rows of all folds.
    hazards : dict of str to FloatArray
        Shape (n, intervals), by forecaster.
    """
    found: list[IntArray] = []
    said: list[dict[str, FloatArray]] = []
    for forecast in _forecast_each(rows, plan):
        found.append(forecast.chosen)
        said.append(forecast.hazards)
    return np.concatenate(found), {name: np.concatenate([hazards[name] for hazards in said]) for name in said[0]}


def walk_forward(rows: Rows, plan: WalkPlan, progress: Callable[[float], None] | None = None) -> Report:
    """Forecast every fold from what lies before it, and score all folds together.

    Parameters
    ----------
    rows, plan
        As for `steps`.
    progress : callable, optional
        Told the share done.
    """
    walked: list[Step] = []
    for step in steps(rows, plan):
        walked.append(step)
        if progress is not None:
            progress(len(walked) / plan.folds)
    chosen = np.concatenate([step.rows for step in walked])
    hazards = {name: np.concatenate([step.hazards[name] for step in walked]) for name in walked[0].hazards}
    test, folds = rows.take(chosen), [step.fold for step in walked]
    tables = score(hazards, test, since_start(rows, chosen), budget_per_day=plan.budget_per_day, seed=plan.seed)
    limits = {name: _limits(walked, hazards[name], test, name, plan) for name in hazards if name != CLIMATOLOGY}
    detail = detail_of(hazards, test, limits[ENSEMBLE], folds, _deployed(hazards, test, limits, tables))
    told = {name: np.concatenate([step.categories[name] for step in walked]) for name in walked[0].categories}
    report = _report(rows, test, tables, folds, plan, detail)
    return replace(report, categories=score_categories(told, test, plan.seed))


_Done: TypeAlias = tuple[Fitted, IntArray, dict[str, FloatArray]]


class _Forecast(NamedTuple):
    """A fold's ends, what was fitted before it, its usable rows, and what was said of them by forecaster."""

    ends_s: tuple[int, int]
    fitted: Fitted
    chosen: IntArray
    test: Rows
    hazards: dict[str, FloatArray]


def _forecast_each(rows: Rows, plan: WalkPlan) -> Iterator[_Forecast]:
    _, at_risk = rows.targets()
    usable = at_risk.any(axis=1)
    edges = _edges(rows, plan)
    # In order and one by one, where the backend can: whoever waits is told of each fold.
    backend = cast("ParallelBackendBase", get_active_backend()[0])
    returns = "generator" if backend.supports_return_generator else "list"
    walk = Parallel(n_jobs=plan.folds_at_once, return_as=returns)
    done = cast("Iterable[_Done]", walk(delayed(_forecast_one)(rows, usable, ends_s, plan) for ends_s in edges))
    for ends_s, (fitted, chosen, hazards) in zip(edges, done, strict=True):
        yield _Forecast(ends_s, fitted, chosen, rows.take(chosen), hazards)


def _forecast_one(rows: Rows, usable: BoolArray, ends_s: tuple[int, int], plan: WalkPlan) -> _Done:
    begin_s, end_s = ends_s
    fitted = _fit_before(rows, begin_s, end_s, plan)
    chosen = np.flatnonzero(usable & (rows.as_of_s >= begin_s) & (rows.as_of_s < end_s))
    test = rows.take(chosen)
    hazards = forecasts(fitted, test)
    hazards[ENSEMBLE] = _kept_calibrated(hazards[ENSEMBLE], test, since_start(rows, chosen))
    return fitted, chosen, hazards


def _edges(rows: Rows, plan: WalkPlan) -> list[tuple[int, int]]:
    if not len(rows):
        raise InvalidValue("rows must not be empty")
    begin, end = int(rows.as_of_s.min()), int(rows.as_of_s.max()) + 1
    edges = np.linspace(begin + plan.first_share * (end - begin), end, plan.folds + 1).astype(np.int64).tolist()
    return list(pairwise(edges))


def _fit_before(rows: Rows, begin_s: int, end_s: int, plan: WalkPlan) -> Fitted:
    """Fit as it would have been fitted at the fold's begin; what lies behind its end is not even looked at."""
    upto = rows.take(rows.as_of_s < end_s)
    span = int(upto.as_of_s.max()) + 1 - int(upto.as_of_s.min())
    test_share = (int(upto.as_of_s.max()) + 1 - begin_s) / span
    embargo_s = max(plan.embargo_s, *rows.horizons.values())
    cut = SplitPlan(test_share, plan.middle_share * (1.0 - test_share), embargo_s)
    jobs = max(1, plan.jobs // plan.folds_at_once)
    return fit(upto, seed=plan.seed, jobs=jobs, budget_per_day=plan.budget_per_day, plan=cut, members=plan.members)


def _kept_calibrated(hazards: FloatArray, test: Rows, since_s: FloatArray) -> FloatArray:
    """Return what a deployed ensemble would have said: corrected by those of its own forecasts that had come true or not by then."""
    intervals = intervals_of(test.horizons)
    longest_s, n = intervals[-1][1], len(test)
    corrected = hazards.copy()
    online = OnlineSigmoid(overlaps_of(test))
    quiet = since_s[:, None] > np.array(list(test.horizons.values()))
    y, at_risk = test.targets()
    order = np.argsort(test.as_of_s, kind="stable")
    as_of_s = test.as_of_s[order]
    edges = np.arange(as_of_s[0], as_of_s[-1] + 1, longest_s) if n else np.zeros(0)
    places = np.append(np.searchsorted(as_of_s, edges), n).tolist()
    # A batch is as long as the longest horizon: when one begins, the one before the last has come to its end.
    batches = [order[begin:end] for begin, end in pairwise(places)]
    asked: list[Subjects] = []
    for number, batch in enumerate(batches):
        if number > 1:
            due = batches[number - 2]
            online.learn(hazards[due], asked[number - 2], y[due], at_risk[due])
        asked.append(Subjects(test.series[batch], quiet[batch], online.record(test.series[batch])))
        corrected[batch] = online.apply(hazards[batch], asked[number])
    return corrected


def _limits(walked: Sequence[Step], hazards: FloatArray, test: Rows, name: str, plan: WalkPlan) -> FloatArray:
    """Return thresholds (n,) as they could have been set in service: the fit's at first, then those that follow what was said."""
    first = np.concatenate([np.full(len(step.rows), step.thresholds[name]) for step in walked])
    p = cumulate(hazards)[:, alert_column(test.horizons)]
    longest_s = max(test.horizons.values())
    return followed_thresholds(p, test.series, test.as_of_s, plan.budget_per_day, first, cool_down_s=longest_s)


def _deployed(
    hazards: dict[str, FloatArray], test: Rows, limits: dict[str, FloatArray], tables: Tables
) -> dict[str, EventScores]:
    """Return what alerts would have done at the thresholds (n,) that earlier time had set for the budget."""
    y, at_risk = test.targets()
    _, known = reached(y, at_risk)
    return {
        name: score_events(
            cumulate(hazards[name])[:, alert_column(test.horizons)],
            test,
            known[:, -1],
            0.0,
            threshold=limit,
            blocks=tables.blocks,
        )
        for name, limit in limits.items()
    }


def _report(rows: Rows, test: Rows, tables: Tables, folds: list[Fold], plan: WalkPlan, detail: Detail) -> Report:
    names = list(folds[0].weights)
    weights = {name: float(np.mean([fold.weights[name] for fold in folds])) for name in names}
    notes = tuple(dict.fromkeys(note for fold in folds for note in fold.notes))
    events = {"test": tables.events[ENSEMBLE].incidents, "all": rows.events()}
    return Report(
        horizons=tables.horizons,
        quiet=tables.quiet,
        events=tables.events,
        served=tables.served,
        weights=weights,
        n_events=events,
        n_rows={"test": len(test), "all": len(rows)},
        test_begin_s=int(test.as_of_s.min()),
        test_end_s=int(test.as_of_s.max()) + 1,
        budget_per_day=plan.budget_per_day,
        notes=notes,
        detail=detail,
    )
