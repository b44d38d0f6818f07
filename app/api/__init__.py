"""The REST API: predictions, anomalies, errors, incidents, feedback, training runs, models, health and metrics."""

from app.api.application import create_api
from app.api.parts import ApiParts, Health, TrainingRequest

__all__ = ["ApiParts", "Health", "TrainingRequest", "create_api"]
