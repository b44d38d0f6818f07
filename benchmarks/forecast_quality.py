"""How well incidents are forecast on recordings that nobody here made, beside three simple baselines.

    python -m benchmarks.forecast_quality DATA_DIR [--json] [--out FILE] [--only NAME] [--seed N] [--shop-days N]

`DATA_DIR` holds `upptime_events.csv.gz` (checks of public services; the onset of an outage within 1 h, 6 h and 24 h),
`mercury_errors.txt.gz` (errors of cluster nodes; an error within 1 h, and a burst of 10 within an hour) and
`lanl_failures.csv.gz` (failures of nodes; within 1 d and 7 d). Beside them the demo shop, through its own history. One
configuration for all: a tick of a twelfth of the shortest horizon, everything else as `training.backtest` has it.

For every set and horizon it prints ours and the baselines on all rows and on quiet rows (no event within the last horizon), with
90 % block-bootstrap intervals, and whether ours is better beyond doubt; who would serve the interval that ends at each horizon; and of
the shop how well the categories of incidents were told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.commands.backtest_command import backtest as backtest_of_folder
from app.commands.demo_command import DemoOptions, run
from app.settings import Settings, load_settings
from benchmarks.answers import answers_as_json, deliver
from training import backtest

__all__ = ["SETS", "demo_shop", "main"]

_BASELINES = ("recency", "rate", "seasonal")
_BURST, _BURST_SPAN = 10, pd.Timedelta("1h")


@dataclass(frozen=True, slots=True)
class Set:
    """One data set as `training.backtest` takes it."""

    events: pd.DataFrame
    incidents: pd.DataFrame | None
    tick: str
    horizons: tuple[str, ...]


def upptime(folder: Path) -> Set:
    """Return checks of public services: an outage lasts until the next check that is not down."""
    frame = pd.read_csv(folder / "upptime_events.csv.gz")
    frame["time"] = pd.to_datetime(frame["unix_time"], unit="s", utc=True)
    frame = frame.sort_values(["repo", "service", "unix_time"], ignore_index=True)
    up = frame["time"].where(frame["status"] != "down")
    ended = up.groupby([frame["repo"], frame["service"]]).bfill()
    events = pd.DataFrame(
        {
            "time": frame["time"],
            "service": frame["repo"],
            "operation": frame["service"],
            "severity": np.select([frame["onset"] == 1, frame["status"] != "up"], [17, 13], 9),
        }
    )
    began = frame["onset"] == 1
    incidents = pd.DataFrame(
        {
            "start": frame["time"][began],
            "end": ended[began].fillna(frame["time"][began]),
            "service": frame["repo"][began],
            "operation": frame["service"][began],
        }
    )
    return Set(events, incidents, "5min", ("1h", "6h", "24h"))


def mercury(folder: Path) -> Set:
    """Return errors of cluster nodes, each of which is to be forecast."""
    return Set(_mercury(folder), None, "5min", ("1h",))


def mercury_bursts(folder: Path) -> Set:
    """Return the same with bursts of ten errors within an hour as what is to be forecast."""
    events = _mercury(folder)
    bursts = pd.DataFrame(
        [
            {"service": "mercury", "operation": node, "start": start, "end": end, "detected_at": found}
            for node in sorted(set(events["operation"]))
            for start, found, end in _bursts(np.sort(np.asarray(events["time"][events["operation"] == node])))
        ]
    )
    for column in ("start", "end", "detected_at"):
        bursts[column] = pd.to_datetime(bursts[column], utc=True)
    return Set(events, bursts, "5min", ("1h",))


def lanl(folder: Path) -> Set:
    """Return failures of the nodes of 15 clusters, each until it was mended."""
    frame = pd.read_csv(folder / "lanl_failures.csv.gz", low_memory=False)
    start, fixed = (
        pd.to_datetime(frame[name], format="mixed", errors="coerce", utc=True) for name in ("Prob Started", "Prob Fixed")
    )
    incidents = pd.DataFrame(
        {
            "start": start,
            "end": fixed.where(fixed >= start, start),
            "service": frame["System"],
            "operation": frame["nodenum"],
        }
    ).dropna(ignore_index=True)
    events = pd.DataFrame({"time": incidents["start"], "service": incidents["service"], "operation": incidents["operation"]})
    return Set(events, incidents, "2h", ("1d", "7d"))


def _mercury(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "mercury_errors.txt.gz", sep=" ", names=["unix", "node", "category", "message"], quotechar='"')
    at = pd.to_datetime(frame["unix"], unit="s", utc=True)
    return pd.DataFrame({"time": at, "service": "mercury", "operation": frame["node"]})


def _bursts(times: np.ndarray[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield start, tenth error and end of every longest run in which ten errors never took more than an hour."""
    if len(times) < _BURST:
        return
    dense = (times[_BURST - 1 :] - times[: 1 - _BURST]) <= _BURST_SPAN
    edges = np.flatnonzero(np.diff(np.concatenate([[False], dense, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield times[first], times[first + _BURST - 1], times[last + _BURST - 2]


SETS: dict[str, Callable[[Path], Set]] = {
    "upptime": upptime,
    "mercury error": mercury,
    "mercury burst": mercury_bursts,
    "lanl": lanl,
}


@contextmanager
def demo_shop(days: float, seed: int) -> Generator[Settings]:
    """Make the demo shop's history through the whole line, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        ports = {f"server.{port}": 0 for port in ("otlp_http_port", "otlp_grpc_port", "api_port")}
        settings = load_settings(None, data=Path(name) / "demo", **ports)
        from rich.console import Console  # noqa: PLC0415 - only here

        with redirect_stdout(sys.stderr):  # its own report of the last day
            run(settings, DemoOptions(seed, days, 24.0, False), True, Console(stderr=True, quiet=True))
        yield settings


def shop(days: float, seed: int) -> dict[str, Any]:
    """Return the report of the demo shop, made and read through the whole line."""
    with demo_shop(days, seed) as settings:
        return backtest_of_folder(settings, "default", (None, None), None, lambda *_: None)[0]


def lines(name: str, report: dict[str, Any]) -> Iterator[str]:
    """Yield a table of one set."""
    yield f"{name}: {report['incidents']['test']} incidents, {report['rows']['test']:,} rows, {report['test'][0][:10]} to {report['test'][1][:10]}"
    yield (
        f"  {'horizon':8}{'rows':7}{'forecaster':12}{'base':>8}{'AP':>8}{'AUC':>7}{'logloss':>9}{'ECE':>8}{'slope':>7}{'top 1%':>8}"
        f"{'  AP gain over it':24}{'log loss gain over it':28}"
    )
    for horizon, of_horizon in report["horizons"].items():
        for rows, part in (("all", of_horizon), ("quiet", of_horizon["quiet"])):
            for forecaster in ("ensemble", *_BASELINES):
                scores = part if forecaster == "ensemble" else part["baselines"][forecaster]
                yield (
                    f"  {horizon:8}{rows:7}{forecaster:12}"
                    + _numbers(scores)
                    + ("" if forecaster == "ensemble" else _gains(scores))
                )
        yield f"  {horizon:8}{'all':7}{'as served':12}" + _numbers(of_horizon["served"]) + _gains(of_horizon["served"])
    for horizon, of_horizon in report["horizons"].items():
        choice = of_horizon["choice"]
        yield f"  {horizon:8}served by {choice['serves']}: the ensemble is {choice['kind']} beside {choice['best']} in this interval"
    if report["categories"]:
        yield f"  categories of {report['categories']['mixture']['incidents']} incidents, given that they begin"
        yield f"  {'told by':12}{'logloss':>9}{'':18}{'Brier':>8}{'top 1':>8}{'':18}{'top 3':>8}{'  log loss gain of the mixture over it'}"
    for told, scores in (report["categories"] or {}).items():
        yield (
            f"  {told:12}{scores['log_loss']:9.3f}{_range(scores['log_loss_interval']):18}{scores['brier']:8.3f}"
            f"{scores['top1']:8.3f}{_range(scores['top1_interval']):18}{scores['top3']:8.3f}"
            + ("" if told == "mixture" else _range([-end for end in reversed(scores["mixture_minus_this_interval"] or ())]))
        )


def _range(interval: list[float] | None) -> str:
    return "" if not interval else f"  [{interval[0]:.3f}, {interval[1]:.3f}]"


def _numbers(scores: dict[str, Any]) -> str:
    shown = (
        ("base_rate", 8, 4),
        ("ap", 8, 4),
        ("auc", 7, 3),
        ("log_loss", 9, 5),
        ("ece", 8, 4),
        ("slope", 7, 2),
        ("top_ratio", 8, 2),
    )
    return "".join(
        f"{'-' if scores[key] is None else format(scores[key], f'.{digits}f'):>{width}}" for key, width, digits in shown
    )


def _gains(scores: dict[str, Any]) -> str:
    ap, loss = scores["ap_gain_interval"], scores["model_minus_this_interval"]
    gained = f"  {_sign(ap, better=1)} [{ap[0]:+.4f}, {ap[1]:+.4f}]" if ap else "  -"
    lost = f"  {_sign(loss, better=-1)} [{-loss[1]:+.5f}, {-loss[0]:+.5f}]" if loss else "  -"
    return f"{gained:26}{lost}"


def _sign(interval: list[float], *, better: int) -> str:
    """Return whether an interval excludes 0, and on which side."""
    low, high = sorted(better * end for end in interval)
    return "better" if low > 0 else "worse" if high < 0 else "even"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Quality of forecasts on real recordings.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="sets whose name holds this")
    answers_as_json(parser)
    parser.add_argument("--shop-days", type=float, default=3.0)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    names = [name for name in (*SETS, "shop") if asked.only in name]
    for name in names:
        begun = time.perf_counter()
        if name == "shop":
            found[name] = shop(asked.shop_days, asked.seed + 1)
        else:
            one = SETS[name](asked.data)
            report = backtest(one.events, incidents=one.incidents, tick=one.tick, horizons=one.horizons, seed=asked.seed)
            found[name] = report.to_dict()
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        if not asked.json:
            print(*lines(name, found[name]), sep="\n")
    deliver(asked, sets=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
