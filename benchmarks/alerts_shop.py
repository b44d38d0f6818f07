"""Of a budget of pages a day in shadow mode, how many led to a fault of the simulated shop.

    python -m benchmarks.alerts_shop [--seeds 2011] [--days 30] [--faults-a-day 1.5] [--budget 2] [--keep DIR] [--json] [--out FILE]

Each seed is a shop of its own whose telemetry goes through the line of the service, as `benchmarks.shop_faults` simulates it; rows are of whole
services, every second minute. Forecasts are those of four walk-forward folds after the first third of the time. What the live service
does with them is done here by the same code: every night `app.alerts.budget` finds the threshold that keeps the budget on what was said in the
fourteen days before (until there is a third of them, the default counts), and at every row's time `app.alerts.evaluation` moves the
alerts. Minutes that are not forecast, as in an incident, leave alerts as they are. Alerts of all services within an hour are one page.

A page led to a fault when one began within the hour after it, whatever its service; it came in a fault when one was going on, or over for
less than half an hour. Decoys are what looks like the beginning of a fault and is none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from app.alerts.budget import DAY_S, Page, Said, fit
from app.alerts.evaluation import Observation, Situation, evaluate
from app.alerts.fitting import threshold_record
from app.alerts.routes import Route
from app.cache.alert_records import AlertRecord, ThresholdRecord
from app.demo.faults import Fault
from benchmarks.answers import answers_as_json, deliver
from benchmarks.shop_faults import Simulated, kept_shop
from features.arrays import FloatArray, IntArray
from features.series import WHOLE
from models.ensemble import ENSEMBLE
from models.hazard import cumulate
from models.prediction import AnomalyScore
from training.walkforward import WalkPlan, forecast_folds

__all__ = ["Judged", "Spoken", "judge", "main", "shadowed"]

_CALM = AnomalyScore(0.0, 0.0, 0.0, 0.0, 0.0)
_LOOKBACK = timedelta(days=14)
_ENOUGH_DAYS = 14 / 3
_HOUR_S = 3600


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What was forecast: probability within 15 minutes by series and time."""

    p: FloatArray
    series: IntArray
    as_of_s: IntArray
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the pages of one shop came to.

    `led`, `during` and `neither` part the pages; `thresholds` are those of each day.
    """

    days: float
    alerts: int
    pages: int
    led: int
    during: int
    neither: int
    on_decoys: dict[str, int]
    faults: int
    faults_with_signs: int
    announced: int
    announced_with_signs: int
    median_lead_min: float
    thresholds: tuple[float, ...]
    on_default: int


def forecast(shop: Simulated, seed: int) -> Spoken:
    """Forecast fold by fold."""
    rows = shop.rows
    chosen, hazards = forecast_folds(rows, WalkPlan(first_share=1 / 3, seed=seed))
    p = cumulate(hazards[ENSEMBLE])[:, list(rows.horizons).index("15min")]
    services = tuple(key.service for key in rows.keys)
    return Spoken(p.astype(np.float64), rows.series[chosen], rows.as_of_s[chosen], services)


def shadowed(spoken: Spoken, route: Route) -> tuple[list[AlertRecord], list[ThresholdRecord]]:
    """Move alerts from row to row as the live service does, with a threshold that is found anew each night."""
    order = np.argsort(spoken.as_of_s, kind="stable")
    times, starts = np.unique(spoken.as_of_s[order], return_index=True)
    rows_of = np.split(order, starts[1:])
    present = np.unique(spoken.series).tolist()
    kept: dict[str, AlertRecord] = {}
    fitted: list[ThresholdRecord] = []
    for at_s, rows in zip(times.tolist(), rows_of, strict=True):
        now = datetime.fromtimestamp(at_s, UTC)
        if not fitted or fitted[-1].fitted_at.date() != now.date():
            fitted.append(_fitted(spoken, route, fitted[-1] if fitted else None, now))
        said = dict(zip(spoken.series[rows].tolist(), spoken.p[rows].tolist(), strict=True))
        seen = [_observed(spoken.services[i], now, said.get(i)) for i in present]
        # Of alerts that are long over none has a say in what comes.
        recent = [alert for alert in kept.values() if not alert.over or now - alert.as_of < timedelta(days=1)]
        situation = Situation("default", now, seen, alerts=recent, thresholds={route.name: fitted[-1]})
        kept |= {alert.id: alert for alert in evaluate([route], situation)}
    return list(kept.values()), fitted


def _observed(service: str, now: datetime, p: float | None) -> Observation:
    status, value = ("in_incident", 0.0) if p is None else ("ok", p)
    return Observation(service, WHOLE, now, status, {"15min": value}, _CALM)


def _fitted(spoken: Spoken, route: Route, before: ThresholdRecord | None, now: datetime) -> ThresholdRecord:
    end_s = int(now.timestamp())
    lately = (spoken.as_of_s < end_s) & (spoken.as_of_s >= end_s - _LOOKBACK.total_seconds())
    # A pause of a series is an incident here, not a node that stood still.
    said = Said.ordered(spoken.p[lately], spoken.series[lately], 0 * spoken.series[lately], spoken.as_of_s[lately])
    page = Page(route.resolve_ratio, route.min_duration_s, route.group_s, stale_s=np.inf)
    found = fit(said, route.budget_per_day, page) if said.days >= _ENOUGH_DAYS else None
    return threshold_record("default", route, found, before, now)


def judge(shop: Simulated, spoken: Spoken, route: Route) -> Judged:
    """Compare pages with the truth from the first day on whose threshold follows the budget."""
    alerts, fitted = shadowed(spoken, route)
    begun = next(record.fitted_at for record in fitted if record.basis == "history")
    end = datetime.fromtimestamp(int(spoken.as_of_s.max()), UTC)
    fired = [alert for alert in alerts if alert.fired_at is not None and alert.fired_at >= begun]
    pages = [int(alert.fired_at.timestamp()) for alert in fired if alert.page == alert.id and alert.fired_at is not None]
    led = [page for page in pages if any(0 < fault.start.timestamp() - page <= _HOUR_S for fault in shop.truth)]
    during = [page for page in set(pages) - set(led) if any(_goes_on(fault, page) for fault in shop.truth)]
    neither = sorted(set(pages) - set(led) - set(during))
    judged = [fault for fault in shop.truth if begun + timedelta(hours=1) <= fault.start < end]
    leads = {id(fault): _lead_min(fault, fired) for fault in judged}
    told = [lead for lead in leads.values() if lead is not None]
    return Judged(
        days=(end - begun).total_seconds() / DAY_S,
        alerts=len(fired),
        pages=len(pages),
        led=len(led),
        during=len(during),
        neither=len(neither),
        on_decoys=dict(Counter(kind for page in neither for kind in _decoys(page, shop.decoys))),
        faults=len(judged),
        faults_with_signs=sum(fault.has_warning for fault in judged),
        announced=len(told),
        announced_with_signs=sum(fault.has_warning and leads[id(fault)] is not None for fault in judged),
        median_lead_min=float(np.median(told)) if told else float("nan"),
        thresholds=tuple(record.threshold for record in fitted if record.basis == "history"),
        on_default=sum(record.basis == "default" for record in fitted),
    )


def _goes_on(fault: Fault, page_s: int) -> bool:
    return fault.start.timestamp() <= page_s < fault.end.timestamp() + _HOUR_S / 2


def _lead_min(fault: Fault, fired: Sequence[AlertRecord]) -> float | None:
    """Return how early an alert of a service that the fault will reach fired, or was firing already in the hour before; None without one."""
    start, early = fault.start, fault.start - timedelta(hours=1)
    leads = [
        (start - max(alert.fired_at, early)).total_seconds() / 60
        for alert in fired
        if alert.service in fault.affected
        and alert.fired_at is not None
        and alert.fired_at < start
        and (alert.ended_at is None or alert.ended_at >= early)
    ]
    return max(leads, default=None)


def _decoys(page_s: int, decoys: Sequence[Fault]) -> list[str]:
    """Return the kind of the newest decoy that began within 45 minutes before a page, if any."""
    return [d.kind for d in decoys if d.onset.timestamp() <= page_s < d.onset.timestamp() + 45 * 60][-1:]


def lines(judged: dict[int, Judged]) -> Iterator[str]:
    """Yield a row a shop, and one of all."""
    yield f"{'shop':8}{'days':>6}{'pages':>7}{'a day':>7}{'led to a fault':>16}{'in a fault':>12}{'neither':>9}{'faults':>8}{'told':>6}{'with signs':>12}{'lead':>7}"
    for seed, one in judged.items():
        yield _line(str(seed), [one])
    yield _line("all", list(judged.values()))
    decoys = sum((Counter(one.on_decoys) for one in judged.values()), Counter[str]())
    yield "pages that are no fault's, at decoys: " + (", ".join(f"{kind} {n}" for kind, n in sorted(decoys.items())) or "none")


def _line(name: str, shops: Sequence[Judged]) -> str:
    days, pages = sum(s.days for s in shops), sum(s.pages for s in shops)
    signs = f"{sum(s.announced_with_signs for s in shops)}/{sum(s.faults_with_signs for s in shops)}"
    return (
        f"{name:8}{days:6.1f}{pages:7}{pages / days:7.2f}{sum(s.led for s in shops):16}{sum(s.during for s in shops):12}"
        f"{sum(s.neither for s in shops):9}{sum(s.faults for s in shops):8}{sum(s.announced for s in shops):6}{signs:>12}"
        f"{np.median([s.median_lead_min for s in shops]):5.0f} m"
    )


def main() -> int:
    """Simulate, forecast, move alerts, judge and print."""
    parser = argparse.ArgumentParser(description="Pages of simulated shops in shadow mode, and the faults after them.")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[2011])
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--faults-a-day", type=float, default=1.5)
    parser.add_argument("--budget", type=float, default=2.0, help="pages a day")
    parser.add_argument("--keep", type=Path, help="folder for simulated shops, so that they can be judged again")
    answers_as_json(parser)
    asked = parser.parse_args()
    route = Route("pages", budget_per_day=asked.budget)
    judged: dict[int, Judged] = {}
    for seed in asked.seeds:
        shop = kept_shop(seed, asked)
        begun = time.perf_counter()
        judged[seed] = judge(shop, forecast(shop, asked.seed), route)
        print(f"shop {seed}: {time.perf_counter() - begun:.0f} s to judge", file=sys.stderr, flush=True)
    deliver(asked, shops={seed: asdict(one) for seed, one in judged.items()})
    if not asked.json:
        print(*lines(judged), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
