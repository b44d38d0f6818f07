"""Models of river: its contract holds, and the numbers are those of the objects that the service learns with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from river import checks, compose, evaluate, metrics, preprocessing
from river.checks import common

from features.errors import InvalidValue
from features.extract import SCHEMA
from models.anomaly import Detector
from models.hazard import cumulate, labels
from models.online import OnlineHazard
from models.streaming import OnlineOnset, SeriesAnomaly

START = datetime(2026, 1, 1, tzinfo=UTC)


class Stream:
    """Rows of a series in which one in fifty is far out, beside features that say nothing."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(0)
        out = rng.random(n) < 0.02
        values = rng.normal(size=n) + 8.0 * out
        noise = rng.random((n, 4))
        self.rows = [
            ({"value": float(value), **{f"n{i}": float(one) for i, one in enumerate(beside)}}, int(wild))
            for value, beside, wild in zip(values, noise, out, strict=True)
        ]

    def __iter__(self) -> Iterator[tuple[dict[str, float], int]]:
        return iter(self.rows)


@pytest.mark.slow
def test_every_check_of_river_passes_for_the_classifier() -> None:
    checks.check_estimator(OnlineOnset())


@pytest.mark.slow
def test_every_check_of_river_passes_for_the_detector() -> None:
    """On a stream of our own: river's for detectors has to be downloaded."""
    short, long, done = Stream(300), Stream(2000), 0
    for check in checks.yield_checks(SeriesAnomaly()):
        own: Any = check
        if isinstance(check, functools.partial) and "dataset" in check.keywords:
            whole = check.func is common.check_bounded_memory_growth
            own = functools.partial(check.func, dataset=long if whole else short)
        own(SeriesAnomaly())
        done += 1
    assert done > 20


