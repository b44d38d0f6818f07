"""Buttons are shown to those who may use them."""

from __future__ import annotations

import pytest

from app.auth import ANYONE, Principal, Scope
from app.auth.needs import API, NEEDS
from app.dashboard.rights import ACTS, may, shown_to
from app.dashboard.tables import button

ROUTES = {
    "acknowledge": ("POST", f"{API}/alerts/{{alert_id}}:acknowledge"),
    "end": ("DELETE", f"{API}/silences/{{silence_id}}"),
    "post": ("POST", f"{API}/incidents/{{incident_id:path}}/plan/{{step}}:post"),
    "silence": ("POST", f"{API}/silences"),
    "undo": ("POST", f"{API}/feedback/{{feedback_id}}:undo"),
    "verdict": ("POST", f"{API}/feedback"),
    "promote": ("POST", f"{API}/models/{{version_id}}:promote"),
    "rollback": ("POST", f"{API}/models:rollback"),
    "start": ("POST", f"{API}/backtests"),
    "train": ("POST", f"{API}/training-runs"),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_button_needs_what_its_route_needs(act: str) -> None:
    assert NEEDS[ROUTES[act]].scope == ACTS[act]


@pytest.mark.parametrize("act", [*ACTS, "something new"])
def test_a_button_is_there_for_those_alone_who_may_use_it(act: str) -> None:
    needed = ACTS.get(act, Scope.FEEDBACK)
    able = Principal("able", frozenset({needed}), frozenset({"shop"}))
    unable = Principal("unable", ANYONE.scopes - {needed}, frozenset({"*"}))
    assert f'data-act="{act}"' in shown_to(able, lambda: button("Do", act))()
    assert shown_to(unable, lambda: button("Do", act))() == ""
    assert may(act)  # outside nobody looks, and nothing is left out
