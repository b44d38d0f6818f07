"""The fitted ensemble, on simulated rows with a known signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.errors import InvalidValue
from features.schema import FeatureSchema
from models.hazard import cumulate
from tests.training_rows import simulated_rows
from training.fit import Fitted, fit
from training.rows import Rows


@pytest.fixture(scope="module")
def rows() -> Rows:
    return simulated_rows(n_series=6, n_noise=2, a_day=3.0)


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> Fitted:
    return fit(rows, seed=1)


def test_rising_warnings_raise_the_forecast(rows: Rows, fitted: Fitted) -> None:
    row = np.repeat(fitted.ensemble.background_[None], 2, axis=0)
    row[1, rows.schema.index("warnings_log_15")] = 4.0
    p = cumulate(fitted.ensemble.hazards(row))
    assert (p[1] > 3 * p[0]).all()


@pytest.mark.parametrize(("memory_s", "waits"), [(86_400, True), (21_600, False)])
def test_a_column_of_whole_days_waits_until_days_were_seen(rows: Rows, memory_s: int, waits: bool) -> None:
    day, name = rows.schema.index("warnings_log_15"), "warnings_log_15"
    features = (replace(f, memory_s=memory_s) if f.name == name else f for f in rows.schema.features)
    found = fit(replace(rows, schema=FeatureSchema(1, tuple(features))), seed=1)  # the first day and a half is learned from
    assert (f"not used before history is longer: {name}" in found.record.notes) is waits
    other = rows.x[:500].copy()
    other[:, day] = 5.0 - other[:, day]
    same = found.ensemble.hazards(other) == found.ensemble.hazards(rows.x[:500])
    assert same.all() == waits
    assert found.ensemble.background_[day] > 0.0  # others may look at it


def test_the_same_rows_and_seed_give_the_same_model(rows: Rows, fitted: Fitted) -> None:
    again = fit(rows, seed=1, jobs=1)
    assert again.record.weights == fitted.record.weights
    assert again.record.data_sha256 == fitted.record.data_sha256
    assert (again.ensemble.hazards(rows.x[:200]) == fitted.ensemble.hazards(rows.x[:200])).all()


def test_only_the_wanted_members_are_stacked(rows: Rows) -> None:
    alone = fit(rows, seed=1, members=("linear",))
    assert alone.record.weights == {"linear": 1.0}
    for wrong in ((), ("linear", "oracle")):
        with pytest.raises(InvalidValue, match="members must be some of"):
            fit(rows, members=wrong)


def test_the_record_counts_what_each_block_held(rows: Rows, fitted: Fitted) -> None:
    record = fitted.record
    assert 0 < record.events["train"] < record.events["refit"] < rows.events()
    assert record.events["refit"] + record.events["test"] <= rows.events()
    assert set(record.thresholds) == {"ensemble", "recency", "rate", "seasonal", "climatology"}
    assert any("embargo" in note for note in record.notes)


def test_what_happens_in_the_test_block_changes_nothing_in_the_model(rows: Rows, fitted: Fitted) -> None:
    held_out = fitted.record.split.test.rows
    x = rows.x.copy()
    x[held_out] = 0.0
    later = rows.next_start_s >= fitted.record.split.test.begin_s
    other = fit(
        Rows(
            x,
            rows.schema,
            rows.series,
            rows.keys,
            rows.as_of_s,
            np.where(later, np.inf, rows.next_start_s),
            rows.end_s,
            rows.eligible,
            rows.undetected,
            rows.category,
        ),
        seed=1,
    )
    assert (other.ensemble.hazards(rows.x[:200]) == fitted.ensemble.hazards(rows.x[:200])).all()
    assert other.record.thresholds == fitted.record.thresholds


def test_a_history_without_incidents_is_fitted_to_the_base_rate_and_says_so() -> None:
    calm = simulated_rows(n_series=2, n_noise=0)
    calm = Rows(
        calm.x,
        calm.schema,
        calm.series,
        calm.keys,
        calm.as_of_s,
        np.full(len(calm), np.inf),
        calm.end_s,
        calm.eligible,
        calm.undetected,
        calm.category,
    )
    fitted = fit(calm)
    assert (fitted.ensemble.hazards(calm.x[:50]) < 0.01).all()
    assert any("no incident" in note for note in fitted.record.notes)


def test_weights_reach_every_member_and_no_baseline_and_are_hashed() -> None:
    rows = simulated_rows(n_series=3, n_noise=0, days=2.0, a_day=4.0)
    false_alarms = (rows.next_start_s - rows.as_of_s > 3600) & (rows.x[:, 7] > 1.5)
    weighed = replace(rows, weight=np.where(false_alarms, 4.0, 1.0))
    plain, taught = fit(rows), fit(weighed)
    for (name, before), (_, after) in zip(plain.ensemble.members, taught.ensemble.members, strict=True):
        said = before.hazards(rows.x[false_alarms]).mean(axis=0), after.hazards(rows.x[false_alarms]).mean(axis=0)
        assert (said[1] < said[0]).all(), name
    for (name, before), (_, after) in zip(plain.ensemble.baselines, taught.ensemble.baselines, strict=True):
        assert np.array_equal(before.hazards(rows.x[:200]), after.hazards(rows.x[:200])), name
    assert taught.record.data_sha256 != plain.record.data_sha256
