"""What a node that has run for a while holds, written as documents and history, for the tests and the benchmark of the dashboard."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from math import sin

import numpy as np
import pyarrow as pa

from app.cache.alert_records import ThresholdRecord
from app.cache.backtests import BacktestRun
from app.cache.documents import encode_document, prediction_document, prediction_key, tenant_key
from app.cache.group_records import Affected, BlastRadius, Forewarning, GroupRecord, Happening, LikeGroup
from app.cache.learning_records import LearningRecord, MemberRecord, RivalRecord
from app.cache.records import ErrorGroup, IncidentRecord, Known, RecentErrors, ServiceSummary, TrainingRun
from app.cache.symptom_records import HotspotRecord, HotspotsRecord
from app.cache.trend_records import SINGLE, TrendRecord
from app.history.tables import SCHEMAS, rows_schema
from app.main import Node
from app.store.contract import Documents
from features.batch import BUCKETS
from features.event import ErrorEvent
from features.plan import Circuit, Step
from features.recovery import Retry, advise
from features.series import WHOLE, SeriesKey
from features.symptom import Cause
from features.symptom import Reason as Evidence
from models.prediction import AnomalyScore, Chance, ExpectedCategory, Prediction, Reason
from models.progressive import Validation
from tests.alert_builders import an_alert
from tests.api_builders import an_explanation
from tests.ensembles import add_version
from tests.group_builders import a_group, put_edges, put_group

__all__ = ["DETECTED_MIN", "SERVICES", "prediction_of", "put_service_of", "seed", "seed_many"]

SERVICES = {
    "payment": (0.61, "errors 4.2 a minute, usually 0.3 at this hour", "in_incident"),
    "checkout": (0.38, "payment, which it calls, is in an incident", "in_incident"),
    "cart": (0.12, "p95 of 0.84 s is past its limit in 20 min", "ok"),
    "catalog": (0.03, "a version that was not there before: 2.4.1", "ok"),
    "shipping/eu": (0.004, "", "ok"),
    "mail": (0.0007, "", "prior"),
}
DETECTED_MIN = {"payment": 22, "checkout": 16}
"""Minutes since the incident of a service was found, two after it began."""

STACK = 'Traceback (most recent call last):\n  File "charge.py", line 88, in charge\n    pool.acquire(timeout=2)\nTimeoutError: no connection'


def prediction_of(
    service: str, risk: float, reason: str, status: str, as_of: datetime, *, tenant: str = "default"
) -> Prediction:
    """Return a prediction of a whole service."""
    chances = [(risk / 4, "5min"), (risk / 2, "15min"), (risk, "60min")]
    return Prediction(
        id=f"{tenant}-{service}-{as_of:%H%M%S}",
        series=SeriesKey(tenant, service, WHOLE),
        as_of=as_of,
        expires_at=as_of + timedelta(days=1),
        status=status,
        horizons={name: Chance(p, p / 2, min(1.0, p * 1.5)) for p, name in chances},
        categories=(ExpectedCategory("resource", 0.7), ExpectedCategory("network", 0.2)) if risk > 0.01 else (),
        reasons=(Reason(reason, "errors", 1.9), Reason("calls to bank take 1.8 s, usually 0.4 s", "latency", 0.6))
        if reason
        else (),
        anomaly=AnomalyScore(0.999 if risk > 0.5 else 0.4, 4.2 if risk > 0.5 else 0.2, 0.3, 0.0, 1.5),
        model_version="prior" if status == "prior" else "v2",
    )


def put_service_of(documents: Documents, prediction: Prediction, serving: str = "", explained: bool = False) -> None:
    """Publish a service as the worker does."""
    tenant, service, as_of = prediction.series.tenant, prediction.series.service, prediction.as_of
    explanation = an_explanation() if explained else None
    documents.put(
        "predictions", prediction_key(prediction.series), prediction_document(prediction, explanation, Known(serving))
    )
    summary = ServiceSummary(
        tenant,
        service,
        (WHOLE, "POST /charge", "GET /health"),
        as_of - timedelta(days=9),
        as_of,
        118.0,
        0.035,
        ("2.4.0", "2.4.1"),
        3,
    )
    documents.put("services", tenant_key(tenant, service), encode_document(summary))


def seed(node: Node, now: datetime) -> None:
    """Let a node hold a shop in which payment fails."""
    documents = node.store.documents
    serving = _models(node, now)
    for service, (risk, reason, status) in SERVICES.items():
        put_service_of(documents, prediction_of(service, risk, reason, status, now), serving, explained=risk > 0.5)
        documents.put("trends", tenant_key("default", service, WHOLE), encode_document(_trend(service, now)))
    documents.put("errors", tenant_key("default", "payment"), encode_document(_errors(now)))
    _incidents(documents, now)
    _jobs(documents, now)
    _alerts(documents, now)
    _history(node, now)


def seed_many(documents: Documents, n: int, as_of: datetime, *, shift: float = 0.0, tenant: str = "default") -> None:
    """Publish many services whose risks are spread over all of the scale."""

    def put(number: int) -> None:
        risk = 0.5 * (1.0 + sin(number * 1.7 + shift)) ** 3 / 8 + 0.001
        reason = f"errors {risk * 9:.1f} a minute"
        put_service_of(documents, prediction_of(f"service-{number:04}", risk, reason, "ok", as_of, tenant=tenant))

    with ThreadPoolExecutor(64) as pool:  # so that many are flushed together
        list(pool.map(put, range(n)))


def _trend(service: str, now: datetime) -> TrendRecord:
    named = {
        "level": 2.1,
        "usual": 0.4,
        "usual_at_any_hour": 0.5,
        "limit": 6.0,
        "slope": 3.0,
        "slope_lower": 1.0,
        "slope_upper": 5.0,
    }
    named |= {"changed_s": 1500.0, "before": 0.4, "after": 2.1, "probability": 0.44, "earliest_s": 900.0, "expected_s": 2400.0}
    single: list[float | None] = [named.get(name) for name in SINGLE]
    points: list[float | None] = [
        v for m in (5, 15, 30, 60) for v in (60.0 * m, 2.1 + m / 20, 1.6 + m / 40, 2.9 + m / 9, 0.45, 6.0)
    ]
    seconds = [None if v is None else v / 6 for v in single]
    slow = [v if k % 6 == 0 or v is None else v / 6 for k, v in enumerate(points)]
    return TrendRecord("default", service, WHOLE, now, now + timedelta(days=1), "ok", [*single, *points], [*seconds, *slow])


def _errors(now: datetime) -> RecentErrors:
    def group(name: str, kind: str, category: str, count: int, minutes: float, message: str) -> ErrorGroup:
        seen = now - timedelta(minutes=minutes)
        first = now - timedelta(hours=5)
        back = now - timedelta(minutes=30) if kind == "timeout" else None
        return ErrorGroup(
            name, kind, category, True, True, count, first, seen, message, "TimeoutError", ("POST /charge",), advise(kind), back
        )

    groups = (
        group("f1", "pool_exhausted", "resource", 412, 0.4, "no connection to <*> within 2 s"),
        group("f2", "timeout", "network", 37, 4.0, "bank did not answer within <*> ms"),
    )
    event = ErrorEvent(
        now, now, "default", "payment", "POST /charge", "resource", "pool_exhausted", 17, True, True, "f1", "a1b2c3", "d4e5",
        exception_type="TimeoutError", message="no connection to db-1 within 2 s", stack=STACK,
    )  # fmt: skip
    return RecentErrors(groups, (event,))


def _incidents(documents: Documents, now: datetime) -> None:
    for name, service, minutes, lasts in (
        ("i1", "payment", 24, None),
        ("i2", "checkout", 18, None),
        ("i0", "payment", 1500, 35),
    ):
        start = now - timedelta(minutes=minutes)
        end = None if lasts is None else start + timedelta(minutes=lasts)
        record = IncidentRecord(
            name,
            "default",
            service,
            WHOLE,
            start,
            start + timedelta(minutes=2),
            end,
            "rule",
            "resource",
            {"5min": 0.11, "15min": 0.2, "60min": 0.34},
        )
        documents.put("incidents", tenant_key("default", name), encode_document(record))
    put_group(documents, _group(now))
    put_edges(documents, ("checkout", "payment"), ("cart", "mail"))
    spots = (
        HotspotRecord("version", "2.4.1", "new", 390.0, 0.95, 0.0, 1100.0, int(now.timestamp()) - 1440),
        HotspotRecord("operation", "POST /charge", "grown", 400.0, 0.97, 0.55, 160.0, int(now.timestamp()) - 1440),
    )
    hotspots = HotspotsRecord("default", "payment", int(now.timestamp()), spots)
    documents.put("hotspots", tenant_key("default", "payment"), encode_document(hotspots))


def _group(now: datetime) -> GroupRecord:
    def ago(minutes: float) -> datetime:
        return now - timedelta(minutes=minutes)

    first = Evidence("first", "the first to fail, 6 min before the others", 22.0, "POST /charge", "f1")
    version = Evidence("version", "version 2.4.1 spoke first 3 min before", 9.0, version="2.4.1")
    no = Retry("no", 0.0, 1.0, 0.0, 0, "none")
    return replace(
        a_group("g1", incidents=("i1", "i2")),
        start=ago(24),
        detected_at=ago(22),
        services=(
            Affected("payment", ago(24), 412.0, 1),
            Affected("checkout", ago(18), 120.0, 2),
            Affected("cart", ago(12), 31.0, 3),
        ),
        causes=(Cause("payment", 0.82, (first, version)), Cause("checkout", 0.13, (first,))),
        predicted_before=(Forewarning("payment", ago(50), "60min", 0.34, 1560.0),),
        timeline=(
            Happening(ago(27), "version", "payment", "version 2.4.1 began to speak"),
            Happening(ago(24), "error", "payment", "errors above what is normal"),
            Happening(ago(18), "error", "checkout", "calls to payment fail"),
            Happening(ago(12), "symptom", "cart", "p95 of 1.9 s"),
        ),
        blast_radius=BlastRadius(3, 354.0, 0.21),
        similar=(LikeGroup("i0", ago(1500), ago(1465), 0.8, ("payment",), ("rolled back to 2.4.0",)),),
        plan=(
            Step(1, "payment", "Roll back to version 2.4.0", "the version came first", no),
            Step(2, "checkout", "Let retries drain", "calls wait for payment", None, Circuit("checkout", "payment")),
        ),
        recovery_expected_at=now + timedelta(minutes=14),
        recovery_seen=1,
        merged=("g0",),
        updated_at=now,
    )


def _models(node: Node, now: datetime) -> str:
    registry = node.registry("default")
    for hour in (1, 2, 3):
        add_version(registry, hour, ap=0.2 + hour / 20)
    first, second, _ = sorted(registry.versions(), key=lambda version: version.record.created_at)
    registry.promote(first.id, who="foreshock", why="passed the gate", at=now - timedelta(hours=30))
    registry.promote(second.id, who="foreshock", why="better beyond doubt", at=now - timedelta(hours=3))
    found = {
        name: Validation(900.0, rate, rate * 1.1, 0.14, 0.19, 0.03)
        for name, rate in (("5min", 0.01), ("15min", 0.03), ("60min", 0.09))
    }
    weights = {"batch": dict.fromkeys(found, 0.7), "online": dict.fromkeys(found, 0.2), "prior": dict.fromkeys(found, 0.1)}
    members = tuple(
        MemberRecord(name, weights.get(name, {}), found) for name in ("batch", "online", "prior", "blend", "served")
    )
    rival = RivalRecord(first.id, 14, -0.004, -0.011, 0.002, "open")
    record = LearningRecord(
        "default",
        now,
        second.id,
        86_400.0,
        members,
        12.0,
        10.4,
        340,
        5200,
        ("incidents begin more often than forecast",),
        rival,
    )
    documents = node.store.documents
    documents.put("learning", tenant_key("default", "*"), encode_document(record))
    return second.id


def _jobs(documents: Documents, now: datetime) -> None:
    start = now - timedelta(minutes=6)
    run = TrainingRun("t1", "running", start, start, progress=0.42, reason="new verdicts")
    documents.put("training-runs", tenant_key("default", "t1"), encode_document(run))
    scores = {"ap": 0.31, "auc": 0.88, "brier_skill": 0.12, "ece": 0.01, "base_rate": 0.02, "log_loss": 0.08}
    baselines = {"rate": {"ap": 0.2}, "recency": {"ap": 0.17}, "seasonal": {"ap": 0.05}}
    events = {"recall": 0.7, "precision": 0.6, "median_lead_s": 1380.0, "false_alarms_a_day": 1.8}
    report = {
        "horizons": {name: {**scores, "baselines": baselines} for name in ("5min", "15min", "60min")},
        "served_events": events,
        "test": [(now - timedelta(days=2)).isoformat(), now.isoformat()],
        "budget_per_day": 2.0,
        "notes": [],
    }
    done = BacktestRun("b1", "succeeded", start, ended_at=now, progress=1.0, reason="before the release", report=report)
    documents.put("backtests", tenant_key("default", "b1"), encode_document(done))


def _alerts(documents: Documents, now: datetime) -> None:
    for name, service, probability, state in (("a1", "payment", 0.61, "firing"), ("a2", "checkout", 0.38, "inhibited")):
        start = now - timedelta(minutes=9)
        alert = an_alert(
            name,
            service,
            state=state,
            rule="risk",
            group_id="g1",
            inhibited_by="a1" if state == "inhibited" else None,
            reasons=(SERVICES[service][1],),
            as_of=now,
            updated_at=now,
            started_at=start,
            fired_at=start,
            value=probability,
            probability=probability,
            horizon="60min",
            threshold=0.4,
        )
        documents.put("alerts", tenant_key("default", name), encode_document(alert))
    threshold = ThresholdRecord(
        "default", "predictions", 2.0, 0.31, 0.217, "history", now - timedelta(hours=3), days=9.0, pages=17
    )
    documents.put("thresholds", tenant_key("default", "predictions"), encode_document(threshold))


def _history(node: Node, now: datetime) -> None:
    end = int(now.timestamp()) // 60 * 60
    rng = np.random.default_rng(1)
    windows, predictions = [], []
    for service, (risk, _, status) in SERVICES.items():
        for minute in range(360):
            start = end - 60 * (360 - minute)
            late = minute > 335 and service == "payment"
            histogram = np.zeros(len(BUCKETS) + 1)
            histogram[8 if late else 6], histogram[3] = 12.0, 100.0
            numbers = {"total": 118.0, "failed": 4.0, "errors": float(rng.poisson(6 if late else 0.4)), "duration_sum_s": 0.6}
            row: dict[str, object] = {**dict.fromkeys(SCHEMAS["windows"].names, 0.0), **numbers}
            row |= {"tenant": "default", "service": service, "operation": WHOLE, "window": start, "received": start + 60}
            windows.append(row | {"histogram": histogram.tolist(), "partition": 0, "offset": minute + 2})
            chance = risk * (0.15 + 0.85 * max(0.0, (minute - 240) / 120)) * (0.8 + 0.4 * rng.random())
            begun = minute >= 360 - DETECTED_MIN.get(service, 0)
            said = status if begun or status != "in_incident" else "ok"
            of = {"tenant": "default", "service": service, "operation": WHOLE, "as_of": start + 60, "status": said}
            chances = {"p5": chance / 4, "p15": chance / 2, "p60": min(chance, 1.0)}
            sides = {"errors_lower": 0.0, "errors_upper": 2.0, "latency_lower": 0.004, "latency_upper": 0.0062}
            predictions.append(
                of | chances | sides | {"model_version": "v2", "id": f"{service}{minute}", "partition": 0, "offset": minute + 2}
            )
    facts = [
        {"tenant": "default", "service": "payment", "window": end - 60 * ago, "received": end - 60 * ago, "kind": "version", "name": name, "value": 1.0, "partition": 0, "offset": 500}
        for name, ago in (("2.4.0", 350), ("2.4.1", 27))
    ]  # fmt: skip
    tables = {"windows": windows, "predictions": predictions, "facts": facts}
    node.history.append({name: pa.Table.from_pylist(rows, rows_schema(name)) for name, rows in tables.items()}, {0: 1000})