def matured(n: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return rows of the live schema, and the seconds until an incident began after each, inf for none within the hour."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, len(SCHEMA.features))).astype(np.float32)
    wait = np.where(rng.random(n) < 0.5 * x[:, 0], rng.uniform(1, 3600, n), np.inf)
    return x, wait


def test_ticks_teach_what_they_teach_the_services_learner_to_the_last_bit() -> None:
    service, own = OnlineHazard(len(SCHEMA.features)), OnlineOnset(SCHEMA.names)
    for tick in range(30):
        x, wait = matured(40, tick)
        service.learn(x, *labels(wait, np.full(40, 3600.0)))
        frame = pd.DataFrame(x, columns=list(SCHEMA.names))
        own.learn_many(frame, pd.Series(np.isfinite(wait)), pd.Series(wait))
    x, _ = matured(50, 99)
    frame = pd.DataFrame(x, columns=list(SCHEMA.names))
    expected = cumulate(service.hazards(x))
    assert (own.predict_proba_many(frame)[True].to_numpy() == expected[:, 2]).all()
    one = own.predict_proba_one(dict(zip(SCHEMA.names, x[7].tolist(), strict=True)))
    assert one == {False: 1.0 - expected[7, 2], True: expected[7, 2]}
    restored = OnlineHazard(len(SCHEMA.features))
    restored.restore(service.snapshot())
    for place, horizon in enumerate(("5min", "15min", "60min")):
        taken = OnlineOnset.of(restored, SCHEMA.names, horizon)
        assert (taken.predict_proba_many(frame)[True].to_numpy() == expected[:, place]).all()
    assert own.predict_proba_many(frame.reindex(columns=list(reversed(SCHEMA.names)))).equals(own.predict_proba_many(frame))


@pytest.mark.parametrize("features", [None, ("a", "b", "7")])
def test_a_row_teaches_and_is_told_what_a_frame_of_it_is(features: tuple[str, ...] | None) -> None:
    rows: list[dict[Any, Any]] = [
        {"a": 1, "b": True, 7: 0.25, "other": 3.0},
        {"b": np.float32(0.1), "a": np.int64(4)},
        {"c": 2.5},
    ]
    one, many = OnlineOnset(features, "15min"), OnlineOnset(features, "15min")
    for place, row in enumerate(rows * 20):
        onset, wait_s = place % 3 == 0, None if place % 2 else 400
        one.learn_one(row, onset, wait_s)
        many.learn_many(pd.DataFrame([row]), pd.Series([onset]), None if wait_s is None else pd.Series([wait_s]))
        for asked in rows:
            assert one.predict_proba_one(asked)[True] == many.predict_proba_many(pd.DataFrame([asked]))[True].iloc[0]
    assert one.predict_proba_one(rows[0]) != OnlineOnset(features, "15min").predict_proba_one(rows[0])


def test_without_the_time_of_onset_the_horizon_itself_is_still_learned() -> None:
    told, untold = (OnlineOnset(("a",), "15min", learning_rate=0.3) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(400):
        a = (rng.random(40) < 0.5).astype(float)
        x, onset = pd.DataFrame({"a": a}), pd.Series(rng.random(40) < np.where(a > 0, 0.6, 0.1))
        told.learn_many(x, onset, pd.Series(rng.uniform(1, 900, 40)))
        untold.learn_many(x, onset)
    for model in (told, untold):
        assert model.predict_proba_one({"a": 1.0})[True] == pytest.approx(0.6, abs=0.12)
        assert model.predict_proba_one({"a": 0.0})[True] == pytest.approx(0.1, abs=0.08)


def test_it_is_evaluated_in_a_pipeline_of_river() -> None:
    rng = np.random.default_rng(2)
    rows = [({"warnings": float(w), "service": "cart"}, bool(rng.random() < w / 10)) for w in rng.integers(0, 10, 600)]
    piped = compose.SelectType(float) | preprocessing.StandardScaler() | OnlineOnset(horizon="5min")
    assert evaluate.progressive_val_score(cast("Any", rows), piped, metrics.ROCAUC()).get() > 0.7


def test_the_detector_scores_as_the_services_does_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    values = rng.poisson(3, 700).astype(float)
    values[[300, 500, 501, 650]] += 60
    theirs, ticking, timed = Detector(), SeriesAnomaly("errors"), SeriesAnomaly("errors", time="at")
    for i, value in enumerate(values.tolist()):
        at = START + timedelta(minutes=i)
        row = {"errors": value, "at": at}
        expected = theirs.score_one(at, value)
        assert timed.score_one(row) == timed.score_one(row) == expected, i
        timed.learn_one(row)
        ticking.score_one(row)
        ticking.learn_one(row)
        assert i not in {300, 500, 650} or expected > 0.99
    apart = Detector()
    for i, value in enumerate(values.tolist()):
        apart.score_one(i * 60.0, value)
    assert ticking.score_one({"errors": 90.0}) == apart.score_one(700 * 60.0, 90.0) > 0


def test_a_row_without_the_value_scores_nothing_and_takes_its_time() -> None:
    model, theirs = SeriesAnomaly(), Detector()
    for i in range(100):
        row = {} if i % 3 == 0 else {"value": float(i % 5)}
        assert row or model.score_one(row) == 0.0
        model.learn_one(row)
        if row:
            theirs.score_one(i * 60.0, row["value"])
    assert model.score_one({"value": 9.0}) == theirs.score_one(6000.0, 9.0)


def test_what_does_not_fit_is_refused_with_the_value() -> None:
    with pytest.raises(InvalidValue, match=r"horizon must be one of .*'60min'\], got '1h'"):
        OnlineOnset(horizon="1h")
    with pytest.raises(InvalidValue, match="features must name 2 columns, got 1"):
        OnlineOnset.of(OnlineHazard(2), ("a",))
    with pytest.raises(InvalidValue, match=r"wait_s of an onset must be in \(0, 300\], got \[301.0\]"):
        OnlineOnset(horizon="5min").learn_one({"a": 1.0}, True, 301.0)
    with pytest.raises(InvalidValue, match="x must be finite, got 1 values"):
        OnlineOnset().learn_one({"a": float("nan")}, True)
