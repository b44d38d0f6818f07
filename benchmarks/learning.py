"""What a fit costs, and what it costs to forecast all series once.

    python -m benchmarks.learning [--rows 100000 1000000] [--series 10000] [--explained 200] [--seed N]

Simulated rows of 80 columns with a signal in a few of them, one incident in 200 rows; 2 jobs. A fit is all that a training run does
between rows and a fitted ensemble (`training.fit.fit`): three members and four baselines on the training block, stacking, calibration,
and everything once more on both blocks. Forecasting is `Ensemble.hazards` and `cumulate` for every series and three horizons.
Explaining is `Members.shares` of the riskiest rows, by members fitted on 24,000 rows of the live schema's columns and groups (simulated;
half of the columns are mostly 0, as counts are), and how far it is from the Shapley values of the served log odds, worked out for a few
rows by asking for every coalition of groups.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from app.champion import Champion
from app.members import Members
from features.arrays import Float32Array, FloatArray
from features.extract import SCHEMA
from features.schema import Feature, FeatureSchema
from features.series import SeriesKey
from models.ensemble import Ensemble
from models.explain import grouping
from models.hazard import cumulate
from models.linear import HazardLinear
from models.recalibration import Subjects
from models.tree_shares import shapley
from models.trees import HazardForest, HazardTrees
from training.fit import fit
from training.rows import Rows

__all__ = ["main", "simulated"]

_NAMED = ("incident_decay_1", "incident_decay_2", "incident_decay_3", "incident_rate", "incident_rate_seasonal")
_COLUMNS = 80
_SIGNALS = 6
_ROWS_A_SERIES = 1000
_FITTED = 24_000
_ENUMERATED = 10


def simulated(n: int, seed: int) -> Rows:
    """Return rows whose incidents follow some of their columns."""
    rng = np.random.default_rng(seed)
    names = (*_NAMED, *(f"column_{i}" for i in range(len(_NAMED), _COLUMNS)))
    schema = FeatureSchema(1, tuple(Feature(name, "any") for name in names))
    series, at = np.divmod(np.arange(n), _ROWS_A_SERIES)
    x = rng.normal(size=(n, _COLUMNS)).astype(np.float32)
    x[:, : len(_NAMED)] = np.abs(x[:, : len(_NAMED)])
    risk = x[:, -_SIGNALS:].sum(1) / np.sqrt(_SIGNALS)
    begins = rng.random(n) < 0.005 * np.exp(risk - 0.5)
    as_of_s = at * 60
    next_s = _next(begins, as_of_s + 150.0, series)
    keys = tuple(SeriesKey("default", f"s{i}", "*") for i in range(int(series.max()) + 1))
    usable, never = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    end_s = int(as_of_s.max()) + 3600
    return Rows(x, schema, series, keys, as_of_s, next_s, end_s, usable, never, np.full(n, -1, np.int64))


def _next(begins: np.ndarray, when: FloatArray, series: np.ndarray) -> FloatArray:
    """Return each row's next beginning in its series, inf without one."""
    start = np.where(begins, when, np.inf)
    for place in range(len(start) - 2, -1, -1):
        if series[place] == series[place + 1]:
            start[place] = min(start[place], start[place + 1])
    return start


def explain(n: int, seed: int) -> None:
    """Measure what explaining rows costs, and what the way over the intervals' log odds changes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(_FITTED, len(SCHEMA.features))).astype(np.float32)
    counts = rng.random(x.shape[1]) < 0.5
    x[:, counts] = np.where(rng.random((len(x), int(counts.sum()))) < 0.8, 0.0, 2.0 * np.abs(x[:, counts]))
    told = [SCHEMA.columns(group)[1] for group in ("errors", "warnings", "latency", "change", "neighbours", "incident_history")]
    risk = 0.002 * np.exp(x[:, told].sum(axis=1) / 2.0)
    y = (rng.random((len(x), 3)) < np.minimum(risk[:, None] * (1.0, 1.5, 3.0), 0.5)).astype(np.float64)
    at_risk = np.cumsum(y, axis=1) - y == 0
    y *= at_risk
    learners = {"trees": HazardTrees(seed=seed), "forest": HazardForest(seed=seed), "linear": HazardLinear(seed=seed)}
    named = tuple((name, learner.fit(x, y, at_risk)) for name, learner in learners.items())
    members = Members()
    members.promote(Champion("benchmark", Ensemble(named).fit(x, y, at_risk, n_events=0)))  # equal weights
    chosen, background = x[np.argsort(-members.logit60(x, _nobody(len(x))))[:n]], members.background(x)
    calls: dict[str, Callable[[], object]] = {
        name: partial(learner.shares, chosen, background, grouping(SCHEMA)) for name, learner in named
    }
    for name, call in (calls | {"all that is served": partial(members.shares, chosen, background, _nobody(n))}).items():
        took = 1000 * _median(call, time.process_time)
        print(f"explanation of {n} rows, {len(SCHEMA.groups)} groups: {name} {took:.0f} ms of processor time (median of 5)")
    some = np.concatenate([chosen[: _ENUMERATED // 2], x[: _ENUMERATED // 2]])
    exact, shares = _enumerated(members, some, background), members.shares(some, background, _nobody(len(some)))
    same = np.mean(np.abs(exact).argmax(axis=1) == np.abs(shares).argmax(axis=1))
    print(
        f"against every coalition of {len(some)} rows: mean share {np.abs(exact).mean():.3f}, mean difference "
        f"{np.abs(exact - shares).mean():.3f}, largest {np.abs(exact - shares).max():.3f}, same first group {same:.0%}"
    )


def _nobody(n: int) -> Subjects:
    return Subjects.nobody(n, 3)


def _median(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the median seconds of five calls by a clock."""
    took: list[float] = []
    for _ in range(5):
        begun = clock()
        call()
        took.append(clock() - begun)
    return float(np.median(took))


def _enumerated(members: Members, x: Float32Array, background: Float32Array) -> FloatArray:
    """Return the Shapley values (n, n_groups) of the served log odds."""
    held = np.arange(2 ** len(SCHEMA.groups))[:, None] >> grouping(SCHEMA) & 1
    games = [members.logit60(np.where(held, row, background).astype(np.float32), _nobody(len(held))) for row in x]
    return shapley(np.stack(games, axis=1)).T


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of fitting and forecasting.")
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--explained", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for n in asked.rows:
        rows = simulated(n, asked.seed)
        begun = time.perf_counter()
        fitted = fit(rows, seed=asked.seed, jobs=2)
        print(f"fit of {n:,} rows x {_COLUMNS} columns: {time.perf_counter() - begun:.1f} s")
        x = rows.x[: asked.series]
        took = _median(lambda x=x, ensemble=fitted.ensemble: cumulate(ensemble.hazards(x)), time.perf_counter)
        weights = {name: round(weight, 2) for name, weight in fitted.record.weights.items()}
        print(f"forecast of {len(x):,} series x 3 horizons: {took:.3f} s (median of 5); members {weights}")
    explain(asked.explained, asked.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
