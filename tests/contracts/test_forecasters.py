"""Every forecaster divides its log odds among groups by their Shapley values, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from features.schema import Feature, FeatureSchema
from models.baseline import Climatology, Prior, Rate, Recency, Seasonal
from models.contract import Forecaster, Weighing
from models.ensemble import Ensemble
from models.explain import grouping
from models.hazard import to_logits
from models.linear import HazardLinear
from models.online import OnlineHazard
from models.prediction import HORIZONS
from models.trees import HazardForest, HazardTrees
from tests.shapley import enumerated

_NAMES = (
    ("incident_decay_5", "recent"),
    ("incident_decay_15", "recent"),
    ("incident_decay_60", "hour"),
    ("incident_rate", "rates"),
    ("incident_rate_seasonal", "hour"),
    ("incident_rate_pooled", "rates"),
    ("error_surprise_5", "surprise"),
    ("warnings", "warnings"),
)
SCHEMA = FeatureSchema(1, tuple(Feature(*one) for one in _NAMES))
GROUPS = grouping(SCHEMA)


def simulated(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.abs(rng.normal(size=(n, len(_NAMES)))).astype(np.float32)
    risk = np.where((x[:, 7] > 1) & (x[:, 6] > 0.5), 0.3, 0.004) * (1 + x[:, 0])
    y = (rng.random((n, 3)) < np.minimum(risk, 0.6)[:, None]).astype(float)
    at_risk = np.cumsum(y, axis=1) - y == 0
    return x, y * at_risk, at_risk


def online() -> OnlineHazard:
    learner = OnlineHazard(len(_NAMES), learning_rate=0.5)
    x, y, at_risk = simulated()
    for part in np.split(np.arange(len(x)), 20):
        learner.learn(x[part], y[part], at_risk[part])
    return learner


def ensemble() -> Ensemble:
    members = (("trees", HazardTrees(n_rounds=10).fit(*simulated())), ("linear", HazardLinear().fit(*simulated())))
    fitted = Ensemble(members, (("rate", Rate(SCHEMA).fit(*simulated())),)).fit(*simulated(seed=1), n_events=300)
    assert (fitted.calibration_.slopes_ != 1.0).any()
    return fitted


def unlearned(learner: HazardTrees | HazardForest) -> HazardTrees | HazardForest:
    x, y, at_risk = simulated(50)
    return learner.fit(x, 0.0 * y, at_risk | True)


FORECASTERS: dict[str, Callable[[], Forecaster]] = {
    "trees": lambda: HazardTrees(n_rounds=15).fit(*simulated()),
    "trees without events": lambda: unlearned(HazardTrees()),
    "forest": lambda: HazardForest(n_trees=6).fit(*simulated()),
    "forest without events": lambda: unlearned(HazardForest()),
    "linear": lambda: HazardLinear().fit(*simulated()),
    "online": online,
    "climatology": lambda: Climatology().fit(*simulated()),
    "recency": lambda: Recency(SCHEMA).fit(*simulated()),
    "rate": lambda: Rate(SCHEMA).fit(*simulated()),
    "seasonal": lambda: Seasonal(SCHEMA).fit(*simulated()),
    "prior": lambda: Prior(SCHEMA),
    "ensemble": ensemble,
    "ensemble that serves a baseline": lambda: ensemble().serving(dict.fromkeys(HORIZONS, "rate")),
    "ensemble that serves one in an interval": lambda: ensemble().serving(
        dict(zip(HORIZONS, ("ensemble", "rate", "ensemble"), strict=True))
    ),
}


@pytest.fixture(scope="module", params=FORECASTERS.values(), ids=list(FORECASTERS))
def forecaster(request: pytest.FixtureRequest) -> Forecaster:
    return request.param()


def test_shares_are_the_shapley_values_of_the_log_odds(forecaster: Forecaster) -> None:
    x, background = simulated(12, seed=2)[0], np.median(simulated()[0], axis=0).astype(np.float32)
    shares = forecaster.shares(x, background, GROUPS)
    assert shares.shape == (12, 3, len(SCHEMA.groups))
    exact = enumerated(lambda rows: to_logits(forecaster.hazards(rows)), x, background, GROUPS)
    assert np.allclose(shares, exact, atol=1e-6)


def test_shares_of_wild_rows_still_sum_to_the_distance(forecaster: Forecaster) -> None:
    x, background = (1e6 * simulated(6, seed=3)[0]).astype(np.float32), np.zeros(len(_NAMES), np.float32)
    distance = to_logits(forecaster.hazards(x)) - to_logits(forecaster.hazards(background[None]))
    assert np.allclose(forecaster.shares(x, background, GROUPS).sum(axis=2), distance, atol=1e-9)


def test_no_rows_have_no_shares(forecaster: Forecaster) -> None:
    none, background = np.zeros((0, len(_NAMES)), np.float32), np.zeros(len(_NAMES), np.float32)
    assert forecaster.shares(none, background, GROUPS).shape == (0, 3, len(SCHEMA.groups))


@pytest.mark.parametrize("name", ["trees", "forest", "linear"])
def test_importances_name_the_columns_that_tell_something(name: str) -> None:
    learner = FORECASTERS[name]()
    assert isinstance(learner, Weighing)
    importances = learner.importances()
    assert importances.shape == (len(_NAMES),)
    assert importances.sum() == pytest.approx(1.0)
    assert (importances >= 0.0).all()
    assert {6, 7} <= set(np.argsort(importances)[-3:].tolist())


@pytest.mark.parametrize("name", ["trees without events", "forest without events"])
def test_a_learner_that_looks_at_nothing_has_no_importances(name: str) -> None:
    learner = FORECASTERS[name]()
    assert isinstance(learner, Weighing)
    assert not learner.importances().any()
