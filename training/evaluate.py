"""Score a fitted ensemble beside the baselines on rows that it has not seen.

`training.retrain` calls it between fit and gate; the command line prints `Report.table`, the API returns
`Report.to_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from features.arrays import BoolArray, FloatArray, IntArray
from models.calibration import calibration_slope, ece
from models.contract import Forecaster
from models.ensemble import ENSEMBLE, composed
from models.hazard import cumulate, log_losses, reached, to_logits
from training.alerting import EventScores, alert_column, score_events
from training.bootstrap import Blocks, average_precision, blocks_of
from training.categories import score_categories, tell
from training.choice import choose, serves_of
from training.fit import CLIMATOLOGY, Fitted
from training.report import Report, Scores, Served
from training.rows import Rows

__all__ = ["CHAMPION", "Scored", "Tables", "evaluate", "forecasts", "score", "since_start"]

CHAMPION = "champion"
"""Name of the serving model in a report."""

_BLOCK_S = 2 * 3600
"""Blocks of two horizons: labels overlap for one. A day then has twelve."""

_RISKIEST = 0.99
"""Rows from this quantile of what was said on are those that alerts come from."""

_SERVED = "served"

_RESAMPLES = 200
"""Enough for a 90 % interval."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A report with what the gate needs beside it.

    Parameters
    ----------
    report : Report
        For people.
    losses : dict of str to FloatArray
        Shape (n, intervals) by forecaster: log loss of each held-out row, 0 where it is not at risk.
    blocks : Blocks
        Resamples of the same rows.
    """

    report: Report
    losses: dict[str, FloatArray]
    blocks: Blocks


def evaluate(
    fitted: Fitted, rows: Rows, *, seed: int = 0, n_resamples: int = _RESAMPLES, champion: Forecaster | None = None
) -> Scored:
    """Score on the held-out block.

    Parameters
    ----------
    fitted : Fitted
        From `training.fit.fit` on the same rows.
    rows : Rows
        All rows.
    seed : int
        Of the resamples.
    n_resamples : int
        How many.
    champion : Forecaster, optional
        The serving model, scored beside it. If it was fitted on part of the block it is favoured.
    """
    _, at_risk = rows.targets()
    chosen = np.flatnonzero(fitted.record.split.test.rows & at_risk.any(axis=1))
    test = rows.take(chosen)
    tables = score(
        forecasts(fitted, test, champion),
        test,
        since_start(rows, chosen),
        budget_per_day=fitted.record.budget_per_day,
        seed=seed,
        n_resamples=n_resamples,
    )
    report = Report(
        horizons=tables.horizons,
        quiet=tables.quiet,
        events=tables.events,
        served=tables.served,
        weights=fitted.record.weights,
        n_events=fitted.record.events,
        n_rows=fitted.record.rows,
        test_begin_s=fitted.record.split.test.begin_s,
        test_end_s=fitted.record.split.test.end_s,
        budget_per_day=fitted.record.budget_per_day,
        notes=fitted.record.notes,
        categories=score_categories(tell(fitted.categories, test), test, seed),
    )
    return Scored(report, tables.losses, tables.blocks)


def forecasts(fitted: Fitted, test: Rows, champion: Forecaster | None = None) -> dict[str, FloatArray]:
    """Return the hazards (n, intervals) that every forecaster gives for rows, by its name."""
    hazards = {ENSEMBLE: fitted.ensemble.hazards_of(ENSEMBLE, test.x)}
    hazards |= {name: model.hazards(test.x) for name, model in fitted.ensemble.baselines}
    if champion is not None:
        hazards[CHAMPION] = champion.hazards(test.x)
    return hazards


@dataclass(frozen=True, slots=True)
class Tables:
    """Scores of some forecasts.

    Parameters
    ----------
    horizons, quiet : dict
        Scores by horizon and forecaster, of all rows and of quiet ones.
    events : dict of str to EventScores
        Of alerts, by forecaster.
    served : Served
        What would be served, and its scores.
    losses : dict of str to FloatArray
        Shape (n, intervals) by forecaster: log loss of each row, 0 where it is not at risk.
    blocks : Blocks
        Resamples of the rows.
    """

    horizons: dict[str, dict[str, Scores]]
    quiet: dict[str, dict[str, Scores]]
    events: dict[str, EventScores]
    served: Served
    losses: dict[str, FloatArray]
    blocks: Blocks


def score(
    hazards: Mapping[str, FloatArray],
    test: Rows,
    since_s: FloatArray,
    *,
    budget_per_day: float,
    seed: int = 0,
    n_resamples: int = _RESAMPLES,
) -> Tables:
    """Score forecasts of rows that are at risk in some interval.

    Parameters
    ----------
    hazards : mapping of str to FloatArray
        Shape (n, intervals) by forecaster; the ensemble, the baselines and the base rate are among them.
    test : Rows
        The rows.
    since_s : FloatArray
        Shape (n,), seconds since the series' last event, inf without one; a row is quiet at a horizon that is shorter.
    budget_per_day : float
        False alarms a day that every forecaster may spend.
    seed, n_resamples : int
        Of the resamples.
    """
    y, at_risk = test.targets()
    block_s = max(2 * max(test.horizons.values()), _BLOCK_S)
    blocks = blocks_of(test.as_of_s, block_s=block_s, n_resamples=n_resamples, seed=seed)
    hit, known = reached(y, at_risk)
    losses = {name: log_losses(h, y) * at_risk for name, h in hazards.items()}
    choices = choose(losses, at_risk, blocks, list(test.horizons))
    p = {name: cumulate(h) for name, h in hazards.items()}
    p_served = cumulate(composed(hazards, serves_of(choices)))
    everything: dict[str, dict[str, Scores]] = {}
    quiet: dict[str, dict[str, Scores]] = {}
    for j, (horizon, horizon_s) in enumerate(test.horizons.items()):
        column = {name: values[:, j] for name, values in p.items()}
        everything[horizon] = _scores(column | {_SERVED: p_served[:, j]}, hit[:, j], known[:, j], blocks)
        quiet[horizon] = _scores(column, hit[:, j], known[:, j] & (since_s > horizon_s), blocks)
    given_on = alert_column(test.horizons)
    events = {
        name: score_events(values[:, given_on], test, known[:, -1], budget_per_day, blocks=blocks)
        for name, values in (p | {_SERVED: p_served}).items()
        if name != CLIMATOLOGY
    }
    served = Served(choices, {horizon: by_name.pop(_SERVED) for horizon, by_name in everything.items()}, events.pop(_SERVED))
    return Tables(everything, quiet, events, served, losses, blocks)


def _scores(p: Mapping[str, FloatArray], hit: FloatArray, chosen: BoolArray, blocks: Blocks) -> dict[str, Scores]:
    """Score every forecaster at one horizon on some rows."""
    rows = np.flatnonzero(chosen)
    outcome, part = hit[rows], blocks.take(rows)
    if not len(rows):
        return {name: Scores.empty() for name in p}
    reference = (p[CLIMATOLOGY][rows] - outcome) ** 2
    model = p[ENSEMBLE][rows]
    versus = _Versus(log_losses(model, outcome), part.average_precision(model, outcome), part.auc(model, outcome))
    return {name: _score(values[rows], outcome, reference, versus, part) for name, values in p.items()}


@dataclass(frozen=True, slots=True)
class _Versus:
    """What the ensemble did on the same rows: losses (n,), and precision and area of every resample."""

    losses: FloatArray
    ap: FloatArray
    auc: FloatArray


def _score(p: FloatArray, hit: FloatArray, reference: FloatArray, versus: _Versus, blocks: Blocks) -> Scores:
    """Score one forecaster at one horizon."""
    positives = int(hit.sum())
    mixed = 0 < positives < len(hit)
    varied = mixed and np.ptp(p) > 0
    square = (p - hit) ** 2
    losses = log_losses(p, hit)
    skill = 1.0 - blocks.mean(square) / blocks.mean(reference)
    ap, auc = blocks.average_precision(p, hit), blocks.auc(p, hit)
    top = p >= np.quantile(p, _RISKIEST)
    expected = float(p[top].sum())
    return Scores(
        n=len(hit),
        positives=positives,
        base_rate=positives / len(hit),
        ap=average_precision(p, hit),
        auc=float(roc_auc_score(hit, p)) if mixed else float("nan"),
        brier_skill=float(1.0 - square.mean() / reference.mean()),
        ece=ece(p, hit),
        log_loss=float(losses.mean()),
        slope=calibration_slope(p, hit),
        ap_interval=blocks.interval(ap) if varied else None,
        brier_skill_interval=blocks.interval(skill) if positives else None,
        model_minus_this=float((versus.losses - losses).mean()),
        model_minus_this_interval=blocks.interval(blocks.mean(versus.losses - losses)),
        top_ratio=float(hit[top].sum()) / expected if expected > 0 else float("nan"),
        auc_interval=blocks.interval(auc) if varied else None,
        slope_interval=blocks.interval(blocks.slope(to_logits(p), hit)) if varied else None,
        top_ratio_interval=blocks.interval(blocks.ratio(hit * top, p * top)),
        ap_gain=float(np.nanmean(versus.ap - ap)) if mixed else float("nan"),
        ap_gain_interval=blocks.interval(versus.ap - ap) if mixed else None,
        auc_gain_interval=blocks.interval(versus.auc - auc) if mixed else None,
    )


def since_start(rows: Rows, chosen: IntArray) -> FloatArray:
    """Return seconds since the series' last incident start that any row knows of, inf without one.

    Parameters
    ----------
    rows : Rows
        All rows.
    chosen : IntArray
        Shape (n,), the rows that are asked about.
    """
    since, asked = np.full(len(chosen), np.inf), rows.series[chosen]
    order, mine = np.argsort(rows.series, kind="stable"), np.argsort(asked, kind="stable")
    ordered, asked_ordered = rows.series[order], asked[mine]
    for series in np.unique(asked).tolist():
        starts = np.unique(rows.next_start_s[order[slice(*np.searchsorted(ordered, (series, series + 1)))]])
        part = mine[slice(*np.searchsorted(asked_ordered, (series, series + 1)))]
        as_of_s = rows.as_of_s[chosen[part]]
        before = np.searchsorted(starts, as_of_s, side="right") - 1
        found = before >= 0
        since[part[found]] = as_of_s[found] - starts[before[found]]
    return since
