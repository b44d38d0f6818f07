"""One training run from rows to a decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from features.errors import InvalidValue
from models.categories import PRIOR
from models.prediction import HORIZONS
from tests.training_rows import of_categories, simulated_rows
from training.categories import MIXTURE
from training.overlaid import changes_between
from training.retrain import Plain, retrain
from training.rows import Rows


def test_a_real_signal_is_promoted_and_its_record_is_complete() -> None:
    rows = simulated_rows(n_series=8, n_noise=2, a_day=3.0)
    outcome = retrain(rows)
    assert outcome.decision.promote
    assert outcome.fitted.ensemble.serves_ == outcome.report.serves == dict.fromkeys(HORIZONS, "ensemble")
    record = outcome.record(rows, datetime(2026, 1, 5, tzinfo=UTC))
    assert record.serves == outcome.report.serves
    assert record.schema_sha256 == rows.schema.sha256
    assert record.trained_to.timestamp() <= outcome.report.test_begin_s
    assert record.scores["60min.ap"] > 3 * record.scores["60min.base_rate"]


def test_categories_are_fitted_before_the_held_out_block_and_scored_on_it() -> None:
    rows = of_categories(simulated_rows(n_series=8, n_noise=2, a_day=3.0), {"own": 0.9, "now": 0.1})
    outcome = retrain(rows)
    told = outcome.report.to_dict()["categories"]
    assert isinstance(told, dict)
    assert told[MIXTURE]["incidents"] == outcome.fitted.record.events["test"]
    assert told[MIXTURE]["top1"] > 0.7 > told["now"]["top1"]
    served = outcome.fitted.ensemble.categories_
    assert served == outcome.fitted.categories[MIXTURE]
    assert served.weights["own"] > PRIOR.weights["own"]
    held_out = rows.as_of_s >= outcome.fitted.record.split.test.begin_s
    other = replace(rows, category=np.where(held_out & (rows.category >= 0), 0, rows.category))
    assert retrain(other).fitted.ensemble.categories_ == served


def test_rows_without_categories_leave_the_prior_and_no_scores() -> None:
    outcome = retrain(simulated_rows(n_series=6, n_noise=0, a_day=3.0))
    assert outcome.report.categories is None
    assert outcome.report.to_dict()["categories"] is None
    assert outcome.fitted.ensemble.categories_ == PRIOR


def test_random_labels_are_not_promoted_and_score_near_the_base_rate() -> None:
    rows = simulated_rows(n_series=8, n_noise=6, a_day=3.0, signal=False, seed=2)
    outcome = retrain(rows)
    assert "ensemble" not in outcome.report.serves.values() or not outcome.decision.promote
    for by_name in outcome.report.horizons.values():
        mine = by_name["ensemble"]
        assert mine.ap < 2.5 * mine.base_rate
        assert mine.brier_skill < 0.05


def test_the_same_model_again_does_not_replace_its_champion() -> None:
    rows = simulated_rows(n_series=6, n_noise=2, a_day=3.0)
    first = retrain(rows)
    again = retrain(rows, champion=first.fitted.ensemble)
    assert not again.decision.promote
    assert again.decision.against == "champion"
    assert np.isclose(again.decision.difference, 0.0)


def test_a_history_of_two_hours_is_refused_in_words() -> None:
    with pytest.raises(InvalidValue, match="history must be longer"):
        retrain(simulated_rows(n_series=1, days=0.2, a_day=1.0))


def with_feedback(plain: Rows, laid: Rows) -> Plain:
    return Plain(plain, changes_between(plain, laid, (), (), ()))


def few_rows() -> Rows:
    return simulated_rows(n_series=3, n_noise=0, a_day=5.0, days=2.0)


def test_feedback_that_changes_no_label_costs_no_second_fit_and_is_noted() -> None:
    rows = few_rows()
    outcome = retrain(rows, plain=with_feedback(rows, rows))
    assert outcome.impact is not None
    assert (outcome.impact.agreed, outcome.impact.used) == (None, True)
    assert outcome.report.notes[-1] == "0 verdicts changed no label"
    told = outcome.to_dict()["feedback"]
    assert isinstance(told, dict)
    assert (told["changed"], told["scores"]) == (False, {"agreed": None, "as_labelled": None})


def test_a_run_with_feedback_keeps_the_scores_with_it_and_without() -> None:
    plain = few_rows()
    weight = np.where((plain.next_start_s - plain.as_of_s > 3600) & (plain.x[:, 7] > 1.5), 4.0, 1.0)
    rows = replace(plain, weight=weight)
    outcome = retrain(rows, plain=with_feedback(plain, rows))
    impact = outcome.impact
    assert impact is not None
    assert impact.changes.rows_weighed > 0
    assert impact.agreed is not None
    assert impact.as_labelled is not None
    assert impact.agreed.without["log_loss"] != impact.agreed.with_feedback["log_loss"]
    assert impact.agreed.rows == impact.as_labelled.rows  # weights change no label


def test_feedback_that_is_wrong_is_refused_and_the_run_goes_on_without_it() -> None:
    plain = few_rows()
    shuffled = np.random.default_rng(0).permutation(len(plain))
    # Before the held-out block half of the verdicts are lies, so that quiet rows seem to announce incidents.
    lied = (plain.as_of_s < plain.as_of_s.min() + 1.3 * 86_400) & (shuffled % 2 == 0) & (plain.x[:, 7] < 0.5)
    rows = replace(plain, next_start_s=np.where(lied, plain.as_of_s + 120.0, plain.next_start_s))
    outcome = retrain(rows, plain=with_feedback(plain, rows))
    impact = outcome.impact
    assert impact is not None
    assert impact.agreed is not None
    assert (impact.used, impact.agreed.kind) == (False, "worse")
    assert "are not learned from" in outcome.report.notes[-1]
    alone = retrain(plain)
    assert np.array_equal(outcome.fitted.ensemble.hazards(plain.x), alone.fitted.ensemble.hazards(plain.x))
    assert outcome.fitted.record.data_sha256 == alone.fitted.record.data_sha256
    assert outcome.decision == alone.decision


def test_feedback_that_leaves_nothing_to_judge_it_by_is_refused_and_the_run_goes_on_without_it() -> None:
    plain = few_rows()
    rows = replace(plain, eligible=np.zeros(len(plain), bool))  # as when somebody says `unknown` of everything and for ever
    outcome = retrain(rows, plain=with_feedback(plain, rows))
    impact = outcome.impact
    assert impact is not None
    assert impact.agreed is not None
    assert (impact.used, impact.agreed.kind) == (False, "unknown")
    assert "are not learned from" in outcome.report.notes[-1]
    assert outcome.decision.interval is not None
