"""One training run from rows to a decision."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from features.errors import InvalidValue
from models.prediction import HORIZONS
from tests.training_rows import simulated_rows
from training.retrain import retrain


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
