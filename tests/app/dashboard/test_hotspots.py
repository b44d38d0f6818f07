"""Hotspots say which part grew, from what to what, and how sure that is."""

from __future__ import annotations

from app.cache.symptom_records import HotspotRecord, HotspotsRecord
from app.dashboard.hotspots import hotspots_panel


def test_a_part_is_shown_with_both_shares_and_its_ratio() -> None:
    spot = HotspotRecord("version", "<2.4.1>", "grown", 390.0, 0.95, 0.1, 1100.2, 1_772_452_800)
    shown = hotspots_panel(HotspotsRecord("default", "payment", 1_772_453_400, (spot,)))
    for text in ("&lt;2.4.1&gt;", "grown", "95 %", "10 %", "1,100", "390", "2026-03-02 12:00:00 UTC", "log-likelihood ratio"):
        assert text in shown


def test_without_any_it_says_so() -> None:
    assert "makes up more of its errors than before" in hotspots_panel(None)
    assert "makes up more" in hotspots_panel(HotspotsRecord("default", "payment", 1_772_453_400))
