"""Settings of alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import load_settings
from features.errors import InvalidSetting


def test_routes_are_read_from_tables(tmp_path: Path) -> None:
    config = tmp_path / "foreshock.toml"
    config.write_text(
        """
        [alerts]
        external_url = "https://foreshock.example.com"
        [[alerts.routes]]
        name = "pay"
        selector = { service = "pay*" }
        budget_per_day = 0.5
        shadow = false
        channels = ["mail"]
        [[alerts.routes]]
        name = "truth"
        on = "incident"
        """
    )
    routes = load_settings(config).alerts.routes
    assert [(one.name, one.selector, one.budget_per_day, one.shadow) for one in routes] == [
        ("pay", {"service": "pay*"}, 0.5, False),
        ("truth", {}, 2.0, True),
    ]


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ([{"name": "a"}, {"name": "a"}], "names of their own"),
        ([{"name": "a b"}], "routes.0.name"),
        ([{"name": "a", "budget_per_day": 0}], "budget_per_day"),
        ([{"name": "a", "on": "mood"}], "routes.0.on"),
    ],
)
def test_a_route_that_cannot_be_stops_the_start(routes: list[dict[str, object]], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        load_settings(None, **{"alerts.routes": routes})
