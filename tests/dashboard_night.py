"""A service at 3 a.m.: an incident is open, history has a hole and ends some minutes ago, and no error at all was normal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from app.cache.documents import encode_document, tenant_key
from app.cache.records import IncidentRecord
from app.cache.trend_records import SINGLE, TrendRecord
from app.history.tables import SCHEMAS, rows_schema
from app.main import Node
from app.store.contract import Documents
from features.batch import BUCKETS
from features.series import WHOLE
from models.prediction import AnomalyScore, Chance, Prediction
from tests.dashboard_seed import prediction_of, put_service_of

__all__ = [
    "BEGAN_MIN",
    "HOLE_MIN",
    "SILENT_MIN",
    "TENANT",
    "WRITTEN_MIN",
    "an_incident",
    "night_of",
    "put_incident",
    "put_night",
]

TENANT = "night"
BEGAN_MIN = 4
"""Minutes since the incident began."""
WRITTEN_MIN = 5
"""Minutes since history was written last."""
HOLE_MIN = (40, 28)
"""Between so many minutes ago no node ran."""
SILENT_MIN = (20, 16)
"""Between so many minutes ago a node ran and no request came."""


def night_of(minute: int, tenant: str = TENANT) -> Prediction:
    """Return the prediction of a whole minute: the prior, within an incident, without a reason."""
    as_of = datetime.fromtimestamp(minute, UTC)
    found = prediction_of("payment", 0.97, "", "in_incident", as_of, tenant=tenant)
    chances = {"5min": Chance(0.84, 0.4, 0.98), "15min": Chance(0.93, 0.64, 0.995), "60min": Chance(0.97, 0.74, 0.996)}
    anomaly = AnomalyScore(0.9999, 23.0, 0.0, 0.0, 0.0, as_of - timedelta(minutes=3))
    return replace(found, horizons=chances, anomaly=anomaly, model_version="prior")


def an_incident(began: datetime) -> IncidentRecord:
    """Return an open incident of the service."""
    told = {"5min": 0.01, "15min": 0.03, "60min": 0.11}
    return IncidentRecord("n1", TENANT, "payment", WHOLE, began, began + timedelta(minutes=2), None, "rule", "network", told)


def put_incident(documents: Documents, record: IncidentRecord) -> None:
    """Publish an incident."""
    documents.put("incidents", tenant_key(record.tenant, record.id), encode_document(record))


def put_night(node: Node, minute: int, tenant: str = TENANT, partition: int = 4) -> None:
    """Let a node hold the night as of a whole minute; each tenant needs a partition of its own, since history takes a row of one once."""
    documents, now = node.store.documents, datetime.fromtimestamp(minute, UTC)
    put_incident(documents, replace(an_incident(now - timedelta(minutes=BEGAN_MIN)), tenant=tenant))
    put_service_of(documents, night_of(minute, tenant))
    documents.put("trends", tenant_key(tenant, "payment", WHOLE), encode_document(_trend(now, tenant)))
    _history(node, minute, tenant, partition)


def _trend(now: datetime, tenant: str) -> TrendRecord:
    single = [{"level": 23.0, "usual": 0.0}.get(name) for name in SINGLE]
    ahead = [value for m in (5, 15, 30, 60) for value in (60.0 * m, 23.0 - m / 4, 18.0 - m / 4, 27.0, 0.0, 5.0)]
    return TrendRecord(tenant, "payment", WHOLE, now, now + timedelta(hours=1), "in_incident", [*single, *ahead], None)


def _history(node: Node, minute: int, tenant: str, partition: int) -> None:
    rng = np.random.default_rng(1)
    windows, predictions = [], []
    for ago in range(60, WRITTEN_MIN - 1, -1):
        if HOLE_MIN[1] <= ago < HOLE_MIN[0]:
            continue
        of = {"tenant": tenant, "service": "payment", "operation": WHOLE, "partition": partition, "offset": 100 - ago}
        chance = 0.02 + 0.01 * float(rng.random())
        predictions.append(
            {**dict.fromkeys(rows_schema("predictions").names), **of}
            | {"as_of": minute - 60 * ago, "status": "prior", "p5": chance / 4, "p15": chance / 2, "p60": chance}
            | {"errors_lower": 0.0, "errors_upper": 0.0, "latency_lower": 0.02, "latency_upper": 0.06}
        )
        if SILENT_MIN[1] <= ago < SILENT_MIN[0]:
            continue
        histogram = np.zeros(len(BUCKETS) + 1)
        histogram[6], histogram[3] = 12.0, 100.0
        total = 110.0 + float(rng.integers(0, 20))
        row = {**dict.fromkeys(SCHEMAS["windows"].names, 0.0), "total": total, "duration_sum_s": 0.04 * total}
        start = minute - 60 * (ago + 1)
        windows.append(row | of | {"window": start, "received": start + 60, "histogram": histogram.tolist()})
    tables = {"windows": windows, "predictions": predictions}
    node.history.append(
        {name: pa.Table.from_pylist(rows, rows_schema(name)) for name, rows in tables.items()}, {partition: 100}
    )
