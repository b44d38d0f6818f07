"""Which faults of simulated shops an alert budget announces, how early, and what else it pays for.

    python -m benchmarks.shop_faults [--seeds 2001-2010] [--days 60] [--faults-a-day 1.5] [--budget 2] [--keep DIR] [--json] [--out FILE]

Each seed is a shop of its own (`app.demo`, as issue 2 froze it). Its telemetry goes through the line of the service, minute by minute:
OTLP requests, decoder, messages of the log, Memory, features, rule; only the log's disk is left out. Rows are of whole services, every
second minute. At 1.5 faults a day just under one a day has warning signs, so that twenty of them are there to learn from when the first
forecast is judged: a third of the time goes before the first of four folds, each forecast by what lies before it
(`training.walkforward`), corrected by outcomes as they come, with thresholds that follow what was said.

Alerts of all services within an hour are one page, since the shop is one system; the budget is pages a day, right or wrong. A fault is
announced when a service that it will reach stands above the threshold in the hour before its errors begin; the lead is from the first
such minute. Per seed and for all: the recall of faults with warning signs and its lead, the share of faults without warning signs before
which the same is true by chance, pages a day, and how many pages open within 45 minutes after a decoy begins (a traffic spike or others).
Minutes in which errors have begun and the rule has not seen them yet are not forecast and open no page. Intervals are of 90 %, by a
bootstrap over shops.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from app.chronicle import Chronicle
from app.demo.faults import Fault
from app.demo.simulate import Shop
from app.flow import Flow, FlowPlan
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from benchmarks.shop_line import absorb_minute
from features.arrays import FloatArray, IntArray
from features.errors import InvalidValue
from features.extract import SCHEMA
from features.series import WHOLE
from models.ensemble import ENSEMBLE
from models.hazard import cumulate
from training.alerting import alerts, followed_thresholds
from training.dataset import Gathering
from training.rows import Rows
from training.walkforward import WalkPlan, forecast_folds

__all__ = ["Judged", "Simulated", "judge", "kept_shop", "main", "simulate"]

_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_STRIDE = 2  # minutes between two rows of a service
_HOUR_S = 3600
_DECOY_S = 45 * 60


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """What the line made of a shop, and the truth about it."""

    rows: Rows
    truth: tuple[Fault, ...]
    decoys: tuple[Fault, ...]
    days: float


def simulate(seed: int, days: float, faults_a_day: float) -> Simulated:
    """Send a shop's telemetry through the line, without a disk."""
    shop = Shop(seed, days, faults_a_day, _BEGIN)
    flow = Flow(FlowPlan(), Telemetry())
    gathering = Gathering(flow.memory, stride=_STRIDE, services=True)
    tick_s = flow.plan.memory.tick_s
    for number in range(shop.n_minutes):
        end_s = absorb_minute(flow, shop, number)
        gathering.add(flow.memory.advance(end_s // tick_s).standing)
        flow.chronicle = Chronicle()  # nothing goes to history
        for errors in flow.errors.values():
            errors.forget(end_s // tick_s)
    return Simulated(gathering.dataset().rows, shop.truth(), shop.decoys(), days)


def kept_shop(seed: int, asked: argparse.Namespace) -> Simulated:
    """Return a simulated shop, from the folder of those that were kept where it is there."""
    name = f"shop-{seed}-{asked.days:g}-{asked.faults_a_day:g}-{SCHEMA.sha256[:8]}.pickle"
    path = asked.keep / name if asked.keep else None
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())
    begun = time.perf_counter()
    made = simulate(seed, asked.days, asked.faults_a_day)
    print(f"shop {seed}: {time.perf_counter() - begun:.0f} s to simulate", file=sys.stderr, flush=True)
    if path is not None:
        path.write_bytes(pickle.dumps(made))
    return made


@dataclass(frozen=True, slots=True)
class Judged:
    """What the pages of one shop came to, given on one horizon.

    `leads` has a number of minutes for each fault with warning signs, None where it was not announced; `own` says of the same faults
    whether the service that failed first was named. `by_chance` says of each fault without signs whether it seems announced.
    """

    days: float
    leads: tuple[float | None, ...]
    kinds: tuple[str, ...]
    own: tuple[bool, ...]
    by_chance: tuple[bool, ...]
    pages: int
    before_faults: int
    on_decoys: dict[str, int]
    decoys: dict[str, int]


def judge(shop: Simulated, budget: float, seed: int) -> dict[str, Judged]:
    """Forecast fold by fold and judge the pages, by horizon that they are given on."""
    rows = shop.rows
    chosen, hazards = forecast_folds(rows, WalkPlan(first_share=1 / 3, seed=seed))
    p, as_of_s, series = cumulate(hazards[ENSEMBLE]), rows.as_of_s[chosen], rows.series[chosen]
    one = np.zeros(len(chosen), np.int64)
    found: dict[str, Judged] = {}
    for j, horizon in enumerate(rows.horizons):
        limits = followed_thresholds(p[:, j], one, as_of_s, budget, np.inf)
        if not np.isfinite(limits).any():
            raise InvalidValue(f"days must be at least 8, so that thresholds have something to follow, got {shop.days:g}")
        begun = as_of_s[np.isfinite(limits)].min()
        opened = as_of_s[alerts(p[:, j], limits, one, as_of_s)]
        above = p[:, j] >= limits
        named = {key.service: i for i, key in enumerate(rows.keys) if key.operation == WHOLE}
        found[horizon] = _told(shop, named, (as_of_s[above], series[above]), opened, (int(begun), int(as_of_s.max())))
    return found


def _told(
    shop: Simulated, named: dict[str, int], above: tuple[IntArray, IntArray], opened: IntArray, span: tuple[int, int]
) -> Judged:
    """Compare rows above the threshold (time, series) and the openings of pages with the truth within a span."""
    at, who = above

    def first(fault: Fault, services: Sequence[str]) -> float | None:
        start = fault.start.timestamp()
        before = at[(at >= start - _HOUR_S) & (at < start) & np.isin(who, [named[s] for s in services if s in named])]
        return (start - float(before.min())) / 60 if len(before) else None

    judged = [f for f in shop.truth if span[0] + _HOUR_S <= f.start.timestamp() < span[1]]
    warned = [f for f in judged if f.has_warning]
    near = [_near(int(page), shop.truth, _HOUR_S, 1800) for page in opened]
    on_decoys = Counter(
        decoy.kind
        for page, fault in zip(opened.tolist(), near, strict=True)
        if not fault
        for decoy in _during(page, shop.decoys)
    )
    return Judged(
        days=(span[1] - span[0]) / 86_400,
        leads=tuple(first(f, f.affected) for f in warned),
        kinds=tuple(f.kind for f in warned),
        own=tuple(first(f, [f.service]) is not None for f in warned),
        by_chance=tuple(first(f, f.affected) is not None for f in judged if not f.has_warning),
        pages=len(opened),
        before_faults=sum(near),
        on_decoys=dict(on_decoys),
        decoys=dict(Counter(d.kind for d in shop.decoys if span[0] <= d.onset.timestamp() < span[1])),
    )


def _near(page_s: int, faults: Sequence[Fault], before_s: int, after_s: int) -> bool:
    return any(f.start.timestamp() - before_s <= page_s < f.end.timestamp() + after_s for f in faults)


def _during(page_s: int, decoys: Sequence[Fault]) -> list[Fault]:
    """Return the newest decoy that began within 45 minutes before a page was opened, if any."""
    shown = [d for d in decoys if d.onset.timestamp() <= page_s < d.onset.timestamp() + _DECOY_S]
    return shown[-1:]


def lines(judged: dict[int, dict[str, Judged]]) -> Iterator[str]:
    """Yield a table by horizon: every shop, then all of them with intervals."""
    for horizon in next(iter(judged.values())):
        shops = {seed: of_seed[horizon] for seed, of_seed in judged.items()}
        yield f"alerts on the probability within {horizon}"
        yield f"  {'shop':8}{'faults':>7}{'recall':>8}{'own':>6}{'lead':>7}{'no signs':>10}{'by chance':>11}{'pages/day':>11}{'before faults':>15}{'spikes paged':>14}"
        for seed, one in shops.items():
            yield _line(str(seed), [one])
        yield _line("all", list(shops.values()))
        for name, of in _MEASURES.items():
            low, high = _interval(list(shops.values()), of)
            yield f"  {name}: {of(list(shops.values())):.2f} [{low:.2f}, {high:.2f}]"
        yield "  by kind: " + ", ".join(_kinds(list(shops.values())))
        on = sum((Counter(shop.on_decoys) for shop in shops.values()), Counter[str]())
        there = sum((Counter(shop.decoys) for shop in shops.values()), Counter[str]())
        yield "  pages at decoys: " + ", ".join(f"{kind} {on[kind]} at {there[kind]}" for kind in sorted(there))


def _line(name: str, shops: Sequence[Judged]) -> str:
    faults, without = sum(len(s.leads) for s in shops), sum(len(s.by_chance) for s in shops)
    pages, spikes = sum(s.pages for s in shops), sum(s.decoys.get("traffic_spike", 0) for s in shops)
    return (
        f"  {name:8}{faults:7}{_recall(shops):8.2f}{_own(shops):6.2f}{_lead(shops):5.0f} m{without:10}{_chance(shops):11.2f}"
        f"{pages / sum(s.days for s in shops):11.2f}{sum(s.before_faults for s in shops) / max(pages, 1):15.2f}"
        f"{sum(s.on_decoys.get('traffic_spike', 0) for s in shops):9} of {spikes}"
    )


def _recall(shops: Sequence[Judged]) -> float:
    return float(np.mean([lead is not None for s in shops for lead in s.leads] or [np.nan]))


def _own(shops: Sequence[Judged]) -> float:
    return float(np.mean([own for s in shops for own in s.own] or [np.nan]))


def _lead(shops: Sequence[Judged]) -> float:
    return float(np.median([lead for s in shops for lead in s.leads if lead is not None] or [np.nan]))


def _chance(shops: Sequence[Judged]) -> float:
    return float(np.mean([said for s in shops for said in s.by_chance] or [np.nan]))


_MEASURES: dict[str, Callable[[Sequence[Judged]], float]] = {
    "recall of faults with warning signs": _recall,
    "their median lead in minutes": _lead,
    "faults without signs, by chance": _chance,
}


def _interval(shops: list[Judged], of: Callable[[Sequence[Judged]], float]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drawn: FloatArray = np.array([of([shops[i] for i in rng.integers(0, len(shops), len(shops))]) for _ in range(1000)])
    low, high = np.nanquantile(drawn, (0.05, 0.95))
    return float(low), float(high)


def _kinds(shops: Sequence[Judged]) -> Iterator[str]:
    told = [(kind, lead is not None) for s in shops for kind, lead in zip(s.kinds, s.leads, strict=True)]
    for kind in sorted({kind for kind, _ in told}):
        hits = [hit for name, hit in told if name == kind]
        yield f"{kind} {sum(hits)} of {len(hits)}"


def _seeds(text: str) -> list[int]:
    """Return the seeds of "2001-2003,2007"."""
    parts = [part.partition("-") for part in text.split(",")]
    return [seed for low, _, high in parts for seed in range(int(low), int(high or low) + 1)]


def main() -> int:
    """Simulate, judge and print."""
    parser = argparse.ArgumentParser(description="Faults of simulated shops and the pages before them.")
    parser.add_argument("--seeds", type=_seeds, default=_seeds("2001-2010"))
    parser.add_argument("--days", type=float, default=60.0)
    parser.add_argument("--faults-a-day", type=float, default=1.5)
    parser.add_argument("--budget", type=float, default=2.0, help="pages a day")
    parser.add_argument("--keep", type=Path, help="folder for simulated shops, so that they can be judged again")
    answers_as_json(parser)
    asked = parser.parse_args()
    judged: dict[int, dict[str, Judged]] = {}
    for seed in asked.seeds:
        judged[seed] = judge(kept_shop(seed, asked), asked.budget, asked.seed)
        print(f"shop {seed} judged", file=sys.stderr, flush=True)
    plain = {seed: {horizon: asdict(one) for horizon, one in of_seed.items()} for seed, of_seed in judged.items()}
    deliver(asked, shops=plain)
    if not asked.json:
        print(*lines(judged), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
