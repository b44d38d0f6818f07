"""Runs over history, one at a time in a process of their own at low priority: training runs and backtests.

`app.api` and `app.supervision` ask for them; the child reads history and fits (`app.trained`, `app.backtests`), the parent registers and
promotes. Nothing but this module and the worker catches every failure.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from app.backtests import run_backtest
from app.cache.backtests import BacktestRun, put_page
from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.records import TrainingRun
from app.child import Child
from app.history.contract import History
from app.job import Job
from app.said import said_of
from app.store.contract import Documents
from app.succession import champion_of
from app.telemetry import Telemetry
from app.trained import register, run_job
from features.errors import ForeshockError, Overloaded
from models.registry import Registry

__all__ = ["Jobs", "Run", "put_run"]

logger = logging.getLogger(__name__)

Run: TypeAlias = TrainingRun | BacktestRun
"""What is kept of a run."""

_BUCKETS: dict[type[Run], str] = {TrainingRun: "training-runs", BacktestRun: "backtests"}
_WORDS: dict[type[Run], str] = {TrainingRun: "training run", BacktestRun: "backtest"}
_RUN_TTL_S = 30 * 86_400.0
_MOST_WAITING = 16


@dataclass(frozen=True, slots=True)
class _Ask:
    run: Run
    job: Job


class Jobs:
    """Runs one job at a time in a child process.

    Parameters
    ----------
    documents : Documents
        Runs and feedback.
    registry_of : callable
        The registry of a tenant.
    open_history : callable
        Opens history; called in the child, so it must be picklable.
    telemetry : Telemetry
        Where runs are counted.
    now : callable
        Aware UTC.
    timeout_s : float
        Seconds after which a run is stopped.
    """

    def __init__(
        self,
        documents: Documents,
        registry_of: Callable[[str], Registry],
        open_history: Callable[[], History],
        telemetry: Telemetry,
        *,
        now: Callable[[], datetime],
        timeout_s: float = 3600.0,
    ) -> None:
        self._documents = documents
        self._registry_of = registry_of
        self._telemetry = telemetry
        self._now = now
        self._asks: queue.Queue[_Ask | None] = queue.Queue()
        self._waiting: dict[tuple[type[Run], str], str] = {}  # ids of queued runs by kind and tenant; it bounds the queue
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._child = Child(open_history, timeout_s, self._stop)
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """Fail what a crash left behind, and begin to take runs."""
        with self._lock:
            ours = set(self._waiting.values())
        for kind, bucket in _BUCKETS.items():
            for document in self._documents.items(bucket):
                run = decode_document(document.value, kind)
                if run.state in ("queued", "running") and run.id not in ours:
                    self._put(replace(run, state="failed", ended_at=self._now(), error="the service was stopped"))
        self._thread.start()

    def stop(self) -> None:
        """Stop the run in progress and take no more; a second call does nothing."""
        if not self._stop.is_set():
            self._stop.set()
            if self._thread.is_alive():
                self._asks.put(None)
                self._thread.join(30.0)

    def ask(self, run_id: str, job: Job, reason: str) -> str:
        """Queue a training run and return its id; never blocks.

        Raises
        ------
        Overloaded
            When a training run of the tenant waits already, or 16 runs of all tenants.
        """
        return self._queue(TrainingRun(run_id, "queued", self._now(), reason=reason, tenant=job.tenant), job)

    def ask_backtest(self, run_id: str, job: Job, reason: str) -> str:
        """Queue a backtest and return its id; never blocks. It takes its turn with training runs.

        Raises
        ------
        Overloaded
            When a backtest of the tenant waits already, or 16 runs of all tenants.
        """
        since, until = (None if time_s is None else datetime.fromtimestamp(time_s, UTC) for time_s in (job.since, job.until))
        return self._queue(BacktestRun(run_id, "queued", self._now(), since, until, reason=reason, tenant=job.tenant), job)

    def _queue(self, run: Run, job: Job) -> str:
        self._reserve(run)
        try:
            ask = _Ask(run, replace(job, said=said_of(self._documents, job.tenant, job.said.plan)))
            self._put(run)
        except BaseException:
            self._release(run)
            raise
        self._asks.put_nowait(ask)
        return run.id

    def _reserve(self, run: Run) -> None:
        place, words = (type(run), run.tenant), _WORDS[type(run)]
        with self._lock:
            if place in self._waiting:
                waiting = self._waiting[place]
                raise Overloaded(f"at most 1 {words} of tenant {run.tenant!r} may wait, and {waiting} does; got one more")
            if len(self._waiting) >= _MOST_WAITING:
                raise Overloaded(f"at most {_MOST_WAITING} training runs and backtests may wait, got one more")
            self._waiting[place] = run.id

    def _release(self, run: Run) -> None:
        with self._lock:
            self._waiting.pop((type(run), run.tenant), None)

    def _serve(self) -> None:
        while (ask := self._asks.get()) is not None and not self._stop.is_set():
            self._release(ask.run)
            try:
                self._take(ask)
            except Exception:  # the store refused to note the run's state: the next run may be luckier
                logger.exception("the state of %s %s could not be written", _WORDS[type(ask.run)], ask.run.id)
                self._telemetry.faults.labels(place="jobs").inc()

    def _take(self, ask: _Ask) -> None:
        run = replace(ask.run, state="running", started_at=self._now())
        works = self._train if isinstance(run, TrainingRun) else self._backtest
        try:
            self._put(run)
            came_of = works(ask.job, run.id, lambda share: self._put(replace(run, progress=share)))
            run = replace(run, state="succeeded", ended_at=self._now(), progress=1.0, **came_of)
        except Exception as exc:
            if not isinstance(exc, ForeshockError):
                logger.exception("%s %s failed", _WORDS[type(run)], run.id)
            run = replace(run, state="failed", ended_at=self._now(), error=str(exc) or type(exc).__name__)
        counter = self._telemetry.training_runs if isinstance(run, TrainingRun) else self._telemetry.backtests
        counter.labels(outcome=run.state).inc()
        self._put(run)

    def _train(self, job: Job, _run_id: str, told: Callable[[float], None]) -> dict[str, Any]:
        registry = self._registry_of(job.tenant)
        champion = champion_of(registry)
        work = partial(run_job, job, champion=champion.ensemble if champion else None, now=self._now())
        trained = self._child.run("training", work, told)
        return {"model_version": register(registry, trained, job.patience), "report": dict(trained.report)}

    def _backtest(self, job: Job, run_id: str, told: Callable[[float], None]) -> dict[str, Any]:
        found = self._child.run("backtest", partial(run_backtest, job), told)
        put_page(self._documents, job.tenant, run_id, found.page, _RUN_TTL_S)
        return {"report": dict(found.report)}

    def _put(self, run: Run) -> None:
        put_run(self._documents, run)


def put_run(documents: Documents, run: Run) -> None:
    """Write the document of a run; it is kept for 30 days."""
    documents.put(_BUCKETS[type(run)], tenant_key(run.tenant, run.id), encode_document(run), ttl_s=_RUN_TTL_S)
