"""Forecasts: learners, baselines, blend, explanation, anomaly, and the registry of what was fitted."""
