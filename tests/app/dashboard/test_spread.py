"""The graph of a spread knows at every moment of the timeline who was reached, and along which calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from app.cache.group_records import Affected, GroupRecord
from app.dashboard.spread import Call, frames, spread
from tests.api_builders import NOON
from tests.group_builders import a_group

HITS = tuple(Affected(name, NOON + timedelta(minutes=5 * place), 10.0 / (place + 1), place) for place, name in enumerate("abc"))


def a_spread(hits: tuple[Affected, ...] = HITS) -> GroupRecord:
    return replace(a_group(), services=hits)


def nodes_of(frame: dict[str, Any]) -> list[str]:
    return [node["itemStyle"]["color"] for node in frame["options"]["series"][0]["data"]]


def arrows_of(group: GroupRecord, *calls: Call, at: int = -1) -> list[tuple[str, str, str, float]]:
    shown: list[Any] = frames(group, calls)
    links = shown[at]["options"]["series"][0]["links"]
    return [(one["source"], one["target"], one["lineStyle"]["type"], one["lineStyle"]["opacity"]) for one in links]


def test_services_light_up_one_after_the_other() -> None:
    shown: list[Any] = frames(a_spread())
    assert [nodes_of(frame) for frame in shown] == [
        ["--high-fill", "--line", "--line"],
        ["--high-fill", "--middle-fill", "--line"],
        ["--high-fill", "--middle-fill", "--middle-fill"],
    ]


def test_arrows_lead_from_who_is_called_to_who_calls() -> None:
    found = arrows_of(a_spread(), ("c", "a"), ("b", "a"), ("b", "elsewhere"), ("a", "a"))
    assert found == [("a", "b", "solid", 1.0), ("a", "c", "solid", 1.0)]


def test_an_arrow_is_faint_until_both_its_ends_were_reached() -> None:
    assert arrows_of(a_spread(), ("b", "a"), ("c", "b"), at=1) == [("a", "b", "solid", 1.0), ("b", "c", "solid", 0.15)]


def test_without_a_known_call_arrows_lead_to_the_next_in_time() -> None:
    assert arrows_of(a_spread(HITS[::-1])) == [("a", "b", "dashed", 1.0), ("b", "c", "dashed", 1.0)]
    assert arrows_of(a_spread(), ("b", "a")) == [("a", "b", "solid", 1.0), ("b", "c", "dashed", 1.0)]


def test_a_group_without_services_is_drawn_empty() -> None:
    assert frames(a_spread(())) == []
    assert spread(a_spread(())).size == "tall"
