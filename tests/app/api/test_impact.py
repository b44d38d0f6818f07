"""What feedback changed, over REST: honest before any run, then as the newest run with feedback measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from app.api.impact_schemas import ImpactOut
from app.cache.records import TrainingRun
from tests.api_builders import NOON, Api, put_training_run
from tests.training_rows import Flat, simulated_rows
from training.overlaid import Impact, LabelChanges, changes_between, impact_of

IMPACT = "/api/v1/feedback/impact"
INTERVAL = {"service": "cart", "start": "2026-03-02T10:00:00Z", "end": "2026-03-02T10:05:00Z"}


def asked(api: Api) -> ImpactOut:
    response = api.get(IMPACT)
    assert response.status_code == 200, response.text
    return ImpactOut.model_validate_json(response.content)


def a_run(run_id: str, impact: Impact | None, *, hours: float = 0.0, state: str = "succeeded") -> TrainingRun:
    at = NOON + timedelta(hours=hours)
    report: dict[str, object] = {"notes": []}
    if impact is not None:
        report["feedback"] = impact.to_dict()
    return TrainingRun(run_id, state, at, at, at, 1.0, "a test", "v1", report if state == "succeeded" else None)


def test_before_any_run_had_feedback_nothing_is_claimed(api: Api) -> None:
    put_training_run(api.documents, a_run("r1", None))
    assert api.post("/api/v1/feedback", {"verdict": "missed"} | INTERVAL).status_code == 201
    told = asked(api)
    assert (told.run, told.changed, told.used, told.labels, told.scores) == (None, None, None, None, None)
    assert (told.standing, told.waiting) == (1, 1)
    assert "no training run has learned with feedback yet" in told.note


def test_the_newest_run_with_feedback_says_what_changed(api: Api) -> None:
    put_training_run(api.documents, a_run("r1", Impact(LabelChanges({"confirmed": 3}))))
    put_training_run(api.documents, a_run("r2", Impact(LabelChanges({"confirmed": 4}, taken_back=1)), hours=1))
    put_training_run(api.documents, a_run("r3", None, hours=2))
    put_training_run(api.documents, a_run("r4", None, hours=3, state="failed"))
    told = asked(api)
    assert (told.run, told.changed, told.used) == ("r2", False, True)
    assert told.labels is not None
    assert (told.labels.verdicts, told.labels.taken_back) == ({"confirmed": 4}, 1)
    assert told.note == "4 verdicts changed no label"


def test_scores_before_and_after_are_those_of_the_run(api: Api) -> None:
    plain = simulated_rows(n_series=3, n_noise=0, days=1.0)
    laid = replace(plain, weight=np.full(len(plain), 2.0))
    models = Flat(0.1), Flat(0.02)
    held_out = np.ones(len(plain), bool)
    impact = impact_of(changes_between(plain, laid, (), (), ()), (plain, laid), models, held_out, budget_per_day=2.0)
    put_training_run(api.documents, a_run("r1", impact))
    told = asked(api)
    assert told.scores is not None
    assert told.scores.agreed is not None
    assert impact.agreed is not None
    assert told.scores.agreed.without.log_loss == impact.agreed.without["log_loss"]
    assert told.scores.agreed.with_feedback.log_loss == impact.agreed.with_feedback["log_loss"]
    assert (told.scores.agreed.kind, told.used, told.changed) == ("better", True, True)
    assert told.contrast is not None
    assert (told.contrast.kind, told.contrast.taken_away) == ("unknown", 0)
    assert told.contrast.stand == plain.events()


def test_what_was_said_since_the_run_waits_and_what_was_taken_back_does_not(api: Api) -> None:
    put_training_run(api.documents, a_run("r1", Impact(LabelChanges({}))))
    for minutes in (-1, 1, 2):
        api.clock.time = NOON + timedelta(minutes=minutes)
        start = (NOON - timedelta(hours=10 + minutes)).isoformat()
        body = {"verdict": "missed"} | INTERVAL | {"start": start}
        assert api.post("/api/v1/feedback", body).status_code == 201
    assert (asked(api).standing, asked(api).waiting) == (3, 2)
    assert api.post("/api/v1/feedback/feedback-3:undo", {}).status_code == 201
    assert (asked(api).standing, asked(api).waiting) == (2, 1)


def test_one_tenant_sees_nothing_of_anothers_runs(api: Api) -> None:
    put_training_run(api.documents, replace(a_run("r1", Impact(LabelChanges({}))), tenant="other"))
    assert asked(api).run is None
