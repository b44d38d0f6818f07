"""Trees find curved signals, repeat themselves, and do without events."""

from __future__ import annotations

import numpy as np
import pytest

from models.contract import Learner
from models.hazard import cumulate
from models.linear import HazardLinear
from models.trees import HazardForest, HazardTrees

SMALL: list[Learner] = [HazardTrees(n_rounds=20), HazardForest(n_trees=10), HazardLinear()]


def simulated(seed: int = 0, n: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    p = np.where((x[:, 0] > 1) & (x[:, 1] > 0), 0.5, 0.02)[:, None]
    y = (rng.random((n, 3)) < p).astype(float)
    at_risk = np.cumsum(y, axis=1) - y == 0
    return x, y * at_risk, at_risk


@pytest.mark.parametrize("learner", SMALL, ids=lambda m: type(m).__name__)
def test_rows_before_events_get_higher_hazards(learner: Learner) -> None:
    fitted = learner.fit(*simulated())
    h = fitted.hazards(np.array([[2, 1, 0, 0], [-2, -1, 0, 0]], np.float32))
    assert (h[0] > h[1]).all()
    assert h[0, 0] > 3 * h[1, 0]
    assert ((h > 0) & (h < 1)).all()


@pytest.mark.parametrize("learner", SMALL, ids=lambda m: type(m).__name__)
def test_the_mean_forecast_is_the_base_rate_however_rows_were_thinned(learner: Learner) -> None:
    fitted = learner.fit(*simulated())
    x, y, at_risk = simulated(1)
    p = cumulate(fitted.hazards(x))
    assert abs(p[:, 2].mean() - y.any(axis=1).mean()) < 0.02
    assert at_risk.any()


@pytest.mark.parametrize("kind", [HazardTrees, HazardForest, HazardLinear])
def test_the_same_seed_and_rows_give_the_same_numbers(kind: type[HazardTrees]) -> None:
    x, y, at_risk = simulated(n=2000)
    one, two = (kind(seed=3).fit(x, y, at_risk).hazards(x[:50]) for _ in range(2))
    assert (one == two).all()


@pytest.mark.parametrize("learner", SMALL, ids=lambda m: type(m).__name__)
def test_without_any_event_the_base_rate_is_left(learner: Learner) -> None:
    x, y, at_risk = simulated(n=500)
    h = learner.fit(x, 0 * y, at_risk).hazards(x)
    assert np.allclose(h, h[0])
    assert (h < 0.05).all()


@pytest.mark.parametrize("learner", SMALL, ids=lambda m: type(m).__name__)
def test_forecasting_no_rows_gives_no_rows(learner: Learner) -> None:
    assert learner.fit(*simulated(n=500)).hazards(np.zeros((0, 4), np.float32)).shape == (0, 3)
