"""Alerts against incidents, counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training_rows import simulated_rows
from training import alerting
from training.alerting import COOL_DOWN_S, alerts, followed_thresholds, score_events, threshold_for
from training.bootstrap import blocks_of

ROWS = simulated_rows(n_series=2, days=1.0, n_noise=0)
EVERY = np.ones(len(ROWS), dtype=np.bool_)


@given(st.integers(0, 5), st.floats(0.0, 1.0))
def test_alerts_of_a_series_keep_their_distance(seed: int, threshold: float) -> None:
    p = np.random.default_rng(seed).random(len(ROWS))
    given_at = alerts(p, threshold, ROWS.series, ROWS.as_of_s)
    assert (p[given_at] >= threshold).all()
    for series in (0, 1):
        times = ROWS.as_of_s[given_at[ROWS.series[given_at] == series]]
        assert (np.diff(times) >= COOL_DOWN_S).all()


@given(st.integers(0, 5), st.floats(0.0, 30.0))
def test_the_threshold_stays_within_the_budget(seed: int, budget: float) -> None:
    p = np.random.default_rng(seed).random(len(ROWS))
    threshold = threshold_for(p, ROWS.series, ROWS.as_of_s, budget)
    assert len(alerts(p, threshold, ROWS.series, ROWS.as_of_s)) <= math.ceil(budget)


def test_who_knows_the_future_finds_every_incident_without_a_false_alarm() -> None:
    oracle = (ROWS.next_start_s - ROWS.as_of_s <= 1800).astype(float)
    scores = score_events(oracle, ROWS, EVERY, 0.0)
    assert scores.incidents > 0
    assert scores.recall == 1.0
    assert scores.precision == 1.0
    assert scores.false_alarms_a_day == 0.0
    assert 0 < scores.median_lead_s <= 1800


def test_nothing_to_announce_is_undefined_and_not_perfect() -> None:
    calm = replace(ROWS, next_start_s=np.full(len(ROWS), np.inf))
    scores = score_events(np.random.default_rng(0).random(len(ROWS)), calm, EVERY, 0.0)
    assert math.isnan(scores.recall)
    assert math.isnan(scores.precision)
    assert math.isnan(scores.median_lead_s)
    assert threshold_for(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), 1.0) == 1.0


def test_no_rows_are_no_incidents() -> None:
    assert score_events(np.zeros(len(ROWS)), ROWS, ~EVERY, 1.0).incidents == 0


def test_leads_are_told_with_their_tenth_and_their_intervals() -> None:
    oracle = (ROWS.next_start_s - ROWS.as_of_s <= 1800).astype(float)
    blocks = blocks_of(ROWS.as_of_s, block_s=7200, n_resamples=50, seed=0)
    scores = score_events(oracle, ROWS, EVERY, 0.0, blocks=blocks)
    assert len(scores.leads_s) == scores.announced
    assert scores.tenth_lead_s <= scores.median_lead_s
    assert scores.recall_interval == scores.precision_interval == (1.0, 1.0)
    assert scores.false_alarms_interval == (0.0, 0.0)
    low, high = scores.median_lead_interval or (0.0, 0.0)
    assert 0 < low <= scores.median_lead_s <= high


def test_a_threshold_of_earlier_time_is_taken_as_it_is_row_by_row() -> None:
    p = np.random.default_rng(0).random(len(ROWS))
    one = score_events(p, ROWS, EVERY, 0.0, threshold=0.9)
    other = score_events(p, ROWS, EVERY, 0.0, threshold=np.full(len(ROWS), 0.9))
    assert (one.alerts, one.right, one.announced) == (other.alerts, other.right, other.announced)
    assert one.alerts == len(alerts(p, 0.9, ROWS.series, ROWS.as_of_s))
    none = score_events(p, ROWS, EVERY, 0.0, threshold=2.0, blocks=blocks_of(ROWS.as_of_s, block_s=7200, n_resamples=9, seed=0))
    assert (none.alerts, none.median_lead_interval) == (0, None)


def test_a_low_threshold_is_found_from_the_top() -> None:
    p = np.random.default_rng(0).random(len(ROWS))
    generous = len(ROWS) / 1.0
    threshold = threshold_for(p, ROWS.series, ROWS.as_of_s, generous)
    assert threshold == p.min()


def test_thresholds_follow_what_is_said_and_look_at_nothing_later() -> None:
    rng = np.random.default_rng(5)
    as_of_s = np.arange(0, 40 * 86_400, 1200)
    level = np.where(as_of_s < 20 * 86_400, 0.01, 0.05)  # the forecasts' level moves, and with it what two a day are
    p = level * rng.lognormal(0.0, 1.0, len(as_of_s))
    series = np.zeros(len(p), np.int64)
    limits = followed_thresholds(p, series, as_of_s, 2.0, 0.5)
    assert (limits[as_of_s < 4 * 86_400] == 0.5).all()
    late = as_of_s >= 34 * 86_400
    given = alerts(p[late], limits[late], series[late], as_of_s[late])
    assert 1.0 <= len(given) / 6 <= 3.0
    assert len(alerts(p[late], float(limits[as_of_s < 20 * 86_400][-1]), series[late], as_of_s[late])) / 6 > 6.0
    moved = np.where(as_of_s >= 30 * 86_400, 0.9, p)
    unchanged = as_of_s < 31 * 86_400
    assert np.array_equal(followed_thresholds(moved, series, as_of_s, 2.0, 0.5)[unchanged], limits[unchanged])


def test_nothing_said_has_no_thresholds() -> None:
    nothing = np.zeros(0)
    assert not len(followed_thresholds(nothing, nothing.astype(np.int64), nothing.astype(np.int64), 2.0, 0.5))


def test_a_few_rows_after_a_gap_set_no_threshold() -> None:
    day = 86_400
    as_of_s = np.concatenate(
        [np.arange(0, 10 * day, 1200), [40 * day + 60, 41 * day + 120], np.arange(42 * day, 44 * day, 1200)]
    )
    p = np.random.default_rng(3).random(len(as_of_s))
    limits = followed_thresholds(p, np.zeros(len(p), np.int64), as_of_s, 2.0, 0.5)
    known = limits[as_of_s < 10 * day][-1]
    assert known > 0.9
    assert (limits[as_of_s >= 40 * day] == known).all()


def test_what_was_spent_too_much_is_saved_later(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    as_of_s = np.arange(0, 100 * 86_400, 600)
    # It rises all the time, so that the past always sets too low a threshold.
    p = rng.lognormal(0.02 * as_of_s / 86_400, 1.0)
    p /= p.max()
    series = np.zeros(len(p), np.int64)

    def spent_a_day() -> float:
        limits = followed_thresholds(p, series, as_of_s, 2.0, 1.0)
        given = as_of_s[alerts(p, limits, series, as_of_s)]
        return float((given >= 20 * 86_400).sum() / 80)

    made_good = spent_a_day()
    monkeypatch.setattr(alerting, "_MADE_GOOD", 0.0)
    unheeded = spent_a_day()
    assert made_good == pytest.approx(2.0, abs=0.3)
    assert unheeded > made_good + 0.15
