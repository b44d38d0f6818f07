"""What a run comes to: a report, a record, an ensemble, and a version that serves if the gate says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from app.job import Job
from app.succession import champion_of
from app.trained import register, run_job
from features.memory import MemoryPlan
from models.feedback import Feedback, Selector, Stretch
from models.registry import Registry
from tests.app.test_jobs import FIRST, NOW, open_bench, write_history
from training.labels import Said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_registered_is_what_was_fitted_and_serves_if_the_gate_says_so(tmp_path: Path) -> None:
    history = write_history(tmp_path / "history", 1000, 80)
    shares: list[float] = []
    trained = run_job(Job("default", MemoryPlan(), stride=5), history, None, NOW, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert trained.incidents >= 10
    with open_bench(tmp_path) as bench:
        registry = Registry(bench.store.blobs, bench.store.documents, bench.store.signing_key)
        assert champion_of(registry) is None
        refused = register(registry, replace(trained, promote=False, reasons=("it does not beat anybody",)))
        assert register(registry, replace(trained, promote=False, reasons=("again",))) == refused
        assert champion_of(registry) is None
        version = register(registry, replace(trained, promote=True, reasons=("it beats climatology",)))
        assert [(step.action, step.version, step.before, step.who, step.why) for step in registry.steps()] == [
            ("refused", version, None, "foreshock", "the gate refused it: it does not beat anybody"),
            ("promoted", version, None, "foreshock", "the gate let it serve: it beats climatology"),
        ]
        champion = champion_of(registry)
        assert champion is not None
        assert champion.version == version
        x = np.zeros((2, len(trained.ensemble.background_)), np.float32)
        assert np.array_equal(champion.ensemble.hazards(x), trained.ensemble.hazards(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_run_with_feedback_says_what_it_changed_and_how_it_would_do_without(tmp_path: Path) -> None:
    history = write_history(tmp_path / "history", 1000, 80)
    begin_s = (FIRST + 300) * 60
    quiet = Stretch(Selector("default"), datetime.fromtimestamp(begin_s, UTC), datetime.fromtimestamp(begin_s + 1800, UTC))
    said = Said(
        (Feedback("f1", "prevented", "ann", NOW, stretch=quiet), Feedback("f2", "unknown", "ann", NOW, incident="gone"))
    )
    trained = run_job(Job("default", MemoryPlan(), stride=5, said=said), history, None, NOW, lambda _share: None)
    told = trained.report["feedback"]
    assert (told["changed"], told["labels"]["verdicts"]) == (True, {"prevented": 1, "unknown": 1})
    assert told["labels"]["rows_left_out"] > 0
    assert told["scores"]["agreed"]["rows"] > 0
    assert told["note"] in trained.report["notes"]
