"""Training runs: history in, a judged model version out, in a process of its own at low priority.

`app.api` and `app.worker` ask for runs, `app.cli` runs one in the foreground; the child reads history and
fits, the parent registers and promotes. Nothing but this module and the worker catches every failure.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from multiprocessing.connection import Connection, Pipe
from typing import Any

from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.records import TrainingRun
from app.history.contract import History
from app.recording import read_recording
from app.said import resolved, said_of
from app.store.contract import Documents
from app.succession import bring_in, champion_of
from app.telemetry import Telemetry
from features.errors import ForeshockError, InvalidValue, Overloaded
from features.memory import MemoryPlan
from models.ensemble import Ensemble
from models.registry import Registry
from models.version import ModelRecord
from training.dataset import build
from training.labels import Said
from training.retrain import Plain, retrain
from training.shadow import AT_ONCE, Patience

__all__ = ["Job", "Jobs", "Trained", "put_run", "register", "run_job"]

logger = logging.getLogger(__name__)

_BUCKET = "training-runs"
_RUN_TTL_S = 30 * 86_400.0
_MOST_WAITING = 16


@dataclass(frozen=True, slots=True)
class Job:
    """What one run trains on.

    Parameters
    ----------
    tenant : str
        Whose history.
    plan : MemoryPlan
        The live plan.
    since, until : int or None
        Unix seconds of history.
    seed : int
        Of everything random.
    min_incidents : int
        Incidents below which nothing is fitted.
    stride : int
        Ticks between two rows of a series.
    said : Said
        What people said, and what their alerting reported.
    cores : int
        Members fitted at a time.
    patience : Patience
        How long a model that passed the gate is compared with the one that serves.
    """

    tenant: str
    plan: MemoryPlan
    since: int | None = None
    until: int | None = None
    seed: int = 0
    min_incidents: int = 10
    stride: int = 2
    said: Said = field(default_factory=Said)
    cores: int = 2
    patience: Patience = AT_ONCE


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run came to.

    Parameters
    ----------
    promote : bool
        Whether the gate lets it serve.
    report : dict
        The evaluation, as `training.report.Report.to_dict`.
    table : str
        The same for a terminal.
    incidents : int
        Incidents that the rule found.
    record : ModelRecord
        For the registry.
    ensemble : Ensemble
        The fitted model.
    """

    promote: bool
    report: Mapping[str, Any]
    table: str
    incidents: int
    record: ModelRecord
    ensemble: Ensemble


def run_job(job: Job, history: History, champion: Ensemble | None, now: datetime, progress: Callable[[float], None]) -> Trained:
    """Train on history.

    Raises
    ------
    InvalidValue
        When there are too few incidents, or the history is too short to hold a part out.
    """
    recording = read_recording(history, job.tenant, job.plan.tick_s, job.since, job.until)
    progress(0.1)
    dataset = build(
        recording,
        job.plan,
        stride=job.stride,
        said=resolved(job.said, history, job.tenant),
        progress=lambda share: progress(0.1 + 0.5 * share),
    )
    progress(0.6)
    if len(dataset.incidents) < job.min_incidents:
        raise InvalidValue(
            f"history of tenant {job.tenant!r} must hold at least {job.min_incidents} incidents to learn from, "
            f"got {len(dataset.incidents)}; until then the prior is served"
        )
    plain = None if dataset.plain is None or dataset.changes is None else Plain(dataset.plain, dataset.changes)
    outcome = retrain(dataset.rows, seed=job.seed, champion=champion, jobs=job.cores, plain=plain)
    progress(1.0)
    return Trained(
        promote=outcome.decision.promote,
        report=outcome.to_dict(),
        table=outcome.report.table(),
        incidents=len(dataset.incidents),
        record=outcome.record(dataset.rows, now),
        ensemble=outcome.fitted.ensemble,
    )


@dataclass(frozen=True, slots=True)
class _Ask:
    run: TrainingRun
    job: Job


