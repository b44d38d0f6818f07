"""Everything that the API does, by the names of methods; both clients have it from here."""

from __future__ import annotations

from app.client import access, forecasts, health, notices, troubles
from app.client import learning as runs
from app.client import verdicts as said
from app.client.methods import Method

__all__ = ["Table"]


class Table:
    """The calls of both clients. Of the blocking one they return their result, of the other one something to await."""

    services = Method(forecasts.services)
    predictions = Method(forecasts.predictions)
    prediction = Method(forecasts.prediction)
    newer_prediction = Method(forecasts.newer_prediction)
    explanation = Method(forecasts.explanation)
    anomalies = Method(forecasts.anomalies)
    trends = Method(forecasts.trends)
    errors = Method(forecasts.errors)
    error_events = Method(forecasts.error_events)
    classify = Method(forecasts.classify)
    graph = Method(forecasts.graph)
    hotspots = Method(forecasts.hotspots)

    incidents = Method(troubles.incidents)
    incident = Method(troubles.incident)
    groups = Method(troubles.groups)
    group = Method(troubles.group)
    post_step = Method(troubles.post_step)
    take_alerts = Method(troubles.take_alerts)

    feedback = Method(said.feedback)
    feedback_batch = Method(said.feedback_batch)
    undo = Method(said.undo)
    verdict = Method(said.verdict)
    verdicts = Method(said.verdicts)
    impact = Method(said.impact)

    train = Method(runs.train)
    training_runs = Method(runs.training_runs)
    training_run = Method(runs.training_run)
    wait_for_training = Method(runs.wait_for_training)
    start_backtest = Method(runs.start_backtest)
    backtests = Method(runs.backtests)
    backtest = Method(runs.backtest)
    backtest_page = Method(runs.backtest_page)
    wait_for_backtest = Method(runs.wait_for_backtest)
    models = Method(runs.models)
    model = Method(runs.model)
    promote = Method(runs.promote)
    rollback = Method(runs.rollback)
    compare = Method(runs.compare)
    learning = Method(runs.learning)

    alerts = Method(notices.alerts)
    alert = Method(notices.alert)
    explain_alerts = Method(notices.explain_alerts)
    acknowledge = Method(notices.acknowledge)
    silences = Method(notices.silences)
    silence = Method(notices.silence)
    end_silence = Method(notices.end_silence)
    alert_routes = Method(notices.alert_routes)

    tokens = Method(access.tokens)
    create_token = Method(access.create_token)
    rotate_token = Method(access.rotate_token)
    revoke_token = Method(access.revoke_token)
    audit = Method(access.audit)

    nodes = Method(health.nodes)
    livez = Method(health.livez)
    readyz = Method(health.readyz)
    metrics = Method(health.metrics)
    openapi = Method(health.openapi)
