"""The backtest: folds that cannot see ahead, scores beside the baselines, and nothing where there is nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import training
from features.arrays import FloatArray
from features.errors import InvalidValue
from models.ensemble import ENSEMBLE
from tests.training_rows import of_categories, simulated_rows
from training import walkforward
from training.categories import MIXTURE
from training.dataset import from_events
from training.evaluate import since_start
from training.report import Report
from training.rows import Rows
from training.walkforward import Step, WalkPlan, forecast_folds, steps, walk_forward

BEGIN = pd.Timestamp("2026-01-01", tz="UTC")
DAYS = 120
PLAN = WalkPlan(folds=2)


def stream(seed: int, *, excited: bool) -> pd.DataFrame:
    """Return events of 12 series: at random, or each calling for others within hours (a Hawkes process)."""
    rng = np.random.default_rng(seed)
    found: list[tuple[float, int]] = []
    for series in range(12):
        waiting = np.sort(rng.uniform(0, DAYS * 24, rng.poisson(DAYS * (0.15 if excited else 0.5)))).tolist()
        while waiting:
            at = waiting.pop()
            found.append((at, series))
            if excited:
                waiting += [t for t in at + rng.exponential(3.0, rng.poisson(0.7)) if t < DAYS * 24]
    hours, series = np.array(sorted(found)).T
    named = [f"op{int(n) % 4}" for n in series]
    services = [f"s{int(n) // 4}" for n in series]
    return pd.DataFrame({"time": BEGIN + pd.to_timedelta(hours, unit="h"), "service": services, "operation": named})


def rows_of(events: pd.DataFrame) -> Rows:
    return from_events(events, tick="1h", horizons=("6h", "24h")).rows


@pytest.fixture(scope="module")
def report() -> Report:
    return walk_forward(rows_of(stream(1, excited=True)), PLAN)


def test_events_that_call_for_events_are_forecast_better_than_by_chance(report: Report) -> None:
    mine, rate = (report.horizons["6h"][name] for name in (ENSEMBLE, "rate"))
    assert mine.ap > 3 * mine.base_rate
    assert rate.ap_gain_interval is not None
    assert rate.ap_gain_interval[0] > 0
    assert rate.model_minus_this_interval is not None
    assert rate.model_minus_this_interval[1] < 0
    assert 0.7 < mine.slope < 1.4
    for value, interval in (
        (mine.slope, mine.slope_interval),
        (mine.auc, mine.auc_interval),
        (mine.top_ratio, mine.top_ratio_interval),
    ):
        assert interval is not None
        assert interval[0] < value < interval[1]


def test_quiet_rows_had_no_event_within_the_horizon(report: Report) -> None:
    for horizon, by_name in report.quiet.items():
        assert 0 < by_name[ENSEMBLE].n < report.horizons[horizon][ENSEMBLE].n
        assert by_name[ENSEMBLE].base_rate < report.horizons[horizon][ENSEMBLE].base_rate


def test_random_events_are_forecast_at_their_base_rate_and_serve_no_model() -> None:
    calm = walk_forward(rows_of(stream(2, excited=False)), PLAN)
    for by_name in calm.horizons.values():
        mine = by_name[ENSEMBLE]
        assert mine.ap == pytest.approx(mine.base_rate, rel=0.25)
    assert ENSEMBLE not in calm.serves.values()


def walked(events: pd.DataFrame) -> list[Step]:
    return list(steps(rows_of(events), PLAN))


def test_what_comes_after_a_fold_changes_nothing_in_it() -> None:
    events = stream(3, excited=True)
    first = walked(events)[0]
    later = events["time"] > pd.Timestamp(first.fold.end_s, unit="s", tz="UTC")
    rng, changed = np.random.default_rng(0), events.copy()
    changed.loc[later, "operation"] = rng.permutation(events.loc[later, "operation"].to_numpy())
    again = walked(changed)[0]
    assert (first.fold.begin_s, first.fold.end_s, first.thresholds) == (again.fold.begin_s, again.fold.end_s, again.thresholds)
    known = rows_of(events).as_of_s[first.rows] + 24 * 3600 <= first.fold.end_s  # later ones may be within other incidents
    mine, theirs = (dict(zip(step.rows.tolist(), step.hazards[ENSEMBLE].tolist(), strict=True)) for step in (first, again))
    assert all(mine[row] == theirs[row] for row in first.rows[known].tolist())
    assert known.sum() > 1000


def test_forecasts_alone_are_those_of_the_steps() -> None:
    rows = rows_of(stream(3, excited=True))
    chosen, hazards = forecast_folds(rows, PLAN)
    expected = list(steps(rows, PLAN))
    assert (chosen == np.concatenate([step.rows for step in expected])).all()
    for name, values in hazards.items():
        assert (values == np.concatenate([step.hazards[name] for step in expected])).all()


def kept_calibrated(rows: Rows) -> FloatArray:
    """Return what a forecaster that cries wolf is corrected to by what comes."""
    said = np.full((len(rows), 3), 0.3)
    return walkforward._kept_calibrated(said, rows, since_start(rows, np.arange(len(rows))))  # pyright: ignore[reportPrivateUsage]


def test_forecasts_are_corrected_by_outcomes_that_were_known_then_and_by_no_later_ones() -> None:
    rows = simulated_rows(n_series=4, n_noise=0)
    cut_s = int(np.quantile(rows.as_of_s, 0.6))
    later = replace(rows, next_start_s=np.where(rows.next_start_s > cut_s, np.inf, rows.next_start_s))
    before, corrected = rows.as_of_s + 3600 <= cut_s, kept_calibrated(rows)
    assert (corrected[before] == kept_calibrated(later)[before]).all()
    assert (corrected[~before] != kept_calibrated(later)[~before]).any()
    end = rows.as_of_s >= np.quantile(rows.as_of_s, 0.9)
    assert np.abs(corrected[end].mean() - rows.targets()[0][end].mean()) < 0.05


def test_the_report_is_values_with_everything_in_them(report: Report) -> None:
    told = json.loads(json.dumps(report.to_dict()))
    assert set(told["horizons"]) == {"6h", "24h"} == set(told["reliability"])
    for of_horizon in told["horizons"].values():
        assert {"recency", "rate", "seasonal"} <= set(of_horizon["baselines"])
        assert {"ap", "auc", "brier_skill", "ece", "log_loss", "base_rate", "quiet", "slope", "top_ratio"} <= set(of_horizon)
    events = told["events"][ENSEMBLE]
    assert {"recall", "precision", "median_lead_s", "tenth_lead_s", "false_alarms_a_day", "recall_interval"} <= set(events)
    assert events["false_alarms_a_day"] <= 2.0
    assert told["deployed"][ENSEMBLE]["incidents"] == events["incidents"]
    assert len(told["folds"]) == 2
    assert set(told["folds"][0]["groups"]) == {"history", "errors", "signs", "activity", "rhythm", "neighbours", "time"}
    assert 0 <= told["folds"][0]["coverage"] <= 1
    assert [point["false_alarms_a_day"] for point in told["budgets"]] == sorted(
        point["false_alarms_a_day"] for point in told["budgets"]
    )
    newest = told["told"][-1]
    assert [one["start_s"] for one in told["told"]] == sorted(one["start_s"] for one in told["told"])
    assert all(0 < wait <= 24 * 3600 and 0 <= p <= 1 for wait, p in newest["said"])
    assert report.table().count("ensemble") >= 4


def test_categories_are_told_in_every_fold_and_scored_over_all(report: Report) -> None:
    assert report.categories is None  # events of data frames have none
    assert {tuple(fold.category_weights) for fold in (report.detail.folds if report.detail else ())} == {()}
    rows = of_categories(simulated_rows(n_series=8, n_noise=0, a_day=4.0), {"own": 0.9, "now": 0.1})
    told = walk_forward(rows, PLAN)
    assert told.categories is not None
    assert told.detail is not None
    assert told.categories[MIXTURE].incidents == told.events[ENSEMBLE].incidents
    assert told.categories[MIXTURE].log_loss < told.categories["now"].log_loss
    assert [sum(fold.category_weights.values()) for fold in told.detail.folds] == [pytest.approx(1.0)] * 2
    assert json.loads(json.dumps(told.to_dict()))["folds"][0]["category_weights"]["own"] > 0.4


def test_the_same_data_and_seed_give_the_same_report() -> None:
    events = stream(4, excited=True)
    one, other = (training.backtest(events, tick="1h", horizons=("6h", "24h"), seed=5).to_dict() for _ in range(2))
    assert one == other


def test_a_history_that_is_too_short_is_refused() -> None:
    events = stream(1, excited=True).head(3)
    with pytest.raises(InvalidValue, match="history must be longer"):
        training.backtest(events, tick="1h", horizons=("6h", "24h"))


@pytest.mark.parametrize("wrong", [{"folds": 0}, {"first_share": 1.0}, {"middle_share": 0.0}])
def test_a_plan_that_leaves_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValue, match="folds must be >= 1"):
        WalkPlan(**wrong)  # type: ignore[arg-type]


def test_progress_is_told_fold_by_fold() -> None:
    shares: list[float] = []
    walk_forward(rows_of(stream(1, excited=True)), PLAN, shares.append)
    assert shares == [0.5, 1.0]


def test_no_rows_are_refused() -> None:
    rows = rows_of(stream(1, excited=True))
    empty: FloatArray = np.zeros(0)
    with pytest.raises(InvalidValue, match="rows must not be empty"):
        list(steps(rows.take(empty.astype(np.int64)), PLAN))
