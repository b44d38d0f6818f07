"""Runs show how far they are, and why they failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.cache.records import TrainingRun
from app.dashboard.runs import progress_of, runs_table

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_run_shows_its_progress_and_a_failed_one_why() -> None:
    running = TrainingRun("r", "running", NOON, NOON, progress=0.5)
    failed = TrainingRun("f", "failed", NOON, NOON, NOON + timedelta(minutes=2), error="too few incidents")
    assert 'aria-valuenow="50"' in progress_of(running)
    assert "too few incidents" in progress_of(failed)
    shown = runs_table([running, failed, TrainingRun("q", "queued", NOON, model_version="v1")])
    assert shown.count("<tr>") == 4
    assert "2 min" in shown
    assert "<code>v1</code>" in shown
