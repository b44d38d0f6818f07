"""The graph of a spread knows at every moment of the timeline who was reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.dashboard.joined import Group, Hit
from app.dashboard.spread import frames, spread

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HITS = tuple(Hit(name, NOON + timedelta(minutes=5 * place), 10.0 / (place + 1), place) for place, name in enumerate("abc"))


def nodes_of(frame: dict[str, Any]) -> list[str]:
    return [node["itemStyle"]["color"] for node in frame["options"]["series"][0]["data"]]


def test_services_light_up_one_after_the_other() -> None:
    shown: list[Any] = frames(Group("g", NOON, services=HITS))
    assert [nodes_of(frame) for frame in shown] == [
        ["--high-fill", "--line", "--line"],
        ["--high-fill", "--middle-fill", "--line"],
        ["--high-fill", "--middle-fill", "--middle-fill"],
    ]


def test_arrows_lead_from_each_to_the_next_in_time() -> None:
    shown: list[Any] = frames(Group("g", NOON, services=HITS[::-1]))
    links = shown[-1]["options"]["series"][0]["links"]
    assert [(link["source"], link["target"]) for link in links] == [("a", "b"), ("b", "c")]


def test_a_group_without_services_is_drawn_empty() -> None:
    assert frames(Group("g", NOON)) == []
    assert spread(Group("g", NOON)).size == "tall"
