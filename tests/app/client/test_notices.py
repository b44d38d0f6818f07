"""Calls about alerts and silences, asked of a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.client import Foreshock
from tests.nodes import RunningNode


def test_alerts_are_listed_shown_and_acknowledged(foreshock: Foreshock) -> None:
    assert set(foreshock.alerts()["id"]) == {"a1", "a2"}
    assert list(foreshock.alerts(state=["inhibited", "pending"], shadow=False)["inhibited_by"]) == ["a1"]
    assert foreshock.alert("a1").threshold == 0.4
    acknowledged = foreshock.acknowledge("a1", who="ana")
    assert (acknowledged.state, acknowledged.acknowledged_by) == ("acknowledged", "ana")
    assert foreshock.acknowledge("a1", who="ben") == acknowledged
    assert list(foreshock.alerts(state="acknowledged")["acknowledged_by"]) == ["ana"]


def test_why_a_route_did_not_fire_is_said(foreshock: Foreshock, shop: RunningNode) -> None:
    at = datetime.fromtimestamp(shop.now_ns / 1e9, UTC) - timedelta(days=30)
    explained = foreshock.explain_alerts("payment", at=at)
    assert explained.at == at
    assert {route.route for route in explained.routes} == set(foreshock.alert_routes()["name"])


def test_a_silence_is_made_listed_and_ended(foreshock: Foreshock) -> None:
    end = datetime.now(UTC) + timedelta(hours=2)
    matchers = [{"label": "service", "pattern": "mail*"}]
    silence = foreshock.silence(matchers, end=end, author="ana", repeats="week", zone="Europe/Berlin")  # pyright: ignore[reportArgumentType] - what a notebook writes
    assert (silence.in_force, silence.zone, silence.matchers[0].equal) == (True, "Europe/Berlin", True)
    assert silence.id in set(foreshock.silences(state="in_force")["id"])
    assert foreshock.end_silence(silence.id, who="ben").ended_by == "ben"
    assert silence.id not in set(foreshock.silences(state="in_force")["id"])


def test_routes_of_alerts_show_budget_and_what_they_did(foreshock: Foreshock) -> None:
    routes = foreshock.alert_routes()
    assert list(routes["on"]) == ["prediction", "incident"]
    assert str(routes["lately_since"].dtype) == "datetime64[us, UTC]"
    assert list(routes["budget_per_day"]) == [2.0, 2.0]
