"""What it costs the learners that of many series only some rows wait for their outcome, and these in half precision.

    python -m benchmarks.scale_learning [--series 8000] [--ticks 480] [--seed 0] [--json] [--out FILE]

The population of `benchmarks.scale` goes through one memory, beside which three `app.learners.Learners` stand: one lets every row wait in full
precision, one packs them, one does as the service does. Of each the log loss of every row at every fifth tick is taken once its horizons
have closed, of what was served and of what the online learner said alone; in nats a row and interval, from the third hour on. Incidents are
bootstrapped by service for the interval of the difference from the first.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from threadpoolctl import threadpool_limits

from app.learners import MOST_ROWS, Learners
from app.members import SERVED, subjects_of
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from benchmarks.scale import champion
from benchmarks.scale_population import START_TICK, TENANT, Population
from features.arrays import Float32Array, FloatArray, IntArray
from features.extract import extract
from features.memory import Memory, MemoryPlan
from models.hazard import log_losses
from models.maturing import Maturing, Pending

__all__ = ["main"]

_EVERY, _FIRST = 5, 180
_DRAWS = 400
_ALL = 10**9


class _Exact(Maturing):
    """Keeps forecasts as they are."""

    def add(self, pending: Pending) -> None:
        self.pending.append(pending)


def losses(n_series: int, ticks: int, seed: int) -> tuple[dict[str, FloatArray], IntArray]:
    """Return the summed loss of each service by way and speaker, and how many rows and intervals of it were at risk."""
    population, memory, serves = (
        Population(n_series, seed),
        Memory(MemoryPlan(max_series_per_tenant=2 * n_series)),
        champion(seed),
    )
    rule = memory.plan.rule
    ways = {"every row, exact": _ALL, "every row, packed": _ALL, "as the service does it": MOST_ROWS}
    learners = {way: Learners(memory, Telemetry(), most) for way, most in ways.items()}
    exact, judge = _Exact(60, rule.m + memory.plan.lateness), _Exact(60, rule.m + memory.plan.lateness)
    learners["every row, exact"].maturing[TENANT] = exact
    total, number = dict[str, FloatArray](), np.zeros(2 * n_series, np.int64)
    for each in learners.values():
        each.of(TENANT).promote(serves)
    for tick in range(START_TICK, START_TICK + ticks):
        memory.begin(tick)
        for partition, message in population.messages(tick):
            memory.add(TENANT, partition, message.batch)
        standing, x = memory.advance(tick + 1).standing, extract(memory)
        for each in learners.values():
            each.settle(tick + 1, standing)
            each.hazards(x, tick + 1)
        for row in np.flatnonzero(standing.began).tolist():
            judge.began(row, int(standing.open_since[row]), tick + 1)
        if (tick + 1) % _EVERY == 0 and tick >= START_TICK + _FIRST:
            judge.add(_said(learners, memory, x))
        for matured in judge.due(tick + 1):
            service = memory.directory.whole[matured.pending.rows]
            number += np.bincount(service, matured.at_risk.sum(1), len(number)).astype(np.int64)
            for name, hazards in matured.pending.hazards.items():
                lost = (log_losses(hazards, matured.y) * matured.at_risk).sum(1)
                total[name] = total.get(name, 0.0) + np.bincount(service, lost, len(number)).astype(float)
    return total, number


def _said(learners: dict[str, Learners], memory: Memory, x: Float32Array) -> Pending:
    """Return what all ways say of all rows that stand in no incident."""
    rows = np.flatnonzero(~memory.onsets.in_incident())
    said = dict[str, FloatArray]()
    for way, each in learners.items():
        members = each.of(TENANT)
        subjects = subjects_of(members, memory, rows)
        said[f"{way}; served"] = members.together(members.hazards(x[rows]), subjects)[SERVED]
        said[f"{way}; online"] = members.online.hazards(x[rows])
    quiet = np.zeros((len(rows), 3), np.bool_)
    return Pending(memory.tick, rows, x[rows, :1], said, "", quiet, np.zeros((len(rows), 3)))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=8_000)
    parser.add_argument("--ticks", type=int, default=480)
    answers_as_json(parser)
    asked = parser.parse_args()
    with threadpool_limits(1):
        total, number = losses(asked.series, asked.ticks, asked.seed)
    services = np.flatnonzero(number)
    rng = np.random.default_rng(asked.seed)
    drawn = rng.choice(services, (_DRAWS, len(services)))
    found = dict[str, tuple[float, float, float]]()
    for name, lost in total.items():
        beside = total[f"every row, exact; {name.partition('; ')[2]}"]
        differences = (lost - beside)[drawn].sum(1) / number[drawn].sum(1)
        low, high = np.quantile(differences, [0.05, 0.95])
        found[name] = float(lost.sum() / number.sum()), float(low), float(high)
    if not asked.json:
        print(
            f"{asked.series:,} series, {asked.ticks} ticks, {number.sum():,} rows and intervals; log loss, its difference (90 %)"
        )
        for name, (loss, low, high) in found.items():
            print(f"  {name:36}{loss:.6f}  [{low:+.6f}, {high:+.6f}]")
    deliver(asked, series=asked.series, ticks=asked.ticks, rows=int(number.sum()), losses=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
