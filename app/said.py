"""What people said, from the documents that the API keeps, as training takes it.

`app.jobs` and `app.folder` read it before a run; a verdict on a prediction that was replaced finds its series
and time in history.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pyarrow.compute as pc

from app.cache.documents import decode_document, tenant_key
from app.cache.records import FeedbackRecord, IncidentRecord
from app.history.contract import History
from app.renewal import tick_id
from app.settings import FeedbackSettings
from app.store.contract import Documents
from features.errors import InvalidValue
from features.incident import Incident
from features.series import SeriesKey
from models.feedback import Feedback, Stretch
from models.prediction import HORIZONS
from training.labels import FeedbackPlan, Said

__all__ = ["LOOKED_BACK", "feedback_of", "feedback_plan", "reported_of", "resolved", "said_of"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

LOOKED_BACK = timedelta(days=14)
"""How long after a prediction a verdict on it is still joined with it, where it was replaced meanwhile. Guessed: a review every other week."""

_PART_S = 6 * 3600  # guessed: the predictions of 1,000 series fit some ten MB


def said_of(documents: Documents, tenant: str, plan: FeedbackPlan) -> Said:
    """Return what people of a tenant said, and what their alerting reported."""
    return Said(feedback_of(documents, tenant), reported_of(documents, tenant), plan)


def feedback_of(documents: Documents, tenant: str) -> tuple[Feedback, ...]:
    """Return what people of a tenant said and took back, in the order in which they did; what cannot be read is left out."""
    said = _readable(documents, "feedback", tenant, lambda value: decode_document(value, FeedbackRecord).feedback())
    return tuple(sorted(said, key=lambda one: (one.at, one.id)))


def reported_of(documents: Documents, tenant: str) -> tuple[Incident, ...]:
    """Return a tenant's incidents that were reported from outside, by start; those of the rule are found anew in history."""
    found = _readable(documents, "incidents", tenant, lambda value: _incident(decode_document(value, IncidentRecord)))
    return tuple(sorted((one for one in found if one.source != "rule"), key=lambda one: (one.start, one.id)))


def _readable(documents: Documents, bucket: str, tenant: str, read: Callable[[bytes], T]) -> list[T]:
    """Read the documents of a tenant; one that a later release wrote, or that holds what it must not, stops no training."""
    found: list[T] = []
    for document in documents.items(bucket, tenant_key(tenant, "")):
        try:
            found.append(read(document.value))
        except InvalidValue as exc:
            logger.warning("%s %s is left out: %s", bucket, document.key, exc)
    return found


def _incident(r: IncidentRecord) -> Incident:
    return Incident(r.id, SeriesKey(r.tenant, r.service, r.operation), r.start, r.detected_at, r.end, r.source, r.category)


def feedback_plan(settings: FeedbackSettings) -> FeedbackPlan:
    """Return how verdicts weigh by the settings."""
    return FeedbackPlan(settings.time_zone, settings.false_alarm_weight, settings.max_weight, settings.half_life_days * 86_400)


def resolved(said: Said, history: History, tenant: str) -> Said:
    """Give verdicts on predictions that were gone when they came the series and time that history knows of them.

    A prediction is looked for in the `LOOKED_BACK` before the verdict on it, a few hours of history at a time.
    """
    wanted = [one for one in said.feedback if one.prediction is not None and one.stretch is None and one.undoes is None]
    ids = {tick_id(one.prediction) for one in wanted if one.prediction is not None}
    found: dict[str, Stretch] = {}
    for begin_s in sorted({begin_s for one in wanted for begin_s in _parts_before(one.at)}, reverse=True):
        missing = ids - found.keys()
        if missing:
            found |= _predicted(history, tenant, begin_s, missing)
    return replace(said, feedback=tuple(_with_stretch(one, found) for one in said.feedback))


def _parts_before(at: datetime) -> range:
    """Return the unix seconds at which the parts of history begin that may hold a prediction that was spoken of."""
    last = int(at.timestamp()) // _PART_S
    return range((last - int(LOOKED_BACK.total_seconds()) // _PART_S) * _PART_S, (last + 1) * _PART_S, _PART_S)


def _predicted(history: History, tenant: str, begin_s: int, wanted: set[str]) -> dict[str, Stretch]:
    """Return by id what some predictions spoke of, of those in one part of history."""
    columns = ["id", "service", "operation", "as_of"]
    table = history.read("predictions", since=begin_s, until=begin_s + _PART_S, tenant=tenant, columns=columns)
    rows = table.filter(pc.field("id").isin(sorted(wanted))).to_pylist()
    return {row["id"]: _stretch(SeriesKey(tenant, row["service"], row["operation"]), row["as_of"]) for row in rows}


def _stretch(series: SeriesKey, as_of_s: int) -> Stretch:
    start = datetime.fromtimestamp(as_of_s, UTC)
    return Stretch(series, start, start + timedelta(seconds=max(HORIZONS.values())))


def _with_stretch(one: Feedback, found: Mapping[str, Stretch]) -> Feedback:
    known = found.get(tick_id(one.prediction or ""))
    return one if known is None or one.stretch is not None or one.undoes is not None else replace(one, stretch=known)
