"""The opponents are fair, and the prior says what its columns say."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import InvalidValue
from features.extract import SCHEMA
from features.schema import Feature, FeatureSchema
from models.baseline import Climatology, Prior, Rate, Recency, Seasonal
from models.calibration import calibration_slope
from models.hazard import cumulate

COLUMNS = ("incident_decay_5", "incident_decay_15", "incident_decay_60", "incident_rate", "incident_rate_seasonal")
NAMED = FeatureSchema(1, tuple(Feature(name, "incident_history") for name in COLUMNS))
MAPPED = (Recency, Rate, Seasonal)


def simulated(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(-2.0, 1.0, (20_000, 5))).astype(np.float32)
    p = 1 / (1 + np.exp(-(np.log(x[:, [3]]) - 1.0)))
    y = (rng.random((20_000, 3)) < p).astype(float)
    at_risk = np.cumsum(y, axis=1) - y == 0
    return x, y * at_risk, at_risk


@pytest.mark.parametrize("kind", MAPPED)
def test_a_baseline_is_calibrated_on_new_rows(kind: type[Rate]) -> None:
    x, y, at_risk = simulated()
    model = kind(NAMED).fit(x, y, at_risk)
    new_x, new_y, new_risk = simulated(1)
    h = model.hazards(new_x)
    for j in range(3):
        rows = new_risk[:, j]
        assert abs(h[rows, j].mean() - new_y[rows, j].mean()) < 0.01
    if kind is Rate:
        assert abs(calibration_slope(h[:, 0], new_y[:, 0]) - 1.0) < 0.1


@pytest.mark.parametrize("kind", MAPPED)
def test_without_any_event_a_baseline_is_the_base_rate(kind: type[Rate]) -> None:
    x, y, at_risk = simulated()
    h = kind(NAMED).fit(x, 0 * y, at_risk).hazards(x)
    assert np.allclose(h, Climatology().fit(x, 0 * y, at_risk).hazards(x))
    assert (h > 0).all()


def test_every_baseline_and_the_prior_find_their_columns_in_the_real_schema() -> None:
    x = np.zeros((2, len(SCHEMA.features)), np.float32)
    for kind in MAPPED:
        assert kind(SCHEMA).fit(x, np.zeros((2, 3)), np.ones((2, 3), dtype=np.bool_)).hazards(x).shape == (2, 3)
    assert Prior(SCHEMA).hazards(x).shape == (2, 3)


def test_a_quiet_series_keeps_its_climatology_and_surprise_raises_it() -> None:
    schema = FeatureSchema(1, (Feature("incident_rate_pooled", "a"), Feature("error_surprise_5", "b")))
    prior = Prior(schema)
    p = prior.probabilities(np.array([[0.02, Prior.USUAL_SURPRISE], [0.02, 3.0], [0.02, 6.0], [0.02, 1e6]], np.float32))
    assert np.isclose(p[0, 2], 1 - np.exp(-0.02), rtol=1e-4)
    assert (np.diff(p, axis=0) > 0).all()
    assert (p < 1).all()


def test_the_bounds_of_the_prior_hold_it_and_never_contradict_each_other() -> None:
    p = cumulate(np.random.default_rng(0).uniform(0, 1, (100, 3)))
    lower, upper = Prior.bounds(p)
    assert ((lower <= p) & (p <= upper)).all()
    assert (np.diff(lower, axis=1) >= 0).all()
    assert (np.diff(upper, axis=1) >= 0).all()


def test_a_rate_below_zero_and_a_missing_column_are_refused() -> None:
    with pytest.raises(InvalidValue, match="below 0"):
        Rate(NAMED).fit(-np.ones((2, 5), np.float32), np.zeros((2, 3)), np.ones((2, 3), dtype=np.bool_))
    with pytest.raises(InvalidValue, match="incident_rate_pooled"):
        Prior(NAMED)
