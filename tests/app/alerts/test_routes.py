"""What routes of settings take."""

from __future__ import annotations

import pytest

from app.alert_settings import AlertRouteSettings, AlertSettings
from app.alerts.routes import Route, routes_of
from features.errors import InvalidSetting


def test_without_settings_predictions_and_incidents_are_looked_at_in_shadow() -> None:
    routes = routes_of(AlertSettings(), [])
    assert [(route.name, route.on, route.shadow, route.channels) for route in routes] == [
        ("predictions", "prediction", True, ()),
        ("incidents", "incident", True, ()),
    ]


def test_a_route_that_names_a_channel_that_there_is_not_stops_the_start() -> None:
    settings = AlertSettings(routes=(AlertRouteSettings(name="pages", channels=("mail", "pager")),))
    with pytest.raises(InvalidSetting, match=r"'pages'.*\['pager'\]"):
        routes_of(settings, ["mail"])


def test_a_route_takes_whole_services_that_its_selector_fits() -> None:
    route = Route.of(AlertRouteSettings(name="pay", selector={"service": "pay*", "tenant": "!test"}))
    assert route.selects("default", "payment", "*")
    assert not route.selects("default", "payment", "POST /charge")
    assert not route.selects("default", "cart", "*")
    assert not route.selects("test", "payment", "*")
    assert Route.of(AlertRouteSettings(name="all", operations=True)).selects("test", "cart", "GET /")


def test_its_own_labels_can_be_selected_by_and_those_of_the_series_win() -> None:
    route = Route("pages", labels={"severity": "page", "service": "x"})
    assert route.labels_of("red", "cart", "*") == {
        "alertname": "pages",
        "tenant": "red",
        "service": "cart",
        "operation": "*",
        "on": "prediction",
        "generator": "foreshock",
        "severity": "page",
    }
