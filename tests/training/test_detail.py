"""Incidents one by one say what the alerts say; `tests/training/test_walkforward.py` tests the rest on a walk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.arrays import FloatArray
from models.ensemble import ENSEMBLE
from tests.training_rows import simulated_rows
from training.alerting import score_events
from training.detail import GROUPS, coverage, detail_of, events_of, json_of
from training.report import Report

SIMULATED = simulated_rows(n_series=3, days=2.0, n_noise=0)
ROWS = SIMULATED.take(np.flatnonzero(SIMULATED.targets()[1].any(axis=1)))


def told_of(limit: float) -> tuple[list[float | None], int, int]:
    """Return the leads that are told, and announced and all incidents as alerts are scored."""
    h = np.repeat(np.random.default_rng(1).random((len(ROWS), 1)) * 0.02, 3, axis=1)
    h[ROWS.next_start_s - ROWS.as_of_s <= 900, 1] = 0.5
    limits = np.full(len(ROWS), limit)
    detail = detail_of({ENSEMBLE: h}, ROWS, limits, [], {})
    y, at_risk = ROWS.targets()
    known = np.logical_and.accumulate(at_risk, axis=1)[:, -1] | y.any(axis=1)
    p15 = 1 - np.prod(1 - h[:, :2], axis=1)  # alerts are given on the middle horizon
    scores = score_events(p15, ROWS, known, 0.0, threshold=limits)
    return [told.lead_s for told in detail.incidents], scores.announced, scores.incidents


def test_what_is_told_of_incidents_agrees_with_the_scores_of_alerts() -> None:
    for limit in (0.1, 0.3, 2.0):
        leads, announced, incidents = told_of(limit)
        assert len(leads) == incidents > 0
        assert sum(lead is not None for lead in leads) == announced


def test_values_are_json_and_what_is_undefined_is_none() -> None:
    assert json_of((1.0, float("nan"), {"a": float("inf")})) == [1.0, None, {"a": None}]
    scores = score_events(np.zeros(len(ROWS)), ROWS, np.zeros(len(ROWS), np.bool_), 1.0)
    assert events_of(scores)["recall"] is None
    assert events_of(replace(scores, leads_s=(60.0,)))["leads_s"] == [60.0]
    assert Report.__dataclass_fields__["detail"].default is None


def covered(width: float, overlap: int, told: int) -> float:
    """Return the mean coverage of many folds whose statements err as a right 90 % interval says, stated so many times as wide."""
    rng = np.random.default_rng(2)
    levels: FloatArray = 0.02 * np.power(1.4, np.arange(GROUPS))
    rows = np.rint(400 / levels).astype(int)  # 400 independent expected incidents a level
    said = np.repeat(levels, rows * overlap)
    shares: list[float] = []
    for _ in range(60):
        true = levels * (1 + 0.15 * rng.standard_normal(GROUPS))
        outcome = np.repeat((rng.random(rows.sum()) < np.repeat(true, rows)).astype(float), overlap)
        half = width * 1.645 * 0.15 * said
        shares.append(coverage(said, said - half, said + half, outcome, told))
    return float(np.mean(shares))


@pytest.mark.parametrize("overlap", [1, 4])
def test_right_intervals_cover_nine_in_ten_groups_and_halved_ones_clearly_fewer(overlap: int) -> None:
    assert covered(1.0, overlap, overlap) == pytest.approx(0.9, abs=0.03)
    assert covered(0.5, overlap, overlap) < 0.75


def test_of_fewer_rows_than_groups_coverage_says_nothing() -> None:
    few = np.full(GROUPS - 1, 0.5)
    assert np.isnan(coverage(few, few, few, few, 1.0))
