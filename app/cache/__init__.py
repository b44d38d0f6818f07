"""The documents that the worker publishes and the reads that the API makes of them."""

from app.cache.cache import Cache, PredictionHead, RiskOrder

__all__ = ["Cache", "PredictionHead", "RiskOrder"]
