"""The REST API: predictions, anomalies, errors, incidents, feedback, training runs, models, health and metrics.

Nothing is imported here, so that `app.client` can share the wire models without the web framework.
"""
