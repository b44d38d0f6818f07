"""Runs over history, one at a time in a process of their own at low priority: training runs and backtests.

`app.api` and `app.supervision` ask for them; the child reads history and fits (`app.trained`, `app.backtests`), the parent registers and
promotes, and `app.runs` keeps what is known of them. A node works on what it was asked for itself; of nodes that are gone the one that leads
fails what they left. Nothing but this module and the worker catches every failure.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from app.backtests import run_backtest
from app.cache.backtests import BacktestRun, put_page
from app.cache.records import TrainingRun
from app.child import Child
from app.history.contract import History
from app.job import Job
from app.runs import RUN_TTL_S, WORDS, Places, Run, put_run, swap_run, unfinished
from app.said import said_of
from app.store.contract import Documents
from app.succession import champion_of
from app.telemetry import Telemetry
from app.trained import register, run_job
from features.errors import AlreadyWaiting, ForeshockError, Overloaded
from models.registry import Registry

__all__ = ["Jobs", "JobsPlan"]

logger = logging.getLogger(__name__)

_MOST_WAITING = 16


@dataclass(frozen=True, slots=True)
class _Ask:
    run: Run
    job: Job


@dataclass(frozen=True, slots=True)
class JobsPlan:
    """How long a run may take, and on which node of which.

    Parameters
    ----------
    timeout_s : float
        Seconds after which a run is stopped.
    node : str
        This node's name.
    alive : callable
        Returns the names of the other nodes that live; runs of those that do not are lost.
    """

    timeout_s: float = 3600.0
    node: str = "embedded"
    alive: Callable[[], Container[str]] = tuple

    def lives(self, node: str) -> bool:
        """Say whether what a node took is still to be expected of it; of one without a name, of an earlier release, this one takes care."""
        return node in ("", self.node) or node in self.alive()


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
    plan : JobsPlan
        How long a run may take, and on which node.
    """

    def __init__(
        self,
        documents: Documents,
        registry_of: Callable[[str], Registry],
        open_history: Callable[[], History],
        telemetry: Telemetry,
        *,
        now: Callable[[], datetime],
        plan: JobsPlan,
    ) -> None:
        self._documents = documents
        self._registry_of = registry_of
        self._telemetry = telemetry
        self._now = now
        self._plan = plan
        self._places = Places(documents, now)
        self._missed: set[str] = set()  # runs whose node was gone when lost ones were looked for last
        self._asks: queue.Queue[_Ask | None] = queue.Queue()
        self._waiting: dict[tuple[type[Run], str], str] = {}  # ids of queued runs by kind and tenant; it bounds the queue
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._child = Child(open_history, plan.timeout_s, self._stop)
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """Fail what a crash of this node left behind, and begin to take runs."""
        with self._lock:
            ours = set(self._waiting.values())
        for run, _ in unfinished(self._documents):
            if run.node in ("", self._plan.node) and run.id not in ours:
                self._put(self._failed(run, "the service was stopped"))
        self._thread.start()

    def stop(self) -> None:
        """Stop the run in progress and take no more; a second call does nothing."""
        if not self._stop.is_set():
            self._stop.set()
            if self._thread.is_alive():
                self._asks.put(None)
                self._thread.join(30.0)

    def fail_lost(self) -> None:
        """Fail runs of nodes that are gone, and were gone already when this was asked last: who comes is seen a moment after what it writes."""
        before = self._missed
        lost = [(run, revision) for run, revision in unfinished(self._documents) if not self._plan.lives(run.node)]
        self._missed = {run.id for run, _ in lost}
        for run, revision in lost:
            if run.id in before and swap_run(self._documents, self._failed(run, f"node {run.node} is gone"), revision):
                logger.warning("%s %s of tenant %s was lost with node %s", WORDS[type(run)], run.id, run.tenant, run.node)

    def _failed(self, run: Run, why: str) -> Run:
        return replace(run, state="failed", ended_at=self._now(), error=why)

    def ask(self, run_id: str, job: Job, reason: str) -> str:
        """Queue a training run and return its id; never blocks.

        Raises
        ------
        Overloaded
            When a training run of the tenant waits already on any node, or 16 runs of all tenants on this one.
        """
        return self._queue(
            TrainingRun(run_id, "queued", self._now(), reason=reason, tenant=job.tenant, node=self._plan.node), job
        )

    def ask_backtest(self, run_id: str, job: Job, reason: str) -> str:
        """Queue a backtest and return its id; never blocks. It takes its turn with training runs.

        Raises
        ------
        Overloaded
            When a backtest of the tenant waits already on any node, or 16 runs of all tenants on this one.
        """
        since, until = (None if time_s is None else datetime.fromtimestamp(time_s, UTC) for time_s in (job.since, job.until))
        return self._queue(
            BacktestRun(run_id, "queued", self._now(), since, until, reason=reason, tenant=job.tenant, node=self._plan.node),
            job,
        )

    def _queue(self, run: Run, job: Job) -> str:
        self._reserve(run)
        try:
            self._places.take(run, self._plan.lives)
            ask = _Ask(run, replace(job, said=said_of(self._documents, job.tenant, job.said.plan)))
            self._put(run)
        except BaseException:
            self._release(run)
            raise
        self._asks.put_nowait(ask)
        return run.id

    def _reserve(self, run: Run) -> None:
        place, words = (type(run), run.tenant), WORDS[type(run)]
        with self._lock:
            if place in self._waiting:
                waiting = self._waiting[place]
                raise AlreadyWaiting(f"at most 1 {words} of tenant {run.tenant!r} may wait, and {waiting} does; got one more")
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
                logger.exception("the state of %s %s could not be written", WORDS[type(ask.run)], ask.run.id)
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
                logger.exception("%s %s failed", WORDS[type(run)], run.id)
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
        put_page(self._documents, job.tenant, run_id, found.page, RUN_TTL_S)
        return {"report": dict(found.report)}

    def _put(self, run: Run) -> None:
        put_run(self._documents, run)
