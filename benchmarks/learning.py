"""What a fit costs, and what it costs to forecast all series once.

    python -m benchmarks.learning [--rows 100000 1000000] [--series 10000] [--seed N]

Simulated rows of 80 columns with a signal in a few of them, one incident in 200 rows; 2 jobs. A fit is all that a training run does
between rows and a fitted ensemble (`training.fit.fit`): three members and four baselines on the training block, stacking, calibration,
and everything once more on both blocks. Forecasting is `Ensemble.hazards` and `cumulate` for every series and three horizons.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from features.arrays import FloatArray
from features.schema import Feature, FeatureSchema
from features.series import SeriesKey
from models.hazard import cumulate
from training.fit import fit
from training.rows import Rows

__all__ = ["main", "simulated"]

_NAMED = ("incident_decay_1", "incident_decay_2", "incident_decay_3", "incident_rate", "incident_rate_seasonal")
_COLUMNS = 80
_SIGNALS = 6
_ROWS_A_SERIES = 1000


def simulated(n: int, seed: int) -> Rows:
    """Return rows whose incidents follow some of their columns."""
    rng = np.random.default_rng(seed)
    names = (*_NAMED, *(f"column_{i}" for i in range(len(_NAMED), _COLUMNS)))
    schema = FeatureSchema(1, tuple(Feature(name, "any") for name in names))
    series, at = np.divmod(np.arange(n), _ROWS_A_SERIES)
    x = rng.normal(size=(n, _COLUMNS)).astype(np.float32)
    x[:, : len(_NAMED)] = np.abs(x[:, : len(_NAMED)])
    risk = x[:, -_SIGNALS:].sum(1) / np.sqrt(_SIGNALS)
    begins = rng.random(n) < 0.005 * np.exp(risk - 0.5)
    as_of_s = at * 60
    next_s = _next(begins, as_of_s + 150.0, series)
    keys = tuple(SeriesKey("default", f"s{i}", "*") for i in range(int(series.max()) + 1))
    usable, never = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    end_s = int(as_of_s.max()) + 3600
    return Rows(x, schema, series, keys, as_of_s, next_s, end_s, usable, never, np.full(n, -1, np.int64))


def _next(begins: np.ndarray, when: FloatArray, series: np.ndarray) -> FloatArray:
    """Return each row's next beginning in its series, inf without one."""
    start = np.where(begins, when, np.inf)
    for place in range(len(start) - 2, -1, -1):
        if series[place] == series[place + 1]:
            start[place] = min(start[place], start[place + 1])
    return start


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of fitting and forecasting.")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for n in asked.rows:
        rows = simulated(n, asked.seed)
        begun = time.perf_counter()
        fitted = fit(rows, seed=asked.seed, jobs=2)
        print(f"fit of {n:,} rows x {_COLUMNS} columns: {time.perf_counter() - begun:.1f} s")
        x = rows.x[: asked.series]
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            cumulate(fitted.ensemble.hazards(x))
            took.append(time.perf_counter() - begun)
        weights = {name: round(weight, 2) for name, weight in fitted.record.weights.items()}
        print(f"forecast of {len(x):,} series x 3 horizons: {np.median(took):.3f} s (median of 5); members {weights}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
