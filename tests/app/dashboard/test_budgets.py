"""Routes are shown with what they may spend and what that comes to, as REST lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.dashboard.budgets import budgets_panel

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATELY = {"since": "2026-03-01T12:00:00Z", "alerts": 3, "pages": 1, "pages_per_day": 0.5, "in_incident_within_hour": 2}
FITTED = {"pages": 17, "days": 9.0, "fitted_at": "2026-03-02T12:00:00Z"}


def a_route(**given: Any) -> dict[str, Any]:
    named = {"name": "pages", "on": "prediction", "horizon": "15min", "matchers": [], "budget_per_day": 2.0, "shadow": True}
    told = {"threshold": 0.31, "threshold_basis": "history", "fitted": FITTED, "channels": [], "lately": LATELY}
    return named | told | given


def test_a_route_in_shadow_says_what_it_would_have_done() -> None:
    shown = budgets_panel([a_route()], NOON)
    assert 'read <time class="age" datetime="2026-03-02T12:00:00+00:00"' in shown
    for text in ("prediction within 15 min", "all services", "2 pages a day", "31 %", "17 pages over 9 days", "in shadow"):
        assert text in shown
    assert "would have opened 1 page, 0.5 a day" in shown
    assert "2 of 3 alerts in an incident within the hour" in shown


def test_thresholds_that_no_budget_decides_say_what_does() -> None:
    assert "until there is history enough" in budgets_panel([a_route(threshold_basis="default", fitted=None)], NOON)
    assert "as the settings say" in budgets_panel([a_route(threshold_basis="fixed", fitted=None)], NOON)
    matcher = {"label": "service", "pattern": "pay*", "equal": False}
    shown = budgets_panel([a_route(on="incident", threshold=None, shadow=False, matchers=[matcher], channels=["mail"])], NOON)
    assert "service is not pay*" in shown
    assert "mail" in shown
    assert "would have" not in shown
    assert "no channel" in budgets_panel([a_route(shadow=False, lately=LATELY | {"alerts": 0})], NOON)
