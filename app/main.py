"""Where the parts are chosen and joined: the only module that names concrete classes.

`app.cli` makes a `Node` for `serve`, `replay`, `train` and `demo`, and starts of it what the command needs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from uuid import uuid4

from starlette.types import ASGIApp

from app.api.application import create_api, create_probes
from app.api.parts import AlertLabels, ApiParts, Health, TrainingRequest
from app.cache.member_records import ALIVE, WORKER, Member, Nodes, NodeState
from app.flow import Flow, FlowPlan
from app.health import log_health, worker_health
from app.history.delta import DeltaHistory
from app.home import Home, everywhere
from app.ingest.cors import Cors
from app.ingest.grpc_server import OtlpGrpc
from app.ingest.http import OtlpHttp
from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, Engine, decode, decoder
from app.ingest.receive import Receiver
from app.job import Job
from app.jobs import Jobs, JobsPlan
from app.listeners import Listeners
from app.node_id import node_id, software_version
from app.parallel import Spread
from app.pressure import Pressure, PressureParts
from app.roles import Roles
from app.said import feedback_plan
from app.settings import Settings
from app.store.cluster import join_cluster, open_cluster
from app.store.jetstream import JetStreamStore
from app.store.moving import Target, refuse_moved
from app.store.signing import fingerprint
from app.store.sqlite import SqliteStore, open_store
from app.succession import Champions, Rivals
from app.supervision import Supervision, SupervisionParts
from app.telemetry import Telemetry
from app.ticker import Ticker, forget_hourly
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

__all__ = ["Node", "Served", "history_place", "join_target", "memory_plan"]

logger = logging.getLogger(__name__)

_OTHER_FILES = 1024  # guessed: the store, history's files while they are read, gRPC's connections
_STOPPED_S = 30.0


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
        Addresses; the first and the last are URLs. Those of OTLP are empty without the role ``ingest``.
    """

    otlp_http: str
    otlp_grpc: str
    api: str


