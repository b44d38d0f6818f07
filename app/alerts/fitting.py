"""Finds the thresholds that budgets come to, anew every day at the home of each tenant, and keeps them with what they are based on.

`app.main` runs it in a thread of its own, since it reads days of history. Two homes that do it at once find the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pyarrow as pa

from app.alerts.budget import Fit, Page, fit
from app.alerts.past import Past, said_of
from app.alerts.routes import Route
from app.cache.alert_records import ThresholdRecord, ThresholdStep
from app.cache.decoded import read
from app.cache.documents import encode_document, tenant_key
from app.home import everywhere
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import ForeshockError, PartStopped

__all__ = ["Fitting", "FittingParts", "threshold_record"]

logger = logging.getLogger(__name__)

_EVERY_S = 300.0  # how often it is looked whether a day is over
_STEPS = 60  # earlier thresholds that are kept, two months of them; guessed
_FLOORS = (
    0.02,
    0.002,
    0.0,
)  # guessed: the first is below every threshold that a few pages a day come to, and above what is said of calm services
_ENOUGH = 1 / 3  # part of the days that are looked back on of which something must be known, as in `training.alerting`


@dataclass(frozen=True, slots=True)
class FittingParts:
    """What it reads and asks.

    Parameters
    ----------
    documents : Documents
        The buckets ``services`` and ``thresholds``.
    past : Past
        What was predicted.
    telemetry : Telemetry
        Where it counts.
    now : callable
        Returns the time, aware.
    home : callable
        Whether this node decides for a tenant.
    """

    documents: Documents
    past: Past
    telemetry: Telemetry
    now: Callable[[], datetime]
    home: Callable[[str], bool] = everywhere


@dataclass(frozen=True, slots=True)
class _Found:
    """A threshold, None while too little is known, and on how many days, series and rows it is based."""

    fit: Fit | None = None
    days: int = 0
    series: int = 0
    predictions: int = 0


class Fitting:
    """Keeps thresholds up with budgets.

    Parameters
    ----------
    parts : FittingParts
        What it reads and asks.
    routes : sequence of Route
        Those on predictions that name no threshold have one found.
    lookback_days, stale_s : float
        How far it looks back, and after how long a series is silent.
    """

    def __init__(self, parts: FittingParts, routes: Sequence[Route], lookback_days: float, stale_s: float) -> None:
        self.parts = parts
        self.routes = [route for route in routes if route.on == "prediction" and route.threshold is None]
        self.lookback_days = lookback_days
        self.stale_s = stale_s

    def run(self, stop: threading.Event) -> None:
        """Look whether a day is over until told to stop."""
        services = self.parts.documents.watch("services")
        wait_s = 0.0
        while not stop.wait(wait_s):
            wait_s = _EVERY_S
            for tenant in sorted({unquote(document.key.partition("/")[0]) for document in services.items()}):
                self._try(tenant, stop.is_set)
        services.close()

    def look(self, tenant: str, stopping: Callable[[], bool] = lambda: False) -> list[ThresholdRecord]:
        """Find the thresholds of a tenant that were not found today yet, and write them; return these.

        Raises
        ------
        PartStopped
            When it is to stop meanwhile: days of many services take minutes to read.
        """
        found: list[ThresholdRecord] = []
        for route in self.routes:
            key, now = tenant_key(tenant, route.name), self.parts.now()
            before = read(self.parts.documents.get("thresholds", key), ThresholdRecord)
            if before is None or _outdated(before, route, now):
                record = self._found(tenant, route, before, now, stopping)
                self.parts.documents.put("thresholds", key, encode_document(record))
                found.append(record)
        return found

    def _found(
        self, tenant: str, route: Route, before: ThresholdRecord | None, now: datetime, stopping: Callable[[], bool]
    ) -> ThresholdRecord:
        until = now.replace(minute=0, second=0, microsecond=0)  # whole hours, so that two homes see the same
        since = until - timedelta(days=self.lookback_days)
        found = _Found()
        for floor in _FLOORS:
            found = self._fitted(tenant, route, (int(since.timestamp()), int(until.timestamp())), floor, stopping)
            if (
                found.fit is None or found.fit.threshold * route.resolve_ratio >= floor
            ):  # else the budget lets calm rows through
                break
        record = threshold_record(tenant, route, found.fit, before, now)
        return replace(
            record, days=float(found.days), series=found.series, predictions=found.predictions, since=since, until=until
        )

    def _fitted(
        self, tenant: str, route: Route, interval: tuple[int, int], floor: float, stopping: Callable[[], bool]
    ) -> _Found:
        days = _until(self.parts.past.days(tenant, *interval), stopping)
        said, n_series, n_rows = said_of(days, tenant, route, floor)
        page = Page(route.resolve_ratio, route.min_duration_s, route.group_s, self.stale_s)
        known = said.days >= self.lookback_days * _ENOUGH
        return _Found(fit(said, route.budget_per_day, page) if known else None, said.days, n_series, n_rows)

    def _try(self, tenant: str, stopping: Callable[[], bool]) -> None:
        try:
            if self.parts.home(tenant):
                self.look(tenant, stopping)
        except PartStopped:
            return
        except Exception as exc:  # history may be away, and the old thresholds serve meanwhile
            unforeseen = None if isinstance(exc, ForeshockError) else exc
            logger.error("thresholds of tenant %s were not found anew: %s", tenant, exc, exc_info=unforeseen)
            self.parts.telemetry.faults.labels(place="thresholds").inc()


def _until(days: Iterable[pa.Table], stopping: Callable[[], bool]) -> Iterator[pa.Table]:
    for day in days:
        if stopping():
            raise PartStopped("thresholds are left as they were: the node stops")
        yield day


def threshold_record(
    tenant: str, route: Route, found: Fit | None, before: ThresholdRecord | None, now: datetime
) -> ThresholdRecord:
    """Return what is kept of a threshold, with those before it.

    Parameters
    ----------
    tenant : str
        Whose.
    route : Route
        Of which.
    found : Fit or None
        None while too little is known: then the default counts.
    before : ThresholdRecord or None
        What was kept until now.
    now : datetime
        Aware.
    """
    threshold, basis = (route.default_threshold, "default") if found is None else (found.threshold, "history")
    steps = () if before is None else before.steps
    if not steps or (steps[-1].threshold, steps[-1].basis) != (threshold, basis):
        steps = (*steps, ThresholdStep(now, threshold, basis))[-_STEPS:]
    return ThresholdRecord(
        tenant=tenant,
        route=route.name,
        budget_per_day=route.budget_per_day,
        threshold=threshold,
        resolve_below=threshold * route.resolve_ratio,
        basis=basis,
        fitted_at=now,
        alerts=0 if found is None else found.alerts,
        pages=0 if found is None else found.pages,
        steps=steps,
        asked=route.question(),
    )


def _outdated(kept: ThresholdRecord, route: Route, now: datetime) -> bool:
    """Return whether a threshold was found on another day, or for a route that asked for something else."""
    return kept.asked != route.question() or kept.fitted_at.astimezone(UTC).date() != now.astimezone(UTC).date()
