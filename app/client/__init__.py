"""A client in Python: everything that the REST API does, frames where lists come back, and history as frames without a service."""

from app.client.events import (
    AlertEvent,
    AnomalyEvent,
    DroppedEvent,
    Event,
    GroupEvent,
    IncidentEvent,
    ModelEvent,
    PredictionEvent,
)
from app.client.failures import (
    NoAnswer,
    NotAllowed,
    NotFound,
    NotReached,
    Problem,
    Refused,
    RunFailed,
    StillWaiting,
    Unavailable,
    UnknownAnswer,
)
from app.client.foreshock import AsyncForeshock, Foreshock
from app.client.past import History, history
from app.client.retries import Retries
from features.errors import ForeshockError, InvalidValue

__all__ = [
    "AlertEvent",
    "AnomalyEvent",
    "AsyncForeshock",
    "DroppedEvent",
    "Event",
    "Foreshock",
    "ForeshockError",
    "GroupEvent",
    "History",
    "IncidentEvent",
    "InvalidValue",
    "ModelEvent",
    "NoAnswer",
    "NotAllowed",
    "NotFound",
    "NotReached",
    "PredictionEvent",
    "Problem",
    "Refused",
    "Retries",
    "RunFailed",
    "StillWaiting",
    "Unavailable",
    "UnknownAnswer",
    "history",
]
