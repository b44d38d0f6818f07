"""Alerts against incidents, counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.training_rows import simulated_rows
from training.alerting import COOL_DOWN_S, alerts, score_events, threshold_for

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
