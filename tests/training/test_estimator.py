"""The ensemble as a classifier: scikit-learn's contract holds, and the numbers are those of the service's own path."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from app.champion import Champion
from app.members import Members
from features.errors import InvalidValue
from features.extract import SCHEMA
from models.hazard import cumulate
from models.recalibration import Subjects
from tests.ensembles import an_ensemble
from tests.training_rows import simulated_rows
from training.estimator import OnsetClassifier
from training.fit import fit
from training.rows import Rows
from training.split import SplitPlan, split

HOUR = 3600
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.filterwarnings("ignore")  # the checks warn of what they try
def test_every_check_of_scikit_learn_passes() -> None:
    found = check_estimator(OnsetClassifier(), on_fail="raise")
    assert len(found) > 50
    assert {one["check_name"] for one in found if one["status"] != "passed"} <= {"check_array_api_input"}, (
        "needs SCIPY_ARRAY_API"
    )


@pytest.fixture(scope="module")
def rows() -> Rows:
    return replace(simulated_rows(n_series=8, days=4.0, a_day=3.0, seed=3), horizons={"60min": HOUR})


def known(rows: Rows) -> Rows:
    """Return the rows whose outcome is known."""
    return rows.take(np.flatnonzero(rows.targets()[1].any(axis=1)))


def test_a_fit_is_the_one_of_training_to_the_last_bit(rows: Rows) -> None:
    """Of the same blocks: those that `training.split` cuts, less the test block, which is the caller's here."""
    cut = split(rows, SplitPlan())
    before = known(rows.take(cut.refit.rows))
    y, _ = before.targets()
    end = int(before.as_of_s.max()) + 1
    begin = int(before.as_of_s.min())
    share = 1 - (cut.middle.begin_s - begin) / (end - begin)
    model = OnsetClassifier(middle_share=share, embargo_s=cut.embargo_s, schema=rows.schema, random_state=4)
    model.fit(before.x, y[:, 0], time_s=before.as_of_s, series=before.series)
    theirs = fit(rows, seed=4).ensemble
    x = rows.x[cut.test.rows][:3000]
    ours = model.predict_proba(x)[:, 1]
    assert model.ensemble_.weights == theirs.weights
    assert (ours == cumulate(theirs.hazards(x))[:, 0]).all()
    assert 0 < ours.min() < 0.02
    assert ours.max() > 0.3


def test_a_served_version_gives_what_the_service_gives() -> None:
    ensemble = an_ensemble(5)
    members = Members()
    members.promote(Champion("v", ensemble))
    x = np.random.default_rng(0).random((200, len(SCHEMA.features))).astype(np.float32)
    served = cumulate(members.forecast(x, Subjects.nobody(len(x), 3)))
    for place, horizon in enumerate(("5min", "15min", "60min")):
        model = OnsetClassifier.of(ensemble, horizon, SCHEMA)
        frame = pd.DataFrame(x, columns=list(SCHEMA.names))
        assert np.abs(model.predict_proba(frame)[:, 1] - served[:, place]).max() < 1e-12
        assert model.horizon_s == ensemble.horizons[horizon]
    with pytest.raises(ValueError, match="feature names"):
        OnsetClassifier.of(ensemble, "5min", SCHEMA).predict(pd.DataFrame(x, columns=list(reversed(SCHEMA.names))))
    with pytest.raises(InvalidValue, match=r"horizon must be one of \['5min', '15min', '60min'\], got '1h'"):
        OnsetClassifier.of(ensemble, "1h")


def test_it_ranks_what_it_has_not_seen_and_works_with_the_tools_of_scikit_learn(rows: Rows) -> None:
    one = known(rows)
    one = one.take(np.argsort(one.as_of_s, kind="stable")[::4])
    y = one.targets()[0][:, 0].astype(int)
    model = OnsetClassifier(members=("linear",))
    scores = cross_val_score(model, one.x, y, cv=TimeSeriesSplit(3), scoring="roc_auc")
    assert scores.min() > 0.6
    piped = make_pipeline(StandardScaler(), clone(model)).fit(one.x, y)
    assert piped.predict(one.x).sum() < y.sum() * 2
    calibrated = CalibratedClassifierCV(clone(model), cv=TimeSeriesSplit(2)).fit(one.x, y)
    assert calibrated.predict_proba(one.x).shape == (len(y), 2)
    assert isinstance(model, BaseEstimator)


def test_rows_before_one_onset_are_one_event_where_times_are_given() -> None:
    """Two series, three onsets; the calibration that 200 events earn must not be earned by 300 rows."""
    rng = np.random.default_rng(0)
    x = rng.random((4000, 3)).astype(np.float32)
    times = np.repeat(np.arange(2000) * 60, 2)
    series = np.tile([7, 9], 2000)
    minute = times // 60
    y = ((minute >= 1700) & (minute < 1760) & (series == 7)) | ((minute >= 1800) & (minute < 1900) & (series == 9))
    with_times = OnsetClassifier(members=("linear",)).fit(x, y, time_s=times, series=series)
    without = OnsetClassifier(members=("linear",)).fit(x, y)
    assert (with_times.ensemble_.calibration_.slopes_ == 1.0).all()
    assert with_times.ensemble_.tick_s == 60.0
    assert without.ensemble_.tick_s == HOUR, "rows that count for themselves are a horizon apart"


def test_times_may_come_in_any_order() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((2000, 2)).astype(np.float32)
    times, y = np.arange(2000) * 60, x[:, 0] > 0.9
    order = rng.permutation(2000)
    first = OnsetClassifier(members=("linear",)).fit(x, y, time_s=times)
    second = OnsetClassifier(members=("linear",)).fit(x[order], y[order], time_s=times[order])
    assert np.allclose(first.predict_proba(x), second.predict_proba(x), atol=1e-9)


def test_what_cannot_be_fitted_says_so_with_the_value() -> None:
    x, y = np.zeros((10, 2)), np.tile([0, 1], 5)
    for model, words in (
        (OnsetClassifier(0), "got 0, 0.2 and None"),
        (OnsetClassifier(middle_share=1.0), "got 3600, 1.0 and None"),
        (OnsetClassifier(embargo_s=-1), "got 3600, 0.2 and -1"),
        (OnsetClassifier(members=("oracle",)), r"got \('oracle',\)"),
    ):
        with pytest.raises(InvalidValue, match=words):
            model.fit(x, y)
    model = OnsetClassifier()
    with pytest.raises(InvalidValue, match=r"gap of 3622 s, got 541 s"):
        model.fit(x, y, time_s=np.arange(10) * 60)
    with pytest.raises(InvalidValue, match="series needs time_s"):
        model.fit(x, y, series=np.zeros(10))
    with pytest.raises(InvalidValue, match=r"time_s must be 10 finite numbers, got shape \(9,\)"):
        model.fit(x, y, time_s=np.zeros(9))
    with pytest.raises(InvalidValue, match="series must be 10 finite numbers"):
        model.fit(x, y, time_s=np.arange(10), series=["a"] * 10)
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        model.fit(x, np.arange(10) % 3)
    with pytest.raises(NotFittedError):
        model.predict(x)
