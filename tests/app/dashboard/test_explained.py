"""What a URL asks about an alert that did not fire is asked of REST, and answered for every route."""

from __future__ import annotations

from app.dashboard.explained import Explanation, asked_of, explained_panel
from app.dashboard.rest import Rest
from app.dashboard.sources import View
from tests.app.dashboard.loops import finished
from tests.app.dashboard.sources import sources_of
from tests.nodes import RunningNode


def test_a_time_without_a_zone_is_utc_and_every_route_answers(shop: RunningNode) -> None:
    rest = Rest(sources_of(shop).rest, "default")
    found = finished(asked_of(rest, {"explain": " mail ", "at": "2026-03-02T12:00"}))
    assert found.answer is not None
    assert (found.service, found.answer["at"]) == ("mail", "2026-03-02T12:00:00Z")
    shown = explained_panel(View("default"), found)
    assert 'value="2026-03-02T12:00"' in shown
    assert "no data" in shown
    assert "nothing was predicted of it" in shown
    assert finished(asked_of(rest, {"explain": "mail", "at": "2026-03-02T12:00:00Z"})).answer is not None


def test_what_is_asked_wrong_is_refused_in_the_words_of_rest(shop: RunningNode) -> None:
    rest = Rest(sources_of(shop).rest, "default")
    found = finished(asked_of(rest, {"explain": "<mail>", "at": "yesterday"}))
    assert found.refusal
    shown = explained_panel(View("team-a", "default"), found)
    assert 'value="&lt;mail&gt;"' in shown
    assert 'name="tenant"' in shown


def test_nothing_is_asked_without_a_service(shop: RunningNode) -> None:
    rest = Rest(sources_of(shop).rest, "default")
    assert finished(asked_of(rest, {"at": "2026-03-02T12:00"})) == Explanation()
    assert "<table" not in explained_panel(View("default"), Explanation())
