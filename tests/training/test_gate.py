"""What may serve: only what is better with certainty, and no worse for those on call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.prediction import HORIZONS
from training.alerting import EventScores
from training.bootstrap import blocks_of
from training.choice import choose
from training.evaluate import Scored
from training.gate import decide
from training.report import Report, Scores, Served

N = 2880
EVEN = Scores(N, 60, 0.02, 0.4, 0.9, 0.2, 0.001, 0.08, 1.1, None, None, 0.0, None)
RECALL = EventScores(0.3, 10, 6, 8, 6, 1200.0, 600.0, 1.0)
NAMES: tuple[str, ...] = ("ensemble", "recency", "rate", "seasonal", "climatology", "champion")


def scored(losses: dict[str, float], champion: bool = True) -> Scored:
    rng = np.random.default_rng(0)
    shared = rng.random((N, 3))
    names = NAMES if champion else NAMES[:-1]
    told = {name: shared + losses.get(name, 0.5) + rng.normal(0, 0.05, (N, 3)) for name in names}
    tables = {horizon: dict.fromkeys(names, EVEN) for horizon in HORIZONS}
    blocks = blocks_of(np.arange(N) * 30, block_s=7200, n_resamples=200, seed=0)
    choices = choose(told, np.ones((N, 3), dtype=bool), blocks, list(HORIZONS))
    served = Served(choices, dict.fromkeys(HORIZONS, EVEN), RECALL)
    report = Report(tables, tables, dict.fromkeys(names, RECALL), served, {}, {}, {}, 0, 86_400, 2.0, ())
    return Scored(report, told, blocks)


def test_a_first_ensemble_that_beats_everyone_is_promoted() -> None:
    decision = decide(scored({"ensemble": 0.3}, champion=False))
    assert (decision.promote, decision.against) == (True, "climatology")
    assert decision.reasons[0].startswith("what would be served beats climatology: log loss difference -")


def test_a_baseline_that_serves_is_judged_as_what_is_served() -> None:
    one = scored({"ensemble": 0.4, "rate": 0.3}, champion=False)
    decision = decide(one)
    assert decision.promote
    assert decision.difference == pytest.approx(float((one.losses["rate"] - one.losses["climatology"]).sum(axis=1).mean()))
    assert one.report.serves["60min"] == "rate"


def test_what_is_served_is_judged_as_a_whole_over_its_intervals() -> None:
    both = scored({"ensemble": 0.3, "rate": 0.4}, champion=False)
    last = both.losses["ensemble"].copy()
    last[:, 2] += 0.3
    losses = both.losses | {"ensemble": last}
    choices = choose(losses, np.ones((N, 3), dtype=bool), both.blocks, list(HORIZONS))
    mixed = replace(both, losses=losses, report=replace(both.report, served=replace(both.report.served, choices=choices)))
    assert list(mixed.report.serves.values()) == ["ensemble", "ensemble", "rate"]
    expected = (losses["ensemble"][:, :2] - losses["climatology"][:, :2]).sum(axis=1) + losses["rate"][:, 2]
    assert decide(mixed).difference == pytest.approx(float((expected - losses["climatology"][:, 2]).mean()))


def test_what_beats_not_even_the_base_rate_is_not_promoted() -> None:
    assert not decide(scored({}, champion=False)).promote


@pytest.mark.parametrize(("champion", "promote"), [(0.5, True), (0.3, False), (0.2, False)])
def test_a_champion_is_replaced_only_with_certainty(champion: float, promote: bool) -> None:
    decision = decide(scored({"ensemble": 0.3, "champion": champion}))
    assert decision.promote is promote
    assert decision.against == "champion"


def test_recall_at_the_budget_and_calibration_must_not_be_worse() -> None:
    better = scored({"ensemble": 0.3})
    served = better.report.served
    quieter = replace(served, events=replace(RECALL, announced=3))
    less = decide(replace(better, report=replace(better.report, served=quieter)))
    assert not less.promote
    assert "recall" in less.reasons[-1]
    off = replace(served, horizons=dict.fromkeys(HORIZONS, replace(EVEN, ece=0.02)))
    wrong = decide(replace(better, report=replace(better.report, served=off)))
    assert not wrong.promote
    assert "calibration" in wrong.reasons[-1]


def test_without_held_out_rows_nothing_is_promoted() -> None:
    full = scored({"ensemble": 0.3}, champion=False)
    none = dict.fromkeys(full.losses, np.zeros((0, 3)))
    blocks = blocks_of(np.zeros(0, np.int64), block_s=60, n_resamples=5, seed=0)
    choices = choose(none, np.zeros((0, 3), dtype=bool), blocks, list(HORIZONS))
    report = replace(full.report, served=replace(full.report.served, choices=choices))
    decision = decide(Scored(report, none, blocks))
    assert not decision.promote
    assert "too little data" in decision.reasons[0]
