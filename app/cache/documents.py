"""The documents that the worker publishes and the API reads: their buckets, keys and bytes.

`app.flow` calls the encoders for what a tick made; `app.store` carries the bytes; `app.cache.cache`
decodes them. A key leads with the tenant, and every later part is percent-encoded, so that no name
from outside can reach into another part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast
from urllib.parse import quote

import msgspec

from app.cache.records import NOTHING, Explanation, IncidentRecord, Known, PredictionRecord
from features.errors import InvalidValue
from features.incident import Incident
from features.series import SeriesKey
from models.prediction import Prediction
from models.version import ModelVersion

__all__ = [
    "BUCKETS",
    "NAME_TTL_S",
    "decode_document",
    "encode_document",
    "incident_document",
    "prediction_document",
    "prediction_key",
    "tenant_key",
]

BUCKETS = (
    "predictions",
    "services",
    "trends",
    "errors",
    "incidents",
    "feedback",
    "models",
    "training-runs",
    "backtests",
    "learning",
    "groups",
    "alerts",
    "silences",
)
"""Buckets that the API watches."""

NAME_TTL_S = 7 * 86_400.0
"""Seconds for which documents of names that are gone stay, a week. Guessed."""

T = TypeVar("T")


def tenant_key(tenant: str, *parts: str) -> str:
    """Return the key of a document: the tenant, then the parts, each percent-encoded.

    Examples
    --------
    >>> tenant_key("default", "shop/payment", "POST /charge")
    'default/shop%2Fpayment/POST%20%2Fcharge'
    >>> tenant_key("default", "")
    'default/'
    """
    return "/".join(quote(part, safe="") for part in (tenant, *parts))


def prediction_key(series: SeriesKey) -> str:
    """Return the key of a series' newest prediction.

    Examples
    --------
    >>> prediction_key(SeriesKey("default", "payment", "*"))
    'default/payment/%2A'
    """
    return tenant_key(series.tenant, series.service, series.operation)


def prediction_document(prediction: Prediction, explanation: Explanation | None = None, known: Known = NOTHING) -> bytes:
    """Encode a Prediction and its explanation for the bucket ``predictions``.

    Parameters
    ----------
    prediction : Prediction
        As `models.blend` and `models.explain` made it.
    explanation : Explanation, optional
        What lies behind it; only the riskiest series are explained.
    known : Known
        Who served and what people had said when it was made.

    Returns
    -------
    bytes
        JSON; `decode_document` with `PredictionRecord` reads it.
    """
    series = prediction.series
    return encode_document(
        PredictionRecord(
            id=prediction.id,
            tenant=series.tenant,
            service=series.service,
            operation=series.operation,
            as_of=prediction.as_of,
            status=prediction.status,
            horizons=prediction.horizons,
            categories=prediction.categories,
            reasons=prediction.reasons,
            anomaly=prediction.anomaly,
            model_version=prediction.model_version,
            expires_at=prediction.expires_at,
            explanation=explanation,
            serving=known.serving,
            feedback=known.feedback,
        )
    )


def incident_document(incident: Incident, predicted: Mapping[str, float] | None = None) -> bytes:
    """Encode an Incident and what was predicted at its start for the bucket ``incidents``.

    Parameters
    ----------
    incident : Incident
        Found by the rule or reported.
    predicted : Mapping[str, float], optional
        Probability by horizon that was the newest at the start.

    Returns
    -------
    bytes
        JSON; `decode_document` with `IncidentRecord` reads it.
    """
    series = incident.series
    return encode_document(
        IncidentRecord(
            id=incident.id,
            tenant=series.tenant,
            service=series.service,
            operation=series.operation,
            start=incident.start,
            detected_at=incident.detected_at,
            end=incident.end,
            source=incident.source,
            category=incident.category,
            predicted=predicted,
        )
    )


def encode_document(record: object) -> bytes:
    """Encode a record as JSON; times become RFC 3339, NaN becomes null.

    Examples
    --------
    >>> from app.cache.records import RecentErrors
    >>> encode_document(RecentErrors())
    b'{"groups":[],"events":[]}'
    """
    return msgspec.json.encode(record)


def decode_document(value: bytes, kind: type[T]) -> T:
    """Decode JSON into a record.

    Raises
    ------
    InvalidValue
        When the bytes are not such a document.

    Examples
    --------
    >>> from app.cache.records import RecentErrors
    >>> decode_document(b'{"groups":[],"events":[]}', RecentErrors)
    RecentErrors(groups=(), events=())
    """
    try:
        if kind is ModelVersion:  # the registry has a form of its own, in which a score may be NaN
            return cast("T", ModelVersion.from_json(value))
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError) as exc:
        raise InvalidValue(f"not a {kind.__name__}: {exc}") from exc
