"""Small fitted ensembles of the live schema, and registries that hold some, for tests of what keeps and serves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from features.extract import SCHEMA
from models.baseline import Rate
from models.ensemble import Ensemble
from models.linear import HazardLinear
from models.prediction import HORIZONS
from models.registry import Registry
from models.version import ModelRecord

__all__ = ["FITTED_AT", "KEY", "add_version", "an_ensemble"]

KEY = bytes(range(32))
"""What registries of tests sign with."""

FITTED_AT = datetime(2026, 3, 1, tzinfo=UTC)


def an_ensemble(seed: int = 0) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = rng.random((400, len(SCHEMA.features))).astype(np.float32)
    y = (rng.random((400, 3)) < 0.2 * x[:, [0]]).astype(float)
    at_risk = np.cumsum(y, axis=1) - y == 0
    member, rate = HazardLinear().fit(x, y * at_risk, at_risk), Rate(SCHEMA).fit(x, y * at_risk, at_risk)
    return Ensemble((("linear", member),), (("rate", rate),)).fit(x, y * at_risk, at_risk, n_events=50)


def add_version(registry: Registry, hour: int = 0, *, ap: float = 0.25, data: str = "b", schema: str = SCHEMA.sha256) -> str:
    """Register a version that was fitted at an hour, and return its id."""
    made = FITTED_AT + timedelta(hours=hour)
    serves = dict.fromkeys(HORIZONS, "ensemble")
    record = ModelRecord(SCHEMA.version, schema, made, made, data * 64, 0, serves, made, {"60min.ap": ap})
    return registry.add(an_ensemble(hour), record).id
