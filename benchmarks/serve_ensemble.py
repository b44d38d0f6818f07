"""What the servers of `benchmarks.serve` answer with that compute: the same ensemble, out of the same artifact of the registry.

`benchmarks.serve_mlserver`, `benchmarks.serve_bentoml` and `benchmarks.serve_uncached` load it in processes of their own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np

from features.errors import InvalidValue
from models.ensemble import Ensemble
from models.hazard import cumulate
from models.prediction import HORIZONS

__all__ = ["ARTIFACT", "artifact", "predicted"]

ARTIFACT = "FORESHOCK_BENCHMARK_ENSEMBLE"
"""Environment variable with the path of the artifact."""


def artifact() -> Ensemble:
    """Return the ensemble that the environment names."""
    ensemble = joblib.load(Path(os.environ[ARTIFACT]))
    if not isinstance(ensemble, Ensemble):
        raise InvalidValue(f"{ARTIFACT} must name an Ensemble, got a {type(ensemble).__name__}")
    return ensemble


def predicted(ensemble: Ensemble, row: Sequence[float]) -> dict[str, float]:
    """Return the probabilities by horizon of one row of features."""
    x = np.asarray(row, np.float32)[None]
    return dict(zip(HORIZONS, cumulate(ensemble.hazards(x))[0].tolist(), strict=True))
