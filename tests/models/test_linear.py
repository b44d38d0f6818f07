"""The linear floor is robust to wild values and to constant columns."""

from __future__ import annotations

import numpy as np

from models.linear import HazardLinear


def test_one_wild_row_changes_little_and_stays_finite() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3)).astype(np.float32)
    x[:, 2] = 7.0
    y = np.zeros((3000, 3))
    y[:, 0] = rng.random(3000) < 1 / (1 + np.exp(3 - x[:, 0]))
    at_risk = np.cumsum(y, axis=1) - y == 0
    calm = HazardLinear().fit(x, y, at_risk)
    wild_x = x.copy()
    wild_x[0] = 1e30
    wild = HazardLinear().fit(wild_x, y, at_risk)
    assert np.allclose(calm.hazards(x[1:50]), wild.hazards(x[1:50]), rtol=0.3)
    assert np.isfinite(wild.hazards(wild_x)).all()
    assert (calm.coef_[:, 2] == 0).all()


def test_rare_counts_are_scaled_by_their_spread() -> None:
    x = np.zeros((1000, 1), np.float32)
    x[:20] = 3.0
    y = np.zeros((1000, 3))
    y[:15, 0] = 1.0
    model = HazardLinear().fit(x, y, np.cumsum(y, axis=1) - y == 0)
    assert np.isfinite(model.scale_).all()
    assert model.hazards(x[:1])[0, 0] > 2 * model.hazards(x[-1:])[0, 0]
