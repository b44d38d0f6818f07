"""The parts of a node, joined: each is made when it is first asked for, so that a node does not hold what its roles do not need.

`app.main` chooses store and history, and starts and stops what is made here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from uuid import uuid4

from app.alerts.alerting import Alerting, AlertingParts, AlertingPlan
from app.alerts.channels import channels_of
from app.alerts.contract import Channel
from app.alerts.fitting import Fitting, FittingParts
from app.alerts.past import Past
from app.alerts.routes import Route, routes_of
from app.alerts.sender import Sender, SenderParts, SenderPlan
from app.api.parts import AlertView, TrainingRequest
from app.archive import Upkeep
from app.auth import AuditLog, Doorkeeper
from app.auth.tokens import BUCKET as TOKENS
from app.breaker import Breaker, BreakerPlan
from app.cache.member_records import Member
from app.cache.news import News
from app.clock import utc_now
from app.correlation import Correlation, CorrelationParts
from app.edge.throttle import Throttle
from app.exports.chances import Chances
from app.exports.otlp import OtlpExport
from app.flow import Flow, FlowPlan
from app.history.contract import History
from app.home import Home, everywhere
from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, Engine, decode, decoder
from app.ingest.receive import Receiver
from app.job import Job
from app.jobs import Jobs, JobsPlan
from app.membership import Membership
from app.node_id import node_id, software_version
from app.ownership import Holder, Ownership, OwnershipPlan
from app.parallel import Spread
from app.peers import Alone, Bystander, Peers
from app.pressure import Pressure, PressureParts
from app.redaction import Redaction
from app.roles import Roles
from app.runbook import Runbook
from app.said import feedback_plan
from app.settings import Settings
from app.store.contract import Store
from app.store.signing import fingerprint
from app.succession import Champions, Rivals
from app.supervision import Supervision, SupervisionParts
from app.telemetry import Telemetry
from app.ticker import Ticker
from app.worker import Worker, WorkerParts, WorkerPlan
from features.errors import InvalidSetting, InvalidValue
from features.incident import IncidentRule
from features.memory import MemoryPlan
from features.rules import Rules
from features.series import partition_of
from models.registry import Registry
from training.labels import Said
from training.shadow import Patience
from training.triggers import Policy

__all__ = ["Parts", "memory_plan"]


def memory_plan(settings: Settings) -> MemoryPlan:
    """Return the sizes and rules of the settings."""
    f = settings.features
    rule = IncidentRule(f.incident_k, f.incident_m, f.incident_min_errors, f.incident_min_ratio, f.absent_windows)
    return MemoryPlan(f.tick_s, f.lateness_s // f.tick_s, f.max_operations, f.max_series, rule, f.max_series_per_tenant)


class Parts:
    """What a node is made of.

    Parameters
    ----------
    settings : Settings
        Checked.
    open_store : callable
        Opens the store; called once it is known that nothing else is wrong with the settings.
    open_history : callable
        Opens history; picklable, since a child process that trains calls it too.
    telemetry : Telemetry
        Where all count.
    now_ns : callable
        The clock that stamps what is received, unix nanoseconds.
    replays : bool
        Whether a past is taken in that nobody saw. Then incidents are put together tick by tick, until a thread does it beside the worker.
    """

    def __init__(
        self,
        settings: Settings,
        open_store: Callable[[Settings, Telemetry], Store],
        open_history: Callable[..., History],
        telemetry: Telemetry,
        now_ns: Callable[[], int] = time.time_ns,
        *,
        replays: bool = False,
    ) -> None:
        self.settings = settings
        self.replays = replays
        self.roles = Roles.of(settings.roles)
        self.shared = bool(settings.nats_url)
        self.telemetry = telemetry
        self.rules = _rules(settings.features.taxonomy)
        self.store = open_store(settings, telemetry)
        self.history = open_history(told=lambda call, outcome: telemetry.history_calls.labels(call, outcome).inc())
        self.plan = memory_plan(settings)
        self.engine: Engine = ENGINE if settings.ingest.engine == "auto" else settings.ingest.engine
        self.id = node_id(settings.cluster.node, settings.data)
        self._now_ns = now_ns
        self._open_history = open_history
        self._registries = cache(self.registry)  # one a tenant, for those that look at every tick
        self._patience = Patience(settings.models.shadow_hours, settings.models.watch_hours)

    @cached_property
    def redaction(self) -> Redaction:
        """What takes secrets out."""

        def told(found: Mapping[str, int]) -> None:
            for rule, count in found.items():
                self.telemetry.redacted.labels(rule=rule).inc(count)

        return Redaction(self.settings.security.redaction, self.settings.ingest.max_attribute_chars, told)

    @cached_property
    def receiver(self) -> Receiver:
        """What takes requests in."""
        ingest = self.settings.ingest
        reads = decode if ingest.engine == "auto" else decoder(self.engine)
        limits = Limits.of(ingest, self.plan.tick_s)
        receiver = Receiver(self.store.log, self.telemetry, limits, self._now_ns, reads, self.redaction.batch)
        holder = self.holder
        parts = PressureParts(self.store.log, holder.lag, lambda: holder.held, self.peers.others)
        receiver.lag = Pressure(parts, self.telemetry)
        receiver.doorkeeper, receiver.logins = self.doorkeeper, self.throttle
        return receiver

    @cached_property
    def doorkeeper(self) -> Doorkeeper:
        """Who asks."""
        demanded = self.settings.security.require_tokens
        return Doorkeeper(self.store.documents.watch(TOKENS) if demanded else None, utc_now)

    @cached_property
    def throttle(self) -> Throttle:
        """How often one may ask."""
        return Throttle(self.settings.security.limits, self.telemetry)

    @cached_property
    def audit(self) -> AuditLog:
        """What was changed by whom."""
        return AuditLog(self.store.documents, utc_now, self.settings.security.audit_s)

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
        parts = WorkerParts(
            store.log,
            store.checkpoints,
            store.documents,
            self.history,
            self.champions,
            rivals,
            closed=lambda: self.replays and self.correlation.look_at_news(),
        )
        flow_plan = FlowPlan(self.plan, self.rules, settings.models.explain_series, tells_past=self.replays)
        plan = WorkerPlan(
            checkpoint_s=settings.store.checkpoint_s,
            flush_rows=settings.store.history_flush_rows,
            retention_s=settings.store.log_retention_s,
            owner=self.id,
            shared=self.shared,
        )
        worker = Worker(parts, lambda: Flow(flow_plan, self.telemetry, home), self.telemetry, plan)
        if self.shared and settings.history_url:  # one node tends a history that all share
            worker.archive.upkeep = Upkeep(lambda: 0 in worker.held)
        elif self.shared:
            worker.archive.upkeep = Upkeep(mark=f"optimised-{self.id}")
        return worker

    @property
    def holder(self) -> Holder:
        """Who holds partitions here, if anybody does."""
        return self.worker if self.roles.worker else Bystander()

    @cached_property
    def peers(self) -> Peers | Alone:
        """The other nodes."""
        member = Member(
            self.id,
            incarnation=uuid4().hex,
            version=software_version(),
            started_at=time.time(),
            roles=tuple(str(self.roles).split(",")),
            weight=self.settings.cluster.weight,
            signing=fingerprint(self.store.signing_key),
        )
        n_partitions, cluster = self.store.log.n_partitions, self.settings.cluster
        if self.shared:
            membership = Membership(self.store.documents, member, heartbeat_s=cluster.heartbeat_s, ttl_s=cluster.ttl_s)
            plan = OwnershipPlan(n_partitions, cluster.placement)
            ownership = Ownership(self.holder, membership, plan, self.telemetry, self.closed_s)
            return Peers(membership, ownership, cluster.handover_s)
        return Alone(member, self.holder, n_partitions, self.closed_s)

    @cached_property
    def home(self) -> Callable[[str], bool]:
        """Says whether this node decides for a tenant."""
        if not self.shared:
            return everywhere
        services = self.store.documents.watch("services")
        return Home(services, self.store.log.n_partitions, lambda partition: partition in self.worker.held)

    @cached_property
    def chances(self) -> Chances:
        """What leaves as metrics."""
        documents = self.store.documents
        return Chances(documents.watch("predictions"), News(documents.watch("models"), documents.watch("feedback")), utc_now)

    @cached_property
    def otlp_export(self) -> OtlpExport:
        """What sends the predictions of this node's partitions to a receiver of OTLP, so that each is sent by one node."""
        n_partitions = self.store.log.n_partitions

        def holds(tenant: str, service: str) -> bool:
            return partition_of(tenant, service, n_partitions) in self.worker.held

        return OtlpExport(self.chances, holds, self.settings.export, software_version(), self.telemetry)

    @cached_property
    def jobs(self) -> Jobs:
        """What trains."""
        plan, documents, peers = JobsPlan(self.settings.models.training_s), self.store.documents, self.peers
        if isinstance(peers, Peers):
            plan = replace(plan, node=self.id, alive=peers.alive)
        return Jobs(documents, self.registry, self._open_history, self.telemetry, now=utc_now, plan=plan)

    @cached_property
    def ticker(self) -> Ticker:
        """The clock: of what is held here, or, where nothing is, of what nobody holds."""
        partitions = self._clocked if self.roles.worker else lambda: self.peers.nodes().unheld
        return Ticker(self.store.log, self.store.documents.purge, self.telemetry, self.plan.tick_s, partitions)

    def _clocked(self) -> frozenset[int]:
        """Return what is held, and what is about to be; what is let go of goes at the end of a tick, which needs its marker."""
        return self.worker.wanted | self.worker.held

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
            utc_now,
            home=self.home,
            leads=lambda: 0 in self.worker.held,
            fail_lost=fail_lost,
        )
        return Supervision(parts, policy, self._patience, self.telemetry)

    @cached_property
    def correlation(self) -> Correlation:
        """What puts incidents together."""
        return Correlation(CorrelationParts(self.store.documents, self.home), self.telemetry)

    @cached_property
    def runbook(self) -> Runbook:
        """Where steps of plans are posted to."""
        return Runbook(self.settings.runbook, self.telemetry, time.time)

    @cached_property
    def channels(self) -> Sequence[Channel]:
        """Ways of telling people and other systems."""
        return tuple(channels_of(self.settings.channels).values())

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """What is alerted on, and who is told."""
        # By the settings: who only answers over REST needs no secrets, libraries or authorities of channels.
        return routes_of(self.settings.alerts, list(self.settings.channels))

    @cached_property
    def alerting(self) -> Alerting:
        """What makes alerts and notices."""
        alerts = self.settings.alerts
        plan = AlertingPlan(
            kept_days=alerts.kept_days,
            stale_s=alerts.stale_s,
            tick_s=self.plan.tick_s,
            external_url=alerts.external_url,
            dashboard=self.settings.dashboard.enabled,
        )
        return Alerting(AlertingParts(self.store.documents, self.telemetry, self.now, self.home), self.routes, plan)

    @cached_property
    def fitting(self) -> Fitting:
        """What finds the thresholds that budgets come to."""
        alerts = self.settings.alerts
        parts = FittingParts(self.store.documents, Past(self.history), self.telemetry, self.now, self.home)
        return Fitting(parts, self.routes, alerts.lookback_days, alerts.stale_s)

    @cached_property
    def senders(self) -> list[Sender]:
        """What tells each channel."""
        resend_s, kinds = self.settings.alerts.resend_s, {name: each.kind for name, each in self.settings.channels.items()}
        return [self._sender(each, resend_s if kinds.get(each.name) == "alertmanager" else None) for each in self.channels]

    def alert_view(self) -> AlertView:
        """Return what REST knows of alerts beside their documents."""
        alerts = self.settings.alerts
        return AlertView(self.routes, Past(self.history).points, alerts.stale_s, alerts.kept_days * 86_400, self.plan.tick_s)

    def registry(self, tenant: str) -> Registry:
        """Return the model registry of a tenant."""
        return Registry(self.store.blobs, self.store.documents, self.store.signing_key, tenant)

    def ask_training(self, request: TrainingRequest) -> str:
        """Queue a training run and return its id."""
        return self.jobs.ask(uuid4().hex, self.job(request), request.reason)

    def job(self, request: TrainingRequest) -> Job:
        """Return what a training run works on."""
        models = self.settings.models
        until = int(request.until.timestamp()) if request.until else None
        newest = until or int(self.closed_s() or request.requested_at.timestamp())
        since = int(request.since.timestamp()) if request.since else newest - int(models.history_days * 86_400)
        return Job(
            request.tenant,
            self.plan,
            max(since, 0),
            until,
            models.seed if request.seed is None else request.seed,
            models.min_incidents,
            said=Said(plan=feedback_plan(self.settings.feedback)),
            spread=Spread(models.joblib_backend, models.joblib_address, models.joblib_workers),
            patience=self._patience,
        )

    def now(self) -> datetime:
        """Return the time of the clock that stamps what is received, aware."""
        return datetime.fromtimestamp(self._now_ns() / 1e9, UTC)

    def _sender(self, channel: Channel, resend_s: float | None) -> Sender:
        # A receiver that is away is looked for every half minute at most: what it is to be told grows old.
        breaker = Breaker(f"channel {channel.name}", self.telemetry, BreakerPlan(after_s=10.0, first_s=1.0, longest_s=30.0))
        parts = SenderParts(self.store.documents, breaker, self.telemetry, self.now, self.home)
        return Sender(channel, parts, SenderPlan(resend_s=resend_s))

    def closed_s(self) -> float | None:
        """Return the unix seconds of the newest closed tick, None before the first."""
        tick = self.worker.flow.memory.tick if self.roles.worker else -1
        return float(tick * self.plan.tick_s) if tick >= 0 else None


def _rules(path: Path | None) -> Rules:
    if path is None:
        return Rules()
    try:
        return Rules.from_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidValue) as exc:
        raise InvalidSetting(f"setting features.taxonomy: {path}: {exc}") from exc
