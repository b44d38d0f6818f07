"""Held-out scores: a real signal beats the baselines, random labels do not."""

from __future__ import annotations

import numpy as np
import pytest

from models.ensemble import ENSEMBLE
from models.prediction import HORIZONS
from tests.training_rows import simulated_rows
from training.evaluate import CHAMPION, Scored, evaluate
from training.fit import Fitted, fit
from training.rows import Rows


@pytest.fixture(scope="module")
def rows() -> Rows:
    return simulated_rows(n_series=8, n_noise=4, a_day=3.0)


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> Fitted:
    return fit(rows)


@pytest.fixture(scope="module")
def scored(fitted: Fitted, rows: Rows) -> Scored:
    return evaluate(fitted, rows, champion=fitted.ensemble.serving(dict.fromkeys(HORIZONS, "rate")))


def test_a_known_signal_beats_every_baseline_at_every_horizon(scored: Scored) -> None:
    for by_name in scored.report.horizons.values():
        mine = by_name[ENSEMBLE]
        assert mine.ap > 3 * mine.base_rate
        assert mine.brier_skill > 0.05
        for name in ("recency", "rate", "seasonal"):
            assert mine.ap > by_name[name].ap
            interval = by_name[name].model_minus_this_interval
            assert interval is not None
            assert interval[1] < 0


def test_alerts_find_announced_incidents_ahead_of_time(scored: Scored) -> None:
    events = scored.report.events[ENSEMBLE]
    assert events.recall > 0.3
    assert events.false_alarms_a_day <= 2.05
    assert 0 < events.median_lead_s <= 3600


def test_a_champion_is_scored_on_the_same_rows(scored: Scored) -> None:
    assert np.allclose(scored.losses[CHAMPION], scored.losses["rate"])
    assert scored.report.horizons["60min"][CHAMPION].ap == scored.report.horizons["60min"]["rate"].ap


def test_what_would_be_served_is_scored_as_one_forecast(scored: Scored) -> None:
    assert set(scored.report.serves.values()) == {ENSEMBLE}
    for horizon, scores in scored.report.served.horizons.items():
        assert scores == scored.report.horizons[horizon][ENSEMBLE]
    assert scored.report.served.events == scored.report.events[ENSEMBLE]
    assert set(scored.report.events) == {ENSEMBLE, "recency", "rate", "seasonal", CHAMPION}


def test_quiet_rows_are_fewer_and_never_more_certain(scored: Scored) -> None:
    for horizon, by_name in scored.report.quiet.items():
        assert by_name[ENSEMBLE].n <= scored.report.horizons[horizon][ENSEMBLE].n
    assert scored.report.quiet["60min"][ENSEMBLE].n < scored.report.horizons["60min"][ENSEMBLE].n


def test_climatology_has_no_skill_over_itself(scored: Scored) -> None:
    for by_name in scored.report.horizons.values():
        assert by_name["climatology"].brier_skill == 0.0
        assert np.isclose(by_name["climatology"].ap, by_name["climatology"].base_rate)


def test_a_test_block_without_incidents_is_undefined_and_not_perfect(fitted: Fitted, rows: Rows) -> None:
    calm = Rows(
        rows.x,
        rows.schema,
        rows.series,
        rows.keys,
        rows.as_of_s,
        np.where(rows.next_start_s >= fitted.record.split.test.begin_s, np.inf, rows.next_start_s),
        rows.end_s,
        rows.eligible,
        rows.undetected,
        rows.category,
    )
    report = evaluate(fitted, calm).report
    mine = report.horizons["60min"][ENSEMBLE]
    assert mine.positives == 0
    assert np.isnan(mine.ap)
    assert np.isnan(mine.auc)
    assert mine.ap_interval is None
    assert np.isnan(report.events[ENSEMBLE].recall)