class Node:
    """One process of Foreshock over one data folder, or one of several over a cluster.

    Its parts are made when they are first asked for, so that a node does not hold what its roles do not need.

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
        self.roles = Roles.of(settings.roles)
        self.telemetry = Telemetry()
        self.rules = _rules(settings.features.taxonomy)
        self.store = _open_store(settings, self.telemetry)
        open_history = partial(DeltaHistory, *history_place(settings), keep_days=settings.history.days())
        self.history = open_history(told=lambda call, outcome: self.telemetry.history_calls.labels(call, outcome).inc())
        self.plan = memory_plan(settings)
        self.engine: Engine = ENGINE if settings.ingest.engine == "auto" else settings.ingest.engine
        self._now_ns = now_ns
        self.signing = fingerprint(self.store.signing_key)
        self._registries = cache(self.registry)  # one a tenant, for those that look at every tick
        self._patience = Patience(settings.models.shadow_hours, settings.models.watch_hours)
        self.id = node_id(settings.cluster.node, settings.data)
        self._started_at = time.time()
        self._open_history = open_history
        self._spread = Spread(settings.models.joblib_backend, settings.models.joblib_address, settings.models.joblib_workers)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listeners = Listeners(settings.server, self._run)
        self._closers: list[Callable[[], None]] = []

    @cached_property
    def receiver(self) -> Receiver:
        """What takes requests in."""
        ingest = self.settings.ingest
        reads = decode if ingest.engine == "auto" else decoder(self.engine)
        limits = Limits.of(ingest, self.plan.tick_s)
        receiver = Receiver(self.store.log, self.telemetry, limits, self._now_ns, reads)
        own = (self.worker.lag, lambda: self.worker.held) if self.roles.worker else (lambda: 0, frozenset[int])
        receiver.lag = Pressure(PressureParts(self.store.log, *own), self.telemetry)
        return receiver

    @cached_property
    def champions(self) -> Champions:
        """Who serves."""
        return Champions(self._registries, self.telemetry, time.monotonic)

    @cached_property
    def worker(self) -> Worker:
        """What reads the log."""
        store, settings = self.store, self.settings
        home = self.home
        rivals = Rivals(self._registries, self.telemetry, home)
        parts = WorkerParts(store.log, store.checkpoints, store.documents, self.history, self.champions, rivals)
        flow_plan = FlowPlan(self.plan, self.rules, settings.models.explain_series)
        plan = WorkerPlan(
            checkpoint_s=settings.store.checkpoint_s,
            flush_rows=settings.store.history_flush_rows,
            retention_s=settings.store.log_retention_s,
        )
        return Worker(parts, lambda: Flow(flow_plan, self.telemetry, home), self.telemetry, plan)

    @cached_property
    def home(self) -> Callable[[str], bool]:
        """Says whether this node decides for a tenant."""
        if not self.settings.nats_url:
            return everywhere
        services = self.store.documents.watch("services")
        return Home(services, self.store.log.n_partitions, lambda partition: partition in self.worker.held)

    @cached_property
    def jobs(self) -> Jobs:
        """What trains."""
        plan, documents = JobsPlan(self.settings.models.training_s), self.store.documents
        return Jobs(documents, self.registry, self._open_history, self.telemetry, now=_utc_now, plan=plan)

    @cached_property
    def ticker(self) -> Ticker:
        """The clock."""
        store, wanted = self.store, (lambda: self.worker.wanted)
        return Ticker(store.log, store.documents.purge, self.telemetry, self.plan.tick_s, wanted)

    @cached_property
    def supervision(self) -> Supervision:
        """What looks for reasons to train."""
        policy, documents = Policy(first_incidents=self.settings.models.min_incidents), self.store.documents
        learners, fail_lost = (lambda: self.worker.flow.learners), self.jobs.fail_lost
        parts = SupervisionParts(
            learners,
            documents,
            self.registry,
            self.ask_training,
            _utc_now,
            home=self.home,
            leads=lambda: 0 in self.worker.held,
            fail_lost=fail_lost,
        )
        return Supervision(parts, policy, self._patience, self.telemetry)

    def registry(self, tenant: str) -> Registry:
        """Return the model registry of a tenant."""
        return Registry(self.store.blobs, self.store.documents, self.store.signing_key, tenant)

    def start(self) -> Served:
        """Start what the roles say."""
        if self.roles.worker:
            self.start_worker()
            self.start_clock()
        if self.roles.worker or self.roles.api:
            self.start_jobs()
        if self.roles.api and not self.roles.worker:
            self._run("forgetting", partial(forget_hourly, self.store.documents.purge, self._stop))
        return self.start_servers()

    def start_worker(self) -> None:
        """Restore the state of all partitions and begin to read the log."""
        self._look_at_history()
        self.worker.acquire()
        self._run("worker", lambda: self.worker.run(self._stop))

    def start_clock(self) -> None:
        """Begin to write tick markers from the wall clock."""
        self._run("clock", partial(self.ticker.run, self._stop))

    def start_jobs(self) -> None:
        """Begin to take training runs, and to look for reasons to train where forecasts are made."""
        self.jobs.start()
        self._closers.append(self.jobs.stop)
        if self.roles.worker:
            self._run("triggers", partial(self.supervision.run, self._stop))

    def start_servers(self) -> Served:
        """Open the listeners that the roles say, and return where they are; that of REST is always there, for those that look after the node."""
        server = self.settings.server
        let_open(2 * server.max_connections + _OTHER_FILES)
        host = f"[{server.host}]" if ":" in server.host else server.host
        http, grpc = self._listen_for_otlp(host) if self.roles.ingest else ("", "")
        return Served(http, grpc, f"http://{host}:{self._listeners.serve('api', self._api(), server.api_port)}")

    def ask_training(self, request: TrainingRequest) -> str:
        """Queue a training run and return its id."""
        return self.jobs.ask(uuid4().hex, self.job(request), request.reason)

    def job(self, request: TrainingRequest) -> Job:
        """Return what a training run works on."""
        models = self.settings.models
        until = int(request.until.timestamp()) if request.until else None
        closed = self.worker.flow.memory.tick * self.plan.tick_s if self.roles.worker else 0
        newest = until or closed or int(request.requested_at.timestamp())
        since = int(request.since.timestamp()) if request.since else newest - int(models.history_days * 86_400)
        seed = models.seed if request.seed is None else request.seed
        said = Said(plan=feedback_plan(self.settings.feedback))
        bounds = (max(since, 0), until)
        job = Job(request.tenant, self.plan, *bounds, seed, models.min_incidents, said=said, spread=self._spread)
        return replace(job, patience=self._patience)

    def close(self) -> None:
        """Stop listening, end what is under way, then the worker, then the store; a second call does nothing."""
        self._stop.set()
        self._listeners.close()  # while one answers, what it hands work to must be there
        for closer in reversed(self._closers):
            closer()
        for thread in reversed(self._threads):
            thread.join(_STOPPED_S)
        if "worker" in self.__dict__:
            self.worker.archive.finish(_STOPPED_S)
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

    def _look_at_history(self) -> None:
        """Say at the start that history cannot be reached, or what of it is new; the service starts all the same, and rows wait."""
        try:
            versions = self.history.versions()
        except ForeshockError as exc:
            logger.warning("%s; rows wait until it can be reached", exc)
            self.telemetry.faults.labels(place="history").inc()
        else:
            logger.info(
                "history lies in %s; versions of its tables: %s", history_place(self.settings)[0], versions or "none yet"
            )

    def _run(self, name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=partial(_until_it_fails, name, target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _listen_for_otlp(self, host: str) -> tuple[str, str]:
        """Open the listeners of OTLP and return the URL of HTTP and the address of gRPC."""
        server, ingest = self.settings.server, self.settings.ingest
        tenant, timeout_s = ingest.default_tenant, ingest.body_timeout_s
        otlp = OtlpHttp(self.receiver, tenant, body_timeout_s=timeout_s, cors=Cors(ingest), max_calls=ingest.max_calls)
        self.telemetry.decoder.labels(engine=self.engine).set(1)
        logger.info("traces and logs in protobuf are read by the engine %s", self.engine)
        address = f"{server.host}:{server.otlp_grpc_port}"
        grpc = OtlpGrpc(self.receiver, tenant, address, max_calls=ingest.max_calls, body_timeout_s=timeout_s)
        self._closers += [otlp.close, grpc.close]
        return f"http://{host}:{self._listeners.serve('otlp-http', otlp, server.otlp_http_port)}", f"{host}:{grpc.port}"

    def _api(self) -> ASGIApp:
        """Return what answers on the port of REST."""
        checks = self._checks()
        return create_api(self._api_parts(checks)) if self.roles.api else create_probes(self.telemetry, checks, str(self.roles))

    def _checks(self) -> dict[str, Callable[[], Health]]:
        """Return what must be so for the node to be ready, by its roles."""
        checks: dict[str, Callable[[], Health]] = {
            "log": lambda: log_health(self.store.log, self.store.failure or self.store.trouble)
        }
        if self.roles.worker:
            checks |= {"worker": self._worker_health, "models": self.champions.health}
        return checks

    def _api_parts(self, checks: Mapping[str, Callable[[], Health]]) -> ApiParts:
        jobs = self.jobs
        return ApiParts(
            documents=self.store.documents,
            telemetry=self.telemetry,
            now=_utc_now,
            new_id=lambda: uuid4().hex,
            start_training=self.ask_training,
            start_backtest=lambda request: jobs.ask_backtest(uuid4().hex, self.job(request), request.reason),
            registry_of=self.registry,
            nodes=self._nodes,
            rules=self.rules,
            checks=checks,
            default_tenant=self.settings.ingest.default_tenant,
            alerts=AlertLabels.of(self.settings),
            stopping=self._stop.is_set,
        )

    def _nodes(self) -> Nodes:
        """Return this node alone, with what its worker holds."""
        n_partitions, tick = self.store.log.n_partitions, self.worker.flow.memory.tick
        member = Member(
            self.id,
            version=software_version(),
            started_at=self._started_at,
            roles=(WORKER,),
            weight=self.settings.cluster.weight,
            lag=self.worker.lag(),
            tick=float(tick * self.plan.tick_s) if tick >= 0 else None,
            load=sum(loads.values()) if (loads := self.worker.loads()) else None,
            loads=loads,
            held=tuple(sorted(self.worker.held)),
        )
        return Nodes(n_partitions, (NodeState(member, 0.0, ALIVE),))

    def _worker_health(self) -> Health:
        runs = any(t.name == "worker" and t.is_alive() for t in self._threads)
        return worker_health(self.worker, self.plan.tick_s, runs, time.time() if self.is_live else None)


def history_place(settings: Settings) -> tuple[Path | str, dict[str, str]]:
    """Return where history lies, and the options of the object store with their secrets."""
    options = {name: value.get_secret_value() for name, value in settings.history_options.items()}
    return settings.history_url or settings.data / "history", options


def _open_store(settings: Settings, telemetry: Telemetry) -> SqliteStore | JetStreamStore:
    """Open the family of the store that the settings name."""
    if settings.nats_url:
        return open_cluster(settings, _utc_now, telemetry)
    refuse_moved(settings.data)
    in_flight = settings.ingest.max_in_flight_bytes
    return open_store(
        settings.data,
        settings=settings.store,
        max_in_flight_bytes=in_flight,
        now=_utc_now,
        telemetry=telemetry,
        key_file=settings.signing_key,
    )


def join_target(settings: Settings) -> Target:
    """Open the cluster that the settings name, as `foreshock migrate` moves a folder into it; to be closed by the caller."""
    return join_cluster(settings, _utc_now, Telemetry())


def _until_it_fails(name: str, target: Callable[[], None]) -> None:
    """Run a part; `Node.check_alive` notices its end, and the log says why."""
    try:
        target()
    except ForeshockError as exc:
        logger.error("the part %s stopped: %s", name, exc)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _rules(path: Path | None) -> Rules:
    if path is None:
        return Rules()
    try:
        return Rules.from_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidValue) as exc:
        raise InvalidSetting(f"setting features.taxonomy: {path}: {exc}") from exc
