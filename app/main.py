"""Where the parts are chosen and joined: the only module that names concrete classes, beside `app.opening`, which opens the store.

Commands make a `Node` for `serve`, `replay`, `train` and `demo`, and start of it what they need.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from starlette.types import ASGIApp

from app.api.application import create_api, create_probes
from app.api.guard import Access
from app.api.parts import AlertLabels, ApiParts, Health
from app.clock import utc_now
from app.dashboard.sources import Sources
from app.edge.certificates import Certificates
from app.entrance import guarded
from app.exports.exposition import Exposition
from app.health import log_health, look_at_history, worker_health
from app.history.delta import DeltaHistory
from app.ingest.cors import Cors
from app.ingest.grpc_server import GrpcPlan, OtlpGrpc
from app.ingest.http import OtlpHttp
from app.listeners import Listeners
from app.opening import store_of
from app.openness import refuse_open
from app.own_log import redact_by
from app.parts import Parts, memory_plan
from app.peers import Peers
from app.settings import Settings
from app.telemetry import Telemetry
from app.ticker import forget_hourly
from app.tuning import let_open
from features.errors import ForeshockError, PartStopped

__all__ = ["Node", "Served", "history_place", "memory_plan"]

logger = logging.getLogger(__name__)

_OTHER_FILES = 1024  # guessed: the store, history's files while they are read, gRPC's connections
_STOPPED_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """Where a node listens.

    Parameters
    ----------
    otlp_http, otlp_grpc, api : str
        Addresses; the first and the last are URLs. Those of OTLP are empty without the role ``ingest``.
    dashboard : str
        A URL; empty where the node has none.
    """

    otlp_http: str
    otlp_grpc: str
    api: str
    dashboard: str = ""


class Node(Parts):
    """One process of Foreshock over one data folder, or one of several over a cluster.

    Its parts are made when they are first asked for, so that a node does not hold what its roles do not need.

    Parameters
    ----------
    settings : Settings
        Checked.
    now_ns : callable, optional
        The clock that stamps what is received, unix nanoseconds; the wall clock by default.
    replays : bool
        Whether a past is taken in that nobody saw, see `Parts`.

    Raises
    ------
    DataInUse
        When another process holds the folder.
    InvalidSetting
        When the folder was made with other settings.
    """

    def __init__(self, settings: Settings, now_ns: Callable[[], int] = time.time_ns, *, replays: bool = False) -> None:
        telemetry = Telemetry()
        open_history = partial(DeltaHistory, *history_place(settings), keep_days=settings.history.days())
        super().__init__(settings, store_of, open_history, telemetry, now_ns, replays=replays)
        redact_by(self.redaction)
        self._asked_to_stop, self._stop = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        tls = settings.security.tls
        self.certificates = Certificates(tls, telemetry) if tls.certificate else None
        self._listeners = Listeners(settings.server, self._run, self.certificates and self.certificates.context)
        self._closers: list[Callable[[], None]] = []

    def start(self) -> Served:
        """Start what the roles say, and take part in the cluster if there is one."""
        refuse_open(self.settings)
        if self.roles.worker:
            self.start_worker()
            self.start_alerts()
        if self.roles.worker or self.roles.api:
            self.start_jobs()
        if self.roles.worker or self.roles.ingest:
            self.start_clock()
        else:
            self._run("forgetting", partial(forget_hourly, self.store.documents.purge, self._stop))
        served = self.start_servers()
        self.start_peers(served)
        self.start_export()
        return served

    def start_worker(self) -> None:
        """Begin to read the log: of all partitions at once, or as soon as the others know of this node."""
        place = history_place(self.settings)
        look_at_history(DeltaHistory(*place).versions, place[0], self.telemetry)
        self.worker.acquire()
        self._run("worker", lambda: self.worker.run(self._stop))

    def start_peers(self, served: Served) -> None:
        """Begin to take part in the cluster, if there is one."""
        if isinstance(self.peers, Peers):
            self.peers.tell(served.api)
            self._closers.append(self.peers.close)
            self._run("peers", partial(self.peers.run, self._stop))

    def start_clock(self) -> None:
        """Begin to write tick markers from the wall clock."""
        self._run("clock", partial(self.ticker.run, self._stop))

    def start_jobs(self) -> None:
        """Begin to take training runs, and where forecasts are made to look for reasons to train and to put incidents together."""
        self.jobs.start()
        self._closers.append(self.jobs.stop)
        if self.roles.worker:
            self._run("triggers", partial(self.supervision.run, self._stop))
            self.replays = False
            self._run("groups", partial(self.correlation.run, self._stop))

    def start_export(self) -> None:
        """Begin to send predictions over OTLP, where the settings say where to and forecasts are made."""
        if self.roles.worker and self.settings.export.otlp_endpoint:
            self._run("export", partial(self.otlp_export.run, self._stop))
            self._closers.append(self.otlp_export.close)

    def start_alerts(self) -> None:
        """Begin to make alerts, to tell of them, and to keep thresholds up with budgets."""
        self._run("alerts", partial(self.alerting.run, self._stop))
        self._run("alert thresholds", partial(self.fitting.run, self._stop))
        for sender in self.senders:
            self._run(f"channel {sender.channel.name}", partial(sender.run, self._stop))

    def start_servers(self) -> Served:
        """Open the listeners that the roles say, and return where they are; that of REST is always there, for those that look after the node."""
        refuse_open(self.settings)
        server = self.settings.server
        let_open(2 * server.max_connections + _OTHER_FILES)
        host = f"[{server.host}]" if ":" in server.host else server.host
        http, grpc = self._listen_for_otlp(host) if self.roles.ingest else ("", "")
        port = self._listeners.serve("api", self._api(http, grpc), server.api_port, sockets=self._has_dashboard)
        if self.certificates is not None:
            self._run("certificates", partial(self.certificates.run, self._stop))
        url = f"{self._scheme}://{host}:{port}"
        return Served(http, grpc, url, f"{url}/" if self._has_dashboard else "")

    def close(self) -> None:
        """Hand over, stop listening, end what is under way, then the worker, then the store; a second call does nothing."""
        if self._lives("peers") and isinstance(self.peers, Peers):
            self.peers.leave(waits=self._lives("worker") and self._lives("clock"))
        self._asked_to_stop.set()
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
        self._asked_to_stop.set()

    @property
    def is_live(self) -> bool:
        """Whether the wall clock moves the ticks."""
        return self._lives("clock")

    def wait(self) -> None:
        """Block until the node is told to stop, or one of its threads dies."""
        while not self._asked_to_stop.wait(0.5):
            self.check_alive()

    def check_alive(self) -> None:
        """Raise PartStopped when a thread of the node has died, or the store writes nothing any more; InvalidSetting when it may not join."""
        if self.store.failure:
            raise PartStopped(self.store.failure)
        dead = [t.name for t in self._threads if not t.is_alive()]
        if dead:
            raise PartStopped(f"the part {dead[0]} stopped; the log says why")
        if self._lives("peers") and isinstance(self.peers, Peers):
            self.peers.check()

    def _lives(self, part: str) -> bool:
        return any(thread.name == part and thread.is_alive() for thread in self._threads)

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
        credentials = self.certificates and self.certificates.credentials()
        plan = GrpcPlan(max_calls=ingest.max_calls, body_timeout_s=timeout_s)
        grpc = OtlpGrpc(self.receiver, tenant, address, plan, credentials=credentials)
        self._closers += [otlp.close, grpc.close]
        port = self._listeners.serve("otlp-http", otlp, server.otlp_http_port)
        return f"{self._scheme}://{host}:{port}", f"{host}:{grpc.port}"

    @property
    def _scheme(self) -> str:
        return "http" if self.certificates is None else "https"

    @property
    def _has_dashboard(self) -> bool:
        return self.roles.api and self.settings.dashboard.enabled

    def _api(self, otlp_http: str, otlp_grpc: str) -> ASGIApp:
        """Return what answers on the port of REST."""
        checks = self._checks()
        if not self.roles.api:
            security = self.settings.security
            access = Access(self.doorkeeper, None, "", self.telemetry, open_metrics=security.open_metrics)
            return guarded(create_probes(access, checks, str(self.roles)), self, pages=False)
        self.telemetry.registry.register(Exposition(self.chances, self.settings.export.max_series))
        parts = self._api_parts(checks)
        rest = create_api(parts)
        if not self._has_dashboard:
            return guarded(rest, self, pages=False)
        sources = Sources(rest, parts, rest.state.cache, self.history, self.plan.tick_s, otlp_http, otlp_grpc)
        # By name, at this place: who does without the dashboard is not to load NiceGUI (docs/measurements.md).
        return guarded(import_module("app.dashboard.site").dashboard(sources), self, pages=True)

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
            now=utc_now,
            new_id=lambda: uuid4().hex,
            start_training=self.ask_training,
            start_backtest=lambda request: jobs.ask_backtest(uuid4().hex, self.job(request), request.reason),
            registry_of=self.registry,
            nodes=self.peers.nodes,
            rules=self.rules,
            checks=checks,
            default_tenant=self.settings.ingest.default_tenant,
            alerts=AlertLabels.of(self.settings),
            alerting=self.alert_view(),
            stopping=self._stop.is_set,
            runbook=self.runbook,
            doorkeeper=self.doorkeeper,
            security=self.settings.security,
        )

    def _worker_health(self) -> Health:
        now_s = time.time() if self.is_live else None
        return worker_health(self.worker, self.plan.tick_s, self._lives("worker"), now_s)


def history_place(settings: Settings) -> tuple[Path | str, dict[str, str]]:
    """Return where history lies, and the options of the object store with their secrets."""
    options = {name: value.get_secret_value() for name, value in settings.history_options.items()}
    return settings.history_url or settings.data / "history", options


def _until_it_fails(name: str, target: Callable[[], None]) -> None:
    """Run a part; `Node.check_alive` notices its end, and the log says why."""
    try:
        target()
    except ForeshockError as exc:
        logger.error("the part %s stopped: %s", name, exc)
