"""Every way from one state of an alert to another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.evaluation import evaluate
from app.alerts.states import Bounds, Overlay, Trigger, acknowledged, moved, overlaid, trigger_of
from app.cache.alert_records import AlertRecord
from features.errors import InvalidValue
from tests.alert_builders import a_route, an_alert, an_observation, at, known

VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.2, 0.3, 0.31, 0.49, 0.5, 0.8, 1.0]))
STEPS = st.lists(st.tuples(st.integers(-60, 180), VALUES), max_size=40)
"""Seconds after the observation before, which may be an older one, and what it says."""


def lives(steps: list[tuple[int, float | None]], min_duration_s: float, again: int = 1) -> list[AlertRecord]:
    """Return every alert that observations lead to, each evaluated some times."""
    kept: dict[str, AlertRecord] = {}
    route, now = a_route(min_duration_s=min_duration_s), 0
    for after, value in steps:
        now += after
        p, status = (0.0, "in_incident") if value is None else (value, "ok")
        for _ in range(again):
            situation = known([an_observation(p=p, at_s=now, status=status)], now_s=now, alerts=list(kept.values()))
            kept |= {alert.id: alert for alert in evaluate([route], situation)}
    return list(kept.values())


@given(STEPS, st.sampled_from([0.0, 60.0, 200.0]))
def test_an_alert_never_fires_and_resolves_at_the_same_instant(
    steps: list[tuple[int, float | None]], min_duration_s: float
) -> None:
    for alert in lives(steps, min_duration_s):
        if alert.fired_at is not None:
            assert (alert.fired_at - alert.started_at).total_seconds() >= min_duration_s
            assert alert.ended_at is None or alert.ended_at > alert.fired_at


@given(STEPS, st.sampled_from([0.0, 60.0]))
def test_what_is_evaluated_twice_is_the_same_as_once(steps: list[tuple[int, float | None]], min_duration_s: float) -> None:
    assert lives(steps, min_duration_s) == lives(steps, min_duration_s, again=3)


@given(STEPS)
def test_at_most_one_alert_of_a_series_is_open(steps: list[tuple[int, float | None]]) -> None:
    assert sum(not alert.over for alert in lives(steps, 60.0)) <= 1


def test_the_threshold_must_be_met_for_the_minimum_duration_without_a_break() -> None:
    bounds = Bounds(0.5, 0.3, 120.0)
    trigger = Trigger()
    for at_s, value in ((0.0, 0.6), (60.0, 0.4), (120.0, 0.6), (180.0, None)):
        trigger = moved(trigger, at_s, value, bounds)
    assert trigger == Trigger(120.0, False, 180.0)
    assert moved(trigger, 240.0, 0.5, bounds).firing


def test_between_both_thresholds_it_goes_on_and_does_not_begin() -> None:
    bounds = Bounds(0.5, 0.3)
    assert not moved(Trigger(), 0.0, 0.4, bounds).firing
    assert moved(Trigger(0.0, True, 0.0), 60.0, 0.3, bounds).firing
    assert not moved(Trigger(0.0, True, 0.0), 60.0, 0.29, bounds).firing
    with pytest.raises(InvalidValue, match="resolve must be at most fire"):
        Bounds(0.5, 0.6)


def test_what_is_acknowledged_stays_so_until_it_is_over() -> None:
    mine = acknowledged(an_alert(), "ann", at(30))
    assert (mine.state, mine.acknowledged_by, mine.acknowledged_at) == ("acknowledged", "ann", at(30))
    assert acknowledged(mine, "bob", at(40)) is mine
    going_on = moved(trigger_of(mine), at(60).timestamp(), 0.9, Bounds(0.5, 0.3))
    assert overlaid(mine, going_on, Overlay("s1", "other")).state == "acknowledged"
    over = overlaid(mine, moved(going_on, at(120).timestamp(), 0.1, Bounds(0.5, 0.3)), Overlay())
    assert (over.state, over.ended_at, over.acknowledged_by) == ("resolved", at(120), "ann")


@pytest.mark.parametrize("state", ["pending", "resolved"])
def test_what_does_not_fire_is_not_acknowledged(state: str) -> None:
    with pytest.raises(InvalidValue, match=f"is {state}"):
        acknowledged(an_alert(state=state), "ann", at(30))


def test_a_silence_and_a_cause_keep_it_quiet_for_as_long_as_they_are_there() -> None:
    trigger = Trigger(at(0).timestamp(), True, at(60).timestamp())
    states = [overlaid(an_alert(), trigger, overlay).state for overlay in (Overlay("s1", "c"), Overlay(None, "c"), Overlay())]
    assert states == ["silenced", "inhibited", "firing"]


def test_an_alert_without_an_observation_keeps_its_time() -> None:
    alert = replace(an_alert(), as_of=datetime(2026, 1, 1, tzinfo=UTC))
    assert overlaid(alert, Trigger(0.0, True), Overlay()).as_of == alert.as_of
