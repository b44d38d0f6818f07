"""Documents as the worker writes them, and the REST API over a real store, for the tests of `app.cache` and `app.api`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
from fastapi import FastAPI

from app.api.application import create_api
from app.api.feed import StreamPlan
from app.api.parts import AlertView, ApiParts, Health, StepReceiver, TrainingRequest
from app.auth import OPEN, Doorkeeper
from app.cache.backtests import BacktestRun
from app.cache.documents import encode_document, prediction_document, prediction_key, tenant_key
from app.cache.member_records import Nodes
from app.cache.records import (
    ErrorGroup,
    Explanation,
    GroupContribution,
    IncidentRecord,
    RecentErrors,
    ServiceSummary,
    TrainingRun,
)
from app.cache.trend_records import POINT, SINGLE, TrendRecord
from app.security_settings import SecuritySettings
from app.store.contract import Blobs, Documents
from app.telemetry import Telemetry
from features.event import ErrorEvent
from features.recovery import advise
from features.series import WHOLE, SeriesKey
from models.prediction import AnomalyScore, Chance, ExpectedCategory, Prediction, Reason
from models.registry import Registry
from tests.ensembles import KEY

__all__ = [
    "NOON",
    "Api",
    "Clock",
    "a_prediction",
    "a_service_summary",
    "an_error_event",
    "an_error_group",
    "an_explanation",
    "an_incident",
    "put_backtest",
    "put_errors",
    "put_incident",
    "put_prediction",
    "put_service",
    "put_training_run",
    "put_trend",
]

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """A clock that stands until it is moved."""

    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def a_prediction(
    service: str = "payment", operation: str = WHOLE, *, tenant: str = "default", risk: float = 0.3, prediction_id: str = ""
) -> Prediction:
    return Prediction(
        id=prediction_id or f"{tenant}-{service}-{operation}",
        series=SeriesKey(tenant, service, operation),
        as_of=NOON,
        expires_at=NOON + timedelta(seconds=120),
        status="ok",
        horizons={
            "5min": Chance(risk / 4, risk / 8, risk / 2),
            "15min": Chance(risk / 2, risk / 4, risk),
            "60min": Chance(risk, risk / 2, risk),
        },
        categories=(ExpectedCategory("resource", 0.75), ExpectedCategory("network", 0.25)),
        reasons=(Reason("errors rise", "errors", 1.25),),
        anomaly=AnomalyScore(0.995, 7.0, 2.0, 0.0, 5.0),
        model_version="prior",
    )


def an_explanation() -> Explanation:
    return Explanation(
        groups=(GroupContribution("errors", 1.25, "errors rise", {"errors_log_5": 2.0, "slope": float("nan")}),),
        background_probability=0.01,
        advice=(advise("pool_exhausted"),),
        members={"batch": 0.4, "online": None, "prior": 0.2},
        weights={"batch": 0.7, "online": 0.0, "prior": 0.3},
    )


def an_error_group(fingerprint: str = "f1", *, category: str = "network", seen_s: float = 0.0) -> ErrorGroup:
    return ErrorGroup(
        fingerprint=fingerprint,
        kind="timeout",
        category=category,
        retryable=True,
        transient=True,
        count=3,
        first_seen=NOON - timedelta(hours=1),
        last_seen=NOON + timedelta(seconds=seen_s),
        message="no answer from <*>",
        exception_type="TimeoutError",
        operations=("POST /charge",),
        advice=advise("timeout"),
    )


def an_error_event(service: str = "payment", *, tenant: str = "default", at_s: float = 0.0, trace_id: str = "") -> ErrorEvent:
    time = NOON + timedelta(seconds=at_s)
    return ErrorEvent(time, time, tenant, service, WHOLE, "network", "timeout", 17, True, True, "f1", trace_id)


def an_incident(
    incident_id: str = "i1", service: str = "payment", *, tenant: str = "default", start_s: float = 0.0, lasts: bool = False
) -> IncidentRecord:
    start = NOON + timedelta(seconds=start_s)
    end = None if lasts else start + timedelta(minutes=10)
    detected = start + timedelta(minutes=2)
    return IncidentRecord(
        incident_id, tenant, service, WHOLE, start, detected, end, "rule", "network", {"5min": 0.1, "15min": 0.2, "60min": 0.4}
    )


def a_service_summary(service: str = "payment", *, tenant: str = "default") -> ServiceSummary:
    return ServiceSummary(tenant, service, (WHOLE, "POST /charge"), NOON - timedelta(days=1), NOON, 120.0, 0.01, ("1.2",), 2)


def put_prediction(documents: Documents, prediction: Prediction, explanation: Explanation | None = None) -> None:
    documents.put("predictions", prediction_key(prediction.series), prediction_document(prediction, explanation))


def put_service(documents: Documents, summary: ServiceSummary) -> None:
    documents.put("services", tenant_key(summary.tenant, summary.service), encode_document(summary))


def put_errors(documents: Documents, service: str, recent: RecentErrors, *, tenant: str = "default") -> None:
    documents.put("errors", tenant_key(tenant, service), encode_document(recent))


def put_incident(documents: Documents, incident: IncidentRecord) -> None:
    documents.put("incidents", tenant_key(incident.tenant, incident.id), encode_document(incident))


def a_trend_row() -> list[float | None]:
    """Return the numbers of a measure whose upper bound alone meets its limit."""
    named = {"changed_s": 600.0, "probability": 0.5, "earliest_s": 90.0, "expected_s": None, "latest_s": None}
    points = [value for in_s in (300.0, 900.0) for value in (in_s, 2.0, 1.0, 3.0, 2.5, 9.0)]
    assert len(points) % len(POINT) == 0
    return [*(named.get(name, 1.0) for name in SINGLE), *points]


def put_trend(
    documents: Documents, service: str = "payment", operation: str = WHOLE, *, tenant: str = "default", timed: bool = True
) -> None:
    row = a_trend_row()
    soon = NOON + timedelta(seconds=180)
    record = TrendRecord(tenant, service, operation, NOON, soon, "ok", row, row if timed else None)
    documents.put("trends", tenant_key(tenant, service, operation), encode_document(record))


def put_training_run(documents: Documents, run: TrainingRun) -> None:
    documents.put("training-runs", tenant_key(run.tenant, run.id), encode_document(run))


def put_backtest(documents: Documents, run: BacktestRun) -> None:
    documents.put("backtests", tenant_key(run.tenant, run.id), encode_document(run))


@dataclass(frozen=True, slots=True)
class _Later:
    """A receiver of steps that is known once the API is made."""

    of: Callable[[], StepReceiver | None]

    @property
    def receiver(self) -> str:
        found = self.of()
        return "" if found is None else found.receiver

    def post(self, message: str, body: bytes) -> None:
        found = self.of()
        assert found is not None
        found.post(message, body)


@dataclass(slots=True)
class Api:
    """The REST API over a store, asked without a socket.

    Training runs and backtests are queued by writing their document, as the jobs do.
    """

    documents: Documents
    clock: Clock = field(default_factory=Clock)
    checks: dict[str, Callable[[], Health]] = field(default_factory=dict[str, "Callable[[], Health]"])
    telemetry: Telemetry = field(default_factory=Telemetry)
    started: list[TrainingRequest] = field(default_factory=list[TrainingRequest])
    blobs: Blobs | None = None
    """Where models are; tests that load none need none."""
    streams: StreamPlan = field(default_factory=StreamPlan)
    nodes: Nodes = field(default_factory=lambda: Nodes(1, ()))
    stopped: threading.Event = field(default_factory=threading.Event)
    runbook: StepReceiver | None = None
    """Who takes steps of plans; may be set later."""
    alerting: AlertView = field(default_factory=AlertView)
    doorkeeper: Doorkeeper = OPEN
    """Demands no token by default."""
    security: SecuritySettings = field(default_factory=SecuritySettings)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        numbers = count(1)
        self.app = create_api(
            ApiParts(
                documents=self.documents,
                telemetry=self.telemetry,
                now=self.clock,
                new_id=lambda: f"feedback-{next(numbers)}",
                start_training=self._start,
                start_backtest=self._start_backtest,
                registry_of=self.registry,
                nodes=lambda: self.nodes,
                streams=self.streams,
                stopping=self.stopped.is_set,
                checks=self.checks,
                runbook=_Later(lambda: self.runbook),
                alerting=self.alerting,
                doorkeeper=self.doorkeeper,
                security=self.security,
            )
        )

    def registry(self, tenant: str = "default") -> Registry:
        assert self.blobs is not None, "this test has no place for models"
        return Registry(self.blobs, self.documents, KEY, tenant)

    def _start(self, request: TrainingRequest) -> str:
        self.started.append(request)
        run = TrainingRun(
            f"run-{len(self.started)}", "queued", request.requested_at, reason=request.reason, tenant=request.tenant
        )
        put_training_run(self.documents, run)
        return run.id

    def _start_backtest(self, request: TrainingRequest) -> str:
        self.started.append(request)
        words, run_id = request.reason, f"backtest-{len(self.started)}"
        put_backtest(
            self.documents, BacktestRun(run_id, "queued", self.clock(), request.since, reason=words, tenant=request.tenant)
        )
        return run_id

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://foreshock") as client:
                return await client.request(method, path, json=json, headers=headers, content=content)

        return asyncio.run(answer())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, json: object, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.ask("POST", path, json=json, headers=headers)
