"""What river's time series models forecast of whole services, for `benchmarks.trends`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from river.linear_model import LinearRegression
from river.optim import SGD
from river.preprocessing import StandardScaler
from river.time_series import SNARIMAX, HoltWinters

from benchmarks.trend_series import Forecasts
from features.arrays import FloatArray
from models.trend import STEP_S, STEPS

__all__ = ["river_forecasts"]

_DAY = 86_400 // STEP_S
_EVERY = 3  # steps between two forecasts, of which the benchmark then judges a third

_MODELS: dict[str, Callable[[], Any]] = {
    "Holt-Winters": lambda: HoltWinters(alpha=0.1, beta=0.01, gamma=0.1, seasonality=_DAY),
    "SNARIMAX": lambda: SNARIMAX(
        p=3, d=0, q=0, m=_DAY, sp=2, regressor=StandardScaler() | LinearRegression(optimizer=SGD(1e-3), intercept_lr=0.05)
    ),
}


def river_forecasts(one: Forecasts) -> tuple[dict[str, FloatArray], dict[str, float]]:
    """Return forecasts by model, shape (t, n of whole services, len(STEPS)), and CPU milliseconds a step and series.

    Models learn the measure's scale; a step of which nothing is known is skipped.
    """
    series = np.flatnonzero(one.whole)
    told: dict[str, FloatArray] = {}
    cost: dict[str, float] = {}
    for name, make in _MODELS.items():
        told[name] = np.full((len(one.mean), len(series), len(STEPS)), np.nan)
        begun = time.process_time()
        for place, row in enumerate(series.tolist()):
            _forecast(make(), one.measure.forward(one.mean[:, row]), told[name][:, place])
        cost[name] = 1000.0 * (time.process_time() - begun) / (len(one.mean) * len(series))
        told[name] = one.measure.backward(told[name])
    return told, cost


def _forecast(model: Any, x: FloatArray, told: FloatArray) -> None:
    for step, value in enumerate(x.tolist()):
        if np.isfinite(value):
            model.learn_one(value)
        if step % _EVERY == 0 and step >= 2 * _DAY:
            ahead = model.forecast(horizon=max(STEPS))
            told[step] = [ahead[steps - 1] for steps in STEPS]
