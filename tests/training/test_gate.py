"""What may serve: only what is better with certainty, and no worse for those on call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.prediction import HORIZONS
from training.alerting import EventScores
from training.bootstrap import blocks_of
from training.evaluate import Scored
from training.gate import decide
from training.report import Report, Scores

N = 2880
EVEN = Scores(N, 60, 0.02, 0.4, 0.9, 0.2, 0.001, 0.08, 1.1, None, None, 0.0, None)
RECALL = EventScores(0.3, 10, 6, 8, 6, 1200.0, 600.0, 1.0)
NAMES: tuple[str, ...] = ("ensemble", "recency", "rate", "seasonal", "climatology", "champion")


def scored(losses: dict[str, float], champion: bool = True) -> Scored:
    rng = np.random.default_rng(0)
    shared = rng.random(N)
    names = NAMES if champion else NAMES[:-1]
    told = {name: shared + losses.get(name, 0.5) + rng.normal(0, 0.05, N) for name in names}
    tables = {horizon: dict.fromkeys(names, EVEN) for horizon in HORIZONS}
    report = Report(tables, tables, dict.fromkeys(names, RECALL), "ensemble", {}, {}, {}, 0, 86_400, 2.0, ())
    return Scored(report, told, blocks_of(np.arange(N) * 30, block_s=7200, n_resamples=200, seed=0))


def test_a_first_ensemble_that_beats_everyone_is_promoted() -> None:
    decision = decide(scored({"ensemble": 0.3}, champion=False))
    assert (decision.promote, decision.serves, decision.against) == (True, "ensemble", "climatology")


def test_an_ensemble_that_does_not_beat_the_best_baseline_serves_that_baseline() -> None:
    decision = decide(scored({"ensemble": 0.4, "rate": 0.4}, champion=False))
    assert (decision.promote, decision.serves) == (True, "rate")
    assert "does not beat the best baseline, rate" in decision.reasons[0]


def test_what_beats_not_even_the_base_rate_is_not_promoted() -> None:
    assert not decide(scored({}, champion=False)).promote


@pytest.mark.parametrize(("champion", "promote"), [(0.5, True), (0.3, False), (0.2, False)])
def test_a_champion_is_replaced_only_with_certainty(champion: float, promote: bool) -> None:
    decision = decide(scored({"ensemble": 0.3, "champion": champion}))
    assert decision.promote is promote
    assert decision.against == "champion"


def test_recall_at_the_budget_and_calibration_must_not_be_worse() -> None:
    better = scored({"ensemble": 0.3})
    events = {**better.report.events, "ensemble": replace(RECALL, announced=3)}
    less = decide(replace(better, report=replace(better.report, events=events)))
    assert not less.promote
    assert "recall" in less.reasons[-1]
    worse = {h: {**by, "ensemble": replace(EVEN, ece=0.02)} for h, by in better.report.horizons.items()}
    wrong = decide(replace(better, report=replace(better.report, horizons=worse)))
    assert not wrong.promote
    assert "calibration" in wrong.reasons[-1]


def test_without_held_out_rows_nothing_is_promoted() -> None:
    full = scored({"ensemble": 0.3}, champion=False)
    empty = replace(
        full,
        losses=dict.fromkeys(full.losses, np.zeros(0)),
        blocks=blocks_of(np.zeros(0, np.int64), block_s=60, n_resamples=5, seed=0),
    )
    decision = decide(empty)
    assert not decision.promote
    assert "too little data" in decision.reasons[0]
