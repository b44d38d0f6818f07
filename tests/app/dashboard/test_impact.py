"""What feedback changed is shown as REST says it, also before any training had some."""

from __future__ import annotations

from datetime import UTC, datetime

from app.dashboard.impact import impact_panel

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_before_any_run_it_says_what_waits() -> None:
    shown = impact_panel(
        {"standing": 2, "waiting": 2, "note": "none yet", "ended_at": None, "labels": None, "scores": None}, NOON
    )
    assert "2 verdicts stand, 2 of them wait" in shown
    assert "none yet" in shown


def test_after_one_it_says_labels_and_scores() -> None:
    labels = {"incidents_added": 1, "incidents_removed": 2, "rows_relabelled": 30, "rows_left_out": 4, "rows_weighed": 5}
    effect = {"kind": "better", "difference": -0.0123, "rows": 900}
    impact = {"ended_at": "2026-03-02T12:00:00Z", "labels": labels, "scores": {"agreed": None, "as_labelled": effect}}
    shown = impact_panel(impact, NOON)
    assert "1 incidents added and 2 removed, 30 rows with another outcome" in shown
    assert "-0.0123 nats a row with it, on 900 held-out rows" in shown
    assert 'data-status="good"' in shown
    assert "not measured" in impact_panel({"scores": {"as_labelled": effect | {"difference": None}}}, NOON)
