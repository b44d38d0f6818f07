"""Where the parts are chosen and joined: the only module that names concrete classes.

`app.cli` makes a `Node` for `serve`, `replay`, `train` and `demo`, and starts of it what the command needs.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from uuid import uuid4

import uvicorn
from starlette.types import ASGIApp

from app.api.application import create_api
from app.api.parts import AlertLabels, ApiParts, Health, TrainingRequest
from app.flow import Flow, FlowPlan
from app.history.delta import DeltaHistory
from app.ingest.connections import server_of
from app.ingest.cors import Cors
from app.ingest.grpc_server import OtlpGrpc
from app.ingest.http import OtlpHttp
from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, decode, decoder
from app.ingest.receive import Receiver
from app.job import Job
from app.jobs import Jobs, JobsPlan
from app.pressure import Pressure, PressureParts
from app.said import feedback_plan
from app.settings import Settings
from app.store.cluster import open_cluster
from app.store.jetstream import JetStreamStore
from app.store.sqlite import SqliteStore, open_store
from app.succession import Champions, Rivals
from app.supervision import Supervision, SupervisionParts
from app.telemetry import Telemetry
from app.ticker import Ticker
from app.tuning import let_open
from app.worker import Worker, WorkerParts, WorkerPlan
from features.errors import ForeshockError, InvalidSetting, InvalidValue, PartStopped
from features.incident import IncidentRule
from features.memory import MemoryPlan
from features.rules import Rules
from models.registry import Registry
from training.labels import Said
from training.shadow import Patience
from training.triggers import Policy

__all__ = ["Node", "Served", "memory_plan"]

logger = logging.getLogger(__name__)

_OTHER_FILES = 1024  # guessed: the store, history's files while they are read, gRPC's connections
_STARTED_S = 10.0
_STOPPED_S = 30.0
_BACKLOG = 2048  # connections that wait to be accepted; uvicorn's own default
_LATE_TICKS = 3  # a worker further behind the clock is not ready


def memory_plan(settings: Settings) -> MemoryPlan:
    """Return the sizes and rules of the settings."""
    f = settings.features
    rule = IncidentRule(f.incident_k, f.incident_m, f.incident_min_errors, f.incident_min_ratio, f.absent_windows)
    return MemoryPlan(f.tick_s, f.lateness_s // f.tick_s, f.max_operations, f.max_series, rule, f.max_series_per_tenant)


@dataclass(frozen=True, slots=True)
class Served:
    """Where a node listens.

    Parameters
    ----------
    otlp_http, otlp_grpc, api : str
        Addresses; the first and the last are URLs.
    """

    otlp_http: str
    otlp_grpc: str
    api: str


class Node:
    """One process of Foreshock over one data folder.

    Parameters
    ----------
    settings : Settings
        Checked.
    now_ns : callable, optional
        The clock that stamps what is received, unix nanoseconds; the wall clock by default.

    Raises
    ------
    DataInUse
        When another process holds the folder.
    InvalidSetting
        When the folder was made with other settings.
    """

    def __init__(self, settings: Settings, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.settings = settings
        self.telemetry = Telemetry()
        self.rules = _rules(settings.features.taxonomy)
        self.store = _open_store(settings, self.telemetry)
        self.history = DeltaHistory(settings.data / "history")
        self.plan = memory_plan(settings)
        limits = Limits.of(settings.ingest, settings.features.tick_s)
        self.engine = ENGINE if settings.ingest.engine == "auto" else settings.ingest.engine
        reads = decode if settings.ingest.engine == "auto" else decoder(self.engine)
        self.receiver = Receiver(self.store.log, self.telemetry, limits, now_ns, reads)
        self._registries = cache(self.registry)  # one a tenant, for those that look at every tick
        self.champions = Champions(self._registries, self.telemetry, time.monotonic)
        self.worker = self._worker()
        self.receiver.lag = Pressure(self._pressure_parts(), self.telemetry)
        self._patience = Patience(settings.models.shadow_hours, settings.models.watch_hours)
        self.jobs = Jobs(
            self.store.documents,
            self.registry,
            partial(DeltaHistory, settings.data / "history"),
            self.telemetry,
            now=_utc_now,
            plan=JobsPlan(settings.models.training_s),
        )
        self.ticker = Ticker(
            self.store.log, self.store.documents.purge, self.telemetry, self.plan.tick_s, lambda: self.worker.wanted
        )
        self.supervision = self._supervision()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []
        self._closers: list[Callable[[], None]] = []

    def registry(self, tenant: str) -> Registry:
        """Return the model registry of a tenant."""
        return Registry(self.store.blobs, self.store.documents, self.store.signing_key, tenant)

    def start_worker(self) -> None:
        """Restore the state of all partitions and begin to read the log."""
        self.worker.acquire()
        self._run("worker", lambda: self.worker.run(self._stop))

    def start_clock(self) -> None:
        """Begin to write tick markers from the wall clock."""
        self._run("clock", partial(self.ticker.run, self._stop))

    def start_jobs(self) -> None:
        """Begin to take training runs, and to look for reasons to train."""
        self.jobs.start()
        self._closers.append(self.jobs.stop)
        self._run("triggers", partial(self.supervision.run, self._stop))

    def start_servers(self) -> Served:
        """Open the three listeners and return where they are."""
        server, ingest = self.settings.server, self.settings.ingest
        let_open(2 * server.max_connections + _OTHER_FILES)
        tenant, timeout_s = ingest.default_tenant, ingest.body_timeout_s
        otlp = OtlpHttp(self.receiver, tenant, body_timeout_s=timeout_s, cors=Cors(ingest), max_calls=ingest.max_calls)
        self.telemetry.decoder.labels(engine=self.engine).set(1)
        logger.info("traces and logs in protobuf are read by the engine %s", self.engine)
        address = f"{server.host}:{server.otlp_grpc_port}"
        grpc = OtlpGrpc(self.receiver, tenant, address, max_calls=ingest.max_calls, body_timeout_s=timeout_s)
        self._closers += [otlp.close, grpc.close]
        api = create_api(self._api_parts())
        http_port = self._serve("otlp-http", otlp, server.otlp_http_port)
        api_port = self._serve("api", api, server.api_port)
        host = f"[{server.host}]" if ":" in server.host else server.host
        return Served(f"http://{host}:{http_port}", f"{host}:{grpc.port}", f"http://{host}:{api_port}")

    def ask_training(self, request: TrainingRequest) -> str:
        """Queue a training run and return its id."""
        return self.jobs.ask(uuid4().hex, self.job(request), request.reason)

    def job(self, request: TrainingRequest) -> Job:
        """Return what a training run works on."""
        models = self.settings.models
        until = int(request.until.timestamp()) if request.until else None
        newest = until or self.worker.flow.memory.tick * self.plan.tick_s or int(request.requested_at.timestamp())
        since = int(request.since.timestamp()) if request.since else newest - int(models.history_days * 86_400)
        seed = models.seed if request.seed is None else request.seed
        said = Said(plan=feedback_plan(self.settings.feedback))
        bounds = (max(since, 0), until)
        return Job(request.tenant, self.plan, *bounds, seed, models.min_incidents, said=said, patience=self._patience)

    def checkpoint(self) -> None:
        """Bring history and state up to the last closed tick, if nothing is gathered since."""
        self.worker.checkpoint()

    def close(self) -> None:
        """Stop listening, end what is under way, then the worker, then the store; a second call does nothing."""
        self._stop.set()
        for server, _ in self._servers:
            server.should_exit = True
        for _, thread in self._servers:  # while a listener answers, what it hands work to must be there
            thread.join(_STOPPED_S)
        for closer in reversed(self._closers):
            closer()
        for thread in reversed(self._threads):
            thread.join(_STOPPED_S)
        self._servers.clear()
        self._closers.clear()
        self._threads.clear()
        self.store.close()

    def request_stop(self) -> None:
        """Let `wait` return; safe to call from a signal handler."""
        self._stop.set()

    @property
    def is_live(self) -> bool:
        """Whether the wall clock moves the ticks."""
        return any(t.name == "clock" for t in self._threads)

    def wait(self) -> None:
        """Block until the node is told to stop, or one of its threads dies."""
        while not self._stop.wait(0.5):
            self.check_alive()

    def check_alive(self) -> None:
        """Raise PartStopped when a thread of the node has died, or the store writes nothing any more."""
        if self.store.failure:
            raise PartStopped(self.store.failure)
        dead = [t.name for t in self._threads if not t.is_alive()]
        if dead:
            raise PartStopped(f"the part {dead[0]} stopped; the log says why")

    def _worker(self) -> Worker:
        store, settings = self.store, self.settings
        rivals = Rivals(self._registries, self.telemetry)
        parts = WorkerParts(store.log, store.checkpoints, store.documents, self.history, self.champions, rivals)
        flow_plan = FlowPlan(self.plan, self.rules, settings.models.explain_series)
        plan = WorkerPlan(
            checkpoint_s=settings.store.checkpoint_s,
            flush_rows=settings.store.history_flush_rows,
            retention_s=settings.store.log_retention_s,
        )
        return Worker(parts, lambda: Flow(flow_plan, self.telemetry), self.telemetry, plan)

    def _pressure_parts(self) -> PressureParts:
        return PressureParts(self.store.log, self.worker.lag, lambda: self.worker.held)

    def _supervision(self) -> Supervision:
        policy, documents = Policy(first_incidents=self.settings.models.min_incidents), self.store.documents
        parts = SupervisionParts(lambda: self.worker.flow.learners, documents, self.registry, self.ask_training, _utc_now)
        return Supervision(parts, policy, self._patience, self.telemetry)

    def _run(self, name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=partial(_until_it_fails, name, target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self, name: str, app: ASGIApp, port: int) -> int:
        """Serve an application in a thread of its own and return its port."""
        server = server_of(app, self.settings.server.keep_alive_s, self.settings.server.max_connections)
        listener = _listener(self.settings.server.host, port)
        self._servers.append((server, self._run(name, partial(server.run, [listener]))))
        deadline = time.monotonic() + _STARTED_S
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(listener.getsockname()[1])

    def _api_parts(self) -> ApiParts:
        return ApiParts(
            documents=self.store.documents,
            telemetry=self.telemetry,
            now=_utc_now,
            new_id=lambda: uuid4().hex,
            start_training=self.ask_training,
            start_backtest=lambda request: self.jobs.ask_backtest(uuid4().hex, self.job(request), request.reason),
            registry_of=self.registry,
            rules=self.rules,
            checks={"worker": self._worker_health, "log": self._log_health, "models": self.champions.health},
            default_tenant=self.settings.ingest.default_tenant,
            alerts=AlertLabels.of(self.settings),
            stopping=self._stop.is_set,
        )

    def _worker_health(self) -> Health:
        if not any(t.name == "worker" and t.is_alive() for t in self._threads):
            return Health(False, "the worker does not run")
        tick, tick_s = self.worker.flow.memory.tick, self.plan.tick_s
        as_of = datetime.fromtimestamp(tick * tick_s, UTC).isoformat() if tick >= 0 else "no tick"
        detail = f"as of {as_of}, {self.worker.lag()} offsets behind"
        if self.worker.failing:
            return Health(False, f"{detail}; the last tick failed, and the log says why")
        late = self.is_live and time.time() - tick * tick_s > _LATE_TICKS * tick_s
        return Health(not late, f"{detail}, more than {_LATE_TICKS} ticks" if late else detail)

    def _log_health(self) -> Health:
        if self.store.failure or self.store.trouble:
            return Health(False, self.store.failure or self.store.trouble)
        ends = sum(self.store.log.end(n) for n in range(self.store.log.n_partitions))
        return Health(True, f"{self.store.log.n_partitions} partitions, {ends} offsets")


def _open_store(settings: Settings, telemetry: Telemetry) -> SqliteStore | JetStreamStore:
    """Open the family of the store that the settings name."""
    if settings.nats_url:
        return open_cluster(settings, _utc_now, telemetry)
    in_flight = settings.ingest.max_in_flight_bytes
    return open_store(
        settings.data,
        settings=settings.store,
        max_in_flight_bytes=in_flight,
        now=_utc_now,
        telemetry=telemetry,
        key_file=settings.signing_key,
    )


def _until_it_fails(name: str, target: Callable[[], None]) -> None:
    """Run a part; `Node.check_alive` notices its end, and the log says why."""
    try:
        target()
    except ForeshockError as exc:
        logger.error("the part %s stopped: %s", name, exc)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise InvalidSetting(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another port or stop what holds it"
        ) from exc


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _rules(path: Path | None) -> Rules:
    if path is None:
        return Rules()
    try:
        return Rules.from_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidValue) as exc:
        raise InvalidSetting(f"setting features.taxonomy: {path}: {exc}") from exc