class Jobs:
    """Runs one training at a time in a child process.

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
        self._open_history = open_history
        self._telemetry = telemetry
        self._now = now
        self._timeout_s = timeout_s
        self._asks: queue.Queue[_Ask | None] = queue.Queue()
        self._waiting: dict[str, str] = {}  # ids of queued runs by tenant; it bounds the queue
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """Fail what a crash left behind, and begin to take runs."""
        with self._lock:
            ours = set(self._waiting.values())
        for document in self._documents.items(_BUCKET):
            run = decode_document(document.value, TrainingRun)
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
        """Queue a run and return its id; never blocks.

        Raises
        ------
        Overloaded
            When a run of the tenant waits already, or 16 of all tenants.
        """
        self._reserve(run_id, job.tenant)
        try:
            run = TrainingRun(run_id, "queued", self._now(), reason=reason, tenant=job.tenant)
            ask = _Ask(run, replace(job, said=said_of(self._documents, job.tenant, job.said.plan)))
            self._put(run)
        except BaseException:
            self._release(job.tenant)
            raise
        self._asks.put_nowait(ask)
        return run_id

    def _reserve(self, run_id: str, tenant: str) -> None:
        with self._lock:
            if tenant in self._waiting:
                waiting = self._waiting[tenant]
                raise Overloaded(f"at most 1 training run of tenant {tenant!r} may wait, and {waiting} does; got one more")
            if len(self._waiting) >= _MOST_WAITING:
                raise Overloaded(f"at most {_MOST_WAITING} training runs may wait, got one more")
            self._waiting[tenant] = run_id

    def _release(self, tenant: str) -> None:
        with self._lock:
            self._waiting.pop(tenant, None)

    def _serve(self) -> None:
        while (ask := self._asks.get()) is not None and not self._stop.is_set():
            self._release(ask.job.tenant)
            try:
                self._take(ask)
            except Exception:  # the store refused to note the run's state: the next run may be luckier
                logger.exception("the state of training run %s could not be written", ask.run.id)
                self._telemetry.faults.labels(place="jobs").inc()

    def _take(self, ask: _Ask) -> None:
        run = replace(ask.run, state="running", started_at=self._now())
        try:
            self._put(run)
            run = self._finish(run, self._train(run, ask.job), ask.job.patience)
        except Exception as exc:
            if not isinstance(exc, ForeshockError):
                logger.exception("training run %s failed", run.id)
            run = replace(run, state="failed", ended_at=self._now(), error=str(exc) or type(exc).__name__)
        self._telemetry.training_runs.labels(outcome=run.state).inc()
        self._put(run)

    def _train(self, run: TrainingRun, job: Job) -> Trained:
        champion = champion_of(self._registry_of(job.tenant))
        context = multiprocessing.get_context("spawn")
        ours, theirs = Pipe(duplex=False)
        child = context.Process(
            target=_child,
            args=(theirs, job, self._open_history, champion.ensemble if champion else None, self._now()),
            name="foreshock-training",
        )
        child.start()
        theirs.close()
        try:
            # On Windows a pipe's end is of another class with the same methods.
            return self._follow(run, ours)  # pyright: ignore[reportArgumentType]
        finally:
            ours.close()
            if child.is_alive():
                child.terminate()
            child.join()

    def _follow(self, run: TrainingRun, pipe: Connection) -> Trained:
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline and not self._stop.is_set():
            if not pipe.poll(min(0.5, self._timeout_s)):
                continue
            try:
                kind, value = pipe.recv()
            except EOFError:
                raise InvalidValue("the training process died; its log says more") from None
            if kind == "progress":
                self._put(replace(run, progress=value))
            elif kind == "failed":
                raise InvalidValue(value)
            else:
                return value
        raise InvalidValue("the service was stopped" if self._stop.is_set() else f"training took over {self._timeout_s:g} s")

    def _finish(self, run: TrainingRun, trained: Trained, patience: Patience) -> TrainingRun:
        version = register(self._registry_of(run.tenant), trained, patience)
        return replace(
            run, state="succeeded", ended_at=self._now(), progress=1.0, model_version=version, report=dict(trained.report)
        )

    def _put(self, run: TrainingRun) -> None:
        put_run(self._documents, run)


def put_run(documents: Documents, run: TrainingRun) -> None:
    """Write the document of a run; it is kept for 30 days."""
    documents.put(_BUCKET, tenant_key(run.tenant, run.id), encode_document(run), ttl_s=_RUN_TTL_S)


def register(registry: Registry, trained: Trained, patience: Patience = AT_ONCE) -> str:
    """Add a trained model to the registry, bring it in if the gate said so, and return its version.

    Parameters
    ----------
    registry : Registry
        The tenant's models.
    trained : Trained
        From `run_job`.
    patience : Patience
        How long it is compared with what serves; where nothing runs, there is nothing to compare it by.
    """
    version = registry.add(trained.ensemble, trained.record)
    if trained.promote:
        serves = champion_of(registry)
        bring_in(registry, version, serves.version if serves else None, patience, trained.record.created_at)
    return version.id


def _child(pipe: Connection, job: Job, open_history: Callable[[], History], champion: Ensemble | None, now: datetime) -> None:
    """Train in a process of its own, at low priority, and send what came of it."""
    os.nice(10)
    try:
        trained = run_job(job, open_history(), champion, now, lambda share: pipe.send(("progress", share)))
        pipe.send(("trained", trained))
    except ForeshockError as exc:
        pipe.send(("failed", str(exc)))
    finally:
        pipe.close()
