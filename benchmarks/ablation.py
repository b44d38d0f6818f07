"""What each feature group and each member of the ensemble is worth: left out, and alone.

    python -m benchmarks.ablation DATA_DIR [--json] [--out FILE] [--only NAME] [--seed N]

`DATA_DIR` is that of `benchmarks.forecast_quality`; of its sets, *upptime* and *mercury error* are taken, and beside them three days of the
demo shop through its own history. Walk-forward as `training.backtest` has it, with two folds instead of four, since every part is fitted
anew. Of a set with more than 300,000 rows only every so many ticks are taken.

For every part it prints the log loss, its difference to the whole ensemble with a 90 % block-bootstrap interval, and the average
precision at each horizon on all rows. A part *earns its place* when the ensemble is worse without it beyond doubt, *harms* when it
is better without it, else it is *even*: what it says, others say too, or it says nothing. It *tells something alone* when it is better
beyond doubt than *nothing*: the same ensemble with every column held, which knows no more than how often incidents begin.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.folder import EVER, Folder
from benchmarks.answers import answers_as_json, deliver
from benchmarks.forecast_quality import SETS, demo_shop
from training.ablation import Part, ablate
from training.dataset import from_events
from training.rows import Rows
from training.walkforward import WalkPlan

__all__ = ["main"]

_FOLDS = 2
_MAX_ROWS = 300_000
_SHOP_DAYS = 3.0
_NAMES = ("shop", "mercury error", "upptime")


def rows_of(name: str, folder: Path, seed: int) -> Rows:
    """Return the rows of a set."""
    if name == "shop":
        with demo_shop(_SHOP_DAYS, seed + 1) as settings, Folder(settings) as history:
            return history.dataset(history.job(since=EVER)).rows
    one = SETS[name](folder)
    return from_events(one.events, incidents=one.incidents, tick=one.tick, horizons=one.horizons, max_rows=_MAX_ROWS).rows


def head(horizons: Iterable[str]) -> str:
    """Return the names of the columns."""
    return (
        f"  {'part':20}{'what':8}{'':5}{'log loss':>9}{'difference':>12}  {'90 %':20}"
        + "".join(f"{f'AP {horizon}':>10}" for horizon in horizons)
        + "  sign"
    )


def line(part: Part) -> str:
    """Return a part on one line."""
    whole = part.what in {"all", "none"}
    interval = "" if part.what == "all" or part.interval is None else f"[{part.interval[0]:+.5f}, {part.interval[1]:+.5f}]"
    return (
        f"  {part.name:20}{part.what:8}{'' if whole else part.how:5}{part.log_loss:9.5f}{part.difference:+12.5f}  {interval:20}"
        + "".join(f"{ap:10.4f}" for ap in part.ap.values())
        + ("" if whole else f"  {part.sign}")
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Worth of each feature group and each member.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="sets whose name holds this")
    answers_as_json(parser)
    asked = parser.parse_args()
    out = sys.stderr if asked.json else sys.stdout  # parts as they come: the whole takes many minutes
    sets: dict[str, Any] = {}
    for name in (name for name in _NAMES if asked.only in name):
        begun = time.perf_counter()
        rows = rows_of(name, asked.data, asked.seed)
        plan = WalkPlan(folds=_FOLDS, seed=asked.seed)
        print(name, head(rows.horizons), sep="\n", file=out)
        found = ablate(rows, plan, lambda part: print(line(part), file=out, flush=True))
        sets[name] = asdict(found) | {"signs": {f"{part.name} {part.how}": part.sign for part in found.parts[2:]}}
        said = f"{name}: {found.rows:,} rows forecast in {_FOLDS} folds, {found.events} incidents"
        print(f"{said}, {time.perf_counter() - begun:.0f} s", file=out, flush=True)
    deliver(asked, sets=sets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
