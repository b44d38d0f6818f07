"""Forecasts of the next hour against seasonal naive and others, and whether their bounds hold what they promise.

    python -m benchmarks.trends [NAB_DIR] [--shops 2102,2103] [--days 14] [--faults-a-day 3] [--chosen] [--river] [--json] [--out FILE]

Errors and latency of simulated shops (`app.demo`) go through the line of the service, requests, decoder, Memory and `app.trends`; files
of the Numenta Anomaly Benchmark through `models.trend.Trends` alone. Constants were chosen on shop 2101 and on every second file, which
``--chosen`` shows; without it all others are judged. The first three days are not judged, nor are forecasts made within an incident.

The loss is the mean absolute error of the mean over five minutes that ends at the horizon, of a series over that of seasonal naive (the
same five minutes of the day before), averaged over series; below it the same of squares on the scale of the measure (roots of counts,
logarithms). Others: seasonal naive scaled to the present hour, the last value, the mean of the last hour, and `usual`, what the service
holds usual at that hour. With ``--river`` Holt-Winters and SNARIMAX of river, a model a series, forecast whole services too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.answers import answers_as_json, deliver
from benchmarks.trend_river import river_forecasts
from benchmarks.trend_series import Forecasts, of_files, of_shop
from features.arrays import BoolArray, FloatArray
from models.trend import STEP_S, STEPS

__all__ = ["bounds_of", "chances_of", "changes_of", "losses_of", "main"]

_DAY, _HOUR, _WARM = 86_400 // STEP_S, 3600 // STEP_S, 3 * 86_400 // STEP_S
_CATEGORIES = ("realTweets", "realTraffic", "realAWSCloudwatch")
_COLUMNS = ("mean", "counted", "usual", "middle", "lower", "upper", "limit", "chance", "changed")
_BINS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of the Numenta Anomaly Benchmark")
    parser.add_argument("--shops", default="2102,2103", help="seeds")
    parser.add_argument("--days", type=float, default=14.0)
    parser.add_argument("--faults-a-day", type=float, default=3.0)
    parser.add_argument("--chosen", action="store_true", help="judge what constants were chosen on")
    parser.add_argument("--river", action="store_true", help="river's models beside ours")
    answers_as_json(parser)
    asked = parser.parse_args()
    found: dict[str, object] = {}
    for one, faults in _sets(asked):
        judged: dict[str, object] = {"losses": losses_of(one), "bounds": bounds_of(one)}
        if np.isfinite(one.limit).any():
            judged["chances"] = chances_of(one)
        if asked.river and one.whole.sum() < len(one.whole):
            judged["river"] = _beside_river(one)
        found[one.name] = judged
        if faults is not None:
            judged["changes"] = changes_of(one, faults)
        print(one.name, *_lines(judged), sep="\n", flush=True)
    deliver(asked, sets=found)


def _sets(asked: argparse.Namespace) -> Iterator[tuple[Forecasts, BoolArray | None]]:
    for seed in ("2101",) if asked.chosen else filter(None, asked.shops.split(",")):
        begun = time.perf_counter()
        *both, shop = of_shop(int(seed), asked.days, asked.faults_a_day)
        print(f"shop {seed}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        # In some service, from the first sign to an hour after the end: what changes then may be the fault's, and its repair's.
        n_steps, troubled = len(both[0].mean), np.zeros(len(both[0].mean), np.bool_)
        for fault in (*shop.truth(), *shop.decoys()):
            first, last = ((at - shop.start).total_seconds() / STEP_S for at in (fault.onset, fault.end))
            troubled[max(int(first) - 1, 0) : min(int(last) + _HOUR + 1, n_steps)] = True
        yield from ((one, troubled) for one in both)
    for category in _CATEGORIES if asked.folder else ():
        yield of_files(asked.folder, category, 0 if asked.chosen else 1), None


def losses_of(one: Forecasts, more: Mapping[str, FloatArray] | None = None) -> dict[str, dict[str, tuple[float, float]]]:
    """Return by horizon and forecaster the loss over that of seasonal naive: absolute, and of squares on the measure's scale.

    Parameters
    ----------
    one : Forecasts
        What was forecast.
    more : Mapping of str to FloatArray, shape (t, n, len(STEPS)), optional
        Other forecasts of the same; where they are NaN nothing is judged.
    """
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for place, steps in enumerate(STEPS):
        told = _others(one, steps) | {"usual": one.usual[:, :, 1 + place], "ours": one.middle[:, :, 1 + place]}
        told |= {name: values[:, :, place] for name, values in (more or {}).items()}
        came = _later(one.mean, steps)
        judged = _judged(one, came) & np.all([np.isfinite(values) for values in told.values()], axis=0)
        found[f"{steps * STEP_S // 60} min"] = _relative(one, told, came, judged)
    return found


def _relative(
    one: Forecasts, told: Mapping[str, FloatArray], came: FloatArray, judged: BoolArray
) -> dict[str, tuple[float, float]]:
    plain, forward = {}, one.measure.forward
    squared: dict[str, FloatArray] = {}
    for name, values in told.items():
        plain[name] = np.where(judged, np.abs(values - came), 0.0).sum(0)
        squared[name] = np.where(judged, (forward(values) - forward(came)) ** 2, 0.0).sum(0)
    rows = plain["seasonal naive"] > 0
    return {
        name: tuple(float(np.mean(loss[name][rows] / loss["seasonal naive"][rows])) for loss in (plain, squared))
        for name in told
    }  # fmt: skip # pyright: ignore[reportReturnType] - two of them


def _others(one: Forecasts, steps: int) -> dict[str, FloatArray]:
    """Return what simple rules forecast."""
    last = one.mean
    known = np.isfinite(last)
    sums, numbers = (_running(values, _HOUR) for values in (np.where(known, last, 0.0), known * 1.0))
    hour = np.divide(sums, numbers, out=np.full(last.shape, np.nan), where=numbers > 0)
    naive = _earlier(last, _DAY - steps)
    # Of counts by the share of the last hour in the same hour of the day before, with one event imagined.
    by_share, by_distance = naive * (sums + 1.0) / (_earlier(sums, _DAY) + 1.0), naive + hour - _earlier(hour, _DAY)
    scaled = by_share if one.measure.at_once else by_distance
    return {"seasonal naive": naive, "scaled": scaled, "last": last, "hour": hour}


def _judged(one: Forecasts, came: FloatArray) -> BoolArray:
    return one.counted & np.isfinite(came) & (np.arange(len(came)) >= _WARM)[:, None]


def _later(values: FloatArray, steps: int) -> FloatArray:
    return np.concatenate([values[steps:], np.full((steps, values.shape[1]), np.nan)])


def _earlier(values: FloatArray, steps: int) -> FloatArray:
    return np.concatenate([np.full((steps, values.shape[1]), np.nan), values[: len(values) - steps]])


def _running(values: FloatArray, steps: int) -> FloatArray:
    """Return the sum of the last steps."""
    sums = np.cumsum(values, axis=0)
    return sums - np.concatenate([np.zeros((min(steps, len(sums)), sums.shape[1])), sums[:-steps]])


def bounds_of(one: Forecasts) -> dict[str, tuple[float, float]]:
    """Return by horizon the shares of outcomes below the lower and above the upper bound; a twentieth is promised."""
    found: dict[str, tuple[float, float]] = {}
    for place, steps in enumerate(STEPS, 1):
        came = _later(one.mean, steps)
        judged = _judged(one, came)
        below, above = came < one.lower[:, :, place] - 1e-6, came > one.upper[:, :, place] + 1e-6
        found[f"{steps * STEP_S // 60} min"] = float(below[judged].mean()), float(above[judged].mean())
    return found


def chances_of(one: Forecasts) -> dict[str, object]:
    """Return how often limits were met by the chance that was told, and the Brier skill against the mean."""
    over = np.where(np.isfinite(one.mean), one.mean, -np.inf) >= one.limit
    met = np.any([_later(np.where(over, 1.0, 0.0), steps) == 1.0 for steps in range(1, _HOUR + 1)], axis=0)
    judged = _judged(one, _later(one.mean, _HOUR)) & ~over
    told, came = one.chance[judged], met[judged]
    bins = []
    for low, high in pairwise(_BINS):
        inside = (told >= low) & ((told < high) | (high == 1.0))
        bins.append(
            (
                int(inside.sum()),
                float(told[inside].mean()) if inside.any() else None,
                float(came[inside].mean()) if inside.any() else None,
            )
        )
    skill = 1.0 - float(((told - came) ** 2).mean() / max(((came.mean() - came) ** 2).mean(), 1e-12))
    return {"rate": float(came.mean()), "skill": skill, "bins": bins}


def changes_of(one: Forecasts, troubled: BoolArray) -> dict[str, float]:
    """Return how many changes were found a series in 30 days of calm, and in 30 days of trouble, as of any fault or decoy."""
    before = np.concatenate([np.full((1, one.changed.shape[1]), np.nan), one.changed[:-1]])
    # A change is dated anew with each tick, to the step; what jumps ahead by more is another one.
    new = np.isfinite(one.changed) & ~(one.changed <= before + 2)
    at = np.where(new, one.changed, -1).astype(int)
    of = troubled[np.maximum(at, 0)]
    month, n = 30 * _DAY, one.changed.shape[1]
    calm_steps, bad_steps = max(int((~troubled).sum()), 1), max(int(troubled.sum()), 1)
    return {
        "calm": float((new & ~of).sum() / n / calm_steps * month),
        "troubled": float((new & of).sum() / n / bad_steps * month),
    }


def _beside_river(one: Forecasts) -> dict[str, object]:
    """Return the losses of whole services with river's models beside ours, and what they cost."""
    told, cost = river_forecasts(one)
    keep = np.flatnonzero(one.whole)
    columns = {name: getattr(one, name)[:, keep] for name in _COLUMNS}
    part = replace(one, **columns, whole=one.whole[keep])
    return {"losses": losses_of(part, told), "ms a step and series": cost}


def _lines(judged: Mapping[str, object]) -> Iterator[str]:
    for kind, values in judged.items():
        if kind in {"losses", "river"}:
            losses = values if kind == "losses" else values["losses"]  # type: ignore[index, call-overload]
            for horizon, of in losses.items():  # type: ignore[union-attr, attr-defined]
                yield f"  {kind} {horizon:>6}: " + ", ".join(
                    f"{name} {plain:.3f} ({square:.3f})" for name, (plain, square) in of.items()
                )
        else:
            yield f"  {kind}: {values}"
    if "river" in judged:
        yield f"  river costs: {judged['river']['ms a step and series']}"  # type: ignore[index, call-overload]


if __name__ == "__main__":
    main()
