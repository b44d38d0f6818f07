"""The feature groups that read a series' own windows: errors, surprise, trend, volume, latency, warnings.

Each function takes a View and returns its columns in the order that `features.extract` names them.
"""

from __future__ import annotations

import numpy as np

from features.arrays import FloatArray
from features.rates import decayed, quantile, ratio, slope, surprise
from features.view import View

__all__ = ["SPANS", "errors", "latency", "surprises", "trends", "volume", "warnings"]

SPANS = (1, 5, 15, 60)
"""Windows that multi-scale features look back over."""


def errors(view: View) -> list[FloatArray]:
    """Return counts and shares of errors over several spans."""
    logs = [np.log1p(view.sum("errors", s)) for s in SPANS]
    # Five imagined requests at one failure in a thousand: one failure of one request is no 100 %.
    shares = [ratio(view.sum("failed", s), view.sum("total", s), 0.001, 5.0) for s in SPANS]
    server = [ratio(view.sum("server_errors", s), view.sum("total", s), 0.001, 5.0) for s in (5, 60)]
    return [*logs, *shares, *server]


def surprises(view: View) -> list[FloatArray]:
    """Return how improbable the errors are against the seasonal baseline and against the last hour."""
    tails = [view.surprise("errors", s) for s in (1, 5, 15)]
    return [*tails, view.surprise("failed", 5), _deviation(view.counts("errors")), _deviation(_share(view))]


def trends(view: View) -> list[FloatArray]:
    """Return slopes of the errors in units of their mean, and the slope's change."""
    counts = view.counts("errors")
    scale = counts.mean(1) + 0.5
    newer, older = slope(counts[:, -15:]) / scale, slope(counts[:, -30:-15]) / scale
    return [newer, slope(counts) / scale, newer - older, slope(_share(view)[:, -30:]) * 30.0]


def volume(view: View) -> list[FloatArray]:
    """Return traffic, its change, and its distance from the usual."""
    five, hour = view.sum("total", 5) / 5, view.sum("total", 60) / 60
    empty = view.counts("total")[:, ::-1] == 0
    silent = np.where(empty.all(1), empty.shape[1], (~empty).argmax(1)).astype(float)
    return [
        np.log1p(five),
        np.log1p(hour),
        np.log((five + 1) / (hour + 1)),
        np.log((five + 1) / (view.usual("total") + 1)),
        np.log1p(silent),
    ]


def latency(view: View) -> list[FloatArray]:
    """Return latency quantiles in log seconds and their shift against the time before."""
    five = view.histogram(5)
    seconds = np.log(np.maximum(np.stack([quantile(five, 0.5), quantile(five, 0.95)]), 1e-4))
    slow, hours = quantile(view.histogram(15), 0.95), quantile(view.histogram_before(), 0.95)
    known = (slow > 0) & (hours > 0)
    long_shift = np.where(known, np.log(np.where(known, slow, 1.0) / np.where(known, hours, 1.0)), 0.0)
    mean = np.log(ratio(view.counts("duration_sum_s"), view.counts("total")) + 1e-3)
    top = view.counts("duration_max_s")[:, -5:].max(1)
    return [
        seconds[0],
        seconds[1],
        view.latency_shift(0.5, 5, 55),
        view.latency_shift(0.95, 5, 55),
        view.latency_shift(0.95, 15, 45),
        long_shift,
        slope(mean[:, -30:]) * 30.0,
        np.log(top + 1e-3),
    ]


def warnings(view: View) -> list[FloatArray]:
    """Return warnings and handled exceptions: what precedes errors more often than errors do."""
    warned, handled = view.counts("warnings"), view.counts("handled")
    usual = view.usual("warnings")
    return [
        *(np.log1p(view.sum("warnings", s)) for s in (5, 15, 60)),
        *(np.log1p(view.sum("handled", s)) for s in (5, 15, 60)),
        surprise(view.sum("warnings", 5), usual * 5),
        surprise(view.sum("warnings", 15), usual * 15),
        _change(warned),
        _change(handled),
        slope(warned[:, -30:]) * 30.0 / (warned.mean(1) + 1.0),
        slope(handled[:, -30:]) * 30.0 / (handled.mean(1) + 1.0),
    ]


def _share(view: View) -> FloatArray:
    return ratio(view.counts("failed"), view.counts("total"), 0.001, 5.0)


def _deviation(values: FloatArray) -> FloatArray:
    """Return how far the fast mean is from the slow one, in standard deviations of the hour before."""
    before = values[:, :-5]
    spread = np.sqrt(before.var(1) + 0.25 * values.mean(1) + 1e-4)
    return np.clip((decayed(values, 3.0) - decayed(before, 20.0)) / spread, -20.0, 20.0)


def _change(values: FloatArray) -> FloatArray:
    """Return the log of the rate of the last 10 windows against that of the 50 before."""
    return np.log((values[:, -10:].mean(1) + 0.1) / (values[:, :-10].mean(1) + 0.1))
