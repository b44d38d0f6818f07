"""The next incident of each row, and feedback laid over what the rule found."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from features.incident import Incident
from features.series import SeriesKey
from models.feedback import Feedback, Selector, Stretch
from training.labels import FeedbackPlan, Scene, next_starts, overlay

WEB, CART = SeriesKey("default", "web", "*"), SeriesKey("default", "cart", "*")


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def an_incident(series: SeriesKey, start: float, name: str = "") -> Incident:
    return Incident(name or f"{start}-{series}", series, at(start), at(start + 60), at(start + 600))


def said(verdict: str, when: float = 0.0, **target: str | Stretch) -> Feedback:
    return Feedback(f"f{when}", verdict, "ann", at(when), **target)  # pyright: ignore[reportArgumentType]


@given(st.lists(st.integers(1, 2000), max_size=12), st.lists(st.integers(0, 2000), min_size=1, max_size=20))
def test_the_next_start_is_the_first_one_after_and_of_the_same_series(starts: list[int], rows: list[int]) -> None:
    incidents = [an_incident(WEB if s % 2 else CART, s, f"i{n}") for n, s in enumerate(starts)]
    series = np.array([r % 3 % 2 for r in rows])
    found = next_starts(incidents, (CART, WEB), series, np.array(rows))
    for i, as_of in enumerate(rows):
        mine = [s for s in starts if s % 2 == series[i] and s > as_of]
        assert found.start_s[i] == (min(mine) if mine else np.inf)
        assert (found.index[i] == -1) == (not mine)
        if mine:
            assert incidents[found.index[i]].start.timestamp() == min(mine)


def test_a_missed_incident_is_added() -> None:
    laid = overlay([], [said("missed", stretch=Stretch(WEB, at(100), at(200)))])
    assert [(i.series, i.start, i.source) for i in laid.incidents] == [(WEB, at(100), "feedback")]


def test_a_false_alarm_about_an_incident_takes_it_away_and_a_later_verdict_brings_it_back() -> None:
    incident = an_incident(WEB, 100, "i")
    assert overlay([incident], [said("false_alarm", incident="i")]).incidents == ()
    again = overlay([incident], [said("confirmed", 2, incident="i"), said("false_alarm", 1, incident="i")])
    assert again.incidents == (incident,)


def test_prevented_is_never_a_negative_label() -> None:
    laid = overlay([], [said("prevented", prediction="p", stretch=Stretch(WEB, at(7200), at(10_800)))])
    times = np.arange(0, 14_400, 600)
    kept = laid.teachable((WEB, CART), np.zeros(len(times), np.int64), times)
    assert not kept[(times >= 3600) & (times < 10_800)].any()
    assert kept[(times < 3600) | (times >= 10_800)].all()
    assert laid.teachable((WEB, CART), np.ones(len(times), np.int64), times).all()


def test_an_incident_of_which_nobody_can_say_is_neither_a_label_nor_its_absence() -> None:
    incident = Incident("i", WEB, at(3600), at(3600))
    laid = overlay([incident], [said("unknown", incident="i")])
    assert laid.incidents == ()
    assert not laid.teachable((WEB,), np.array([0]), np.array([3000])).any()


def test_verdicts_about_things_that_are_gone_change_nothing() -> None:
    incident = an_incident(WEB, 100)
    laid = overlay([incident], [said("false_alarm", incident="gone"), said("prevented", 1, prediction="gone")])
    assert laid.incidents == (incident,)
    assert laid.unteachable == ()


PAY = SeriesKey("default", "web", "POST /pay")
SCENE = Scene((CART, WEB, PAY), at(0), at(40 * 86_400))
HOUR = Stretch(WEB, at(7200), at(10_800))


def test_what_a_selector_missed_begins_in_every_series_that_it_means() -> None:
    everything = Stretch(Selector("default", "web", None), at(100), at(200))
    laid = overlay([], [said("missed", stretch=everything)], SCENE)
    assert [(i.series, i.start, i.end) for i in laid.incidents] == [(WEB, at(100), at(200)), (PAY, at(100), at(200))]
    assert len({i.id for i in laid.incidents}) == 2


def test_a_false_alarm_about_an_incident_weighs_the_rows_that_announced_it() -> None:
    laid = overlay([an_incident(WEB, 7200, "i")], [said("false_alarm", 9000, incident="i")])
    assert [(alarm.stretch.start, alarm.stretch.end, alarm.at) for alarm in laid.alarms] == [(at(3600), at(7800), at(9000))]


def test_a_false_alarm_about_a_prediction_keeps_the_outcome() -> None:
    incident = an_incident(WEB, 8000)
    laid = overlay([incident], [said("false_alarm", prediction="p", stretch=HOUR)])
    assert laid.incidents == (incident,)
    assert [alarm.stretch for alarm in laid.alarms] == [HOUR]


def test_weights_decay_by_half_and_stop_at_the_cap() -> None:
    plan = FeedbackPlan(false_alarm=2.0, cap=3.5, half_life_s=1000.0)
    two = [said("false_alarm", 0, prediction="p", stretch=HOUR), said("false_alarm", 1000, prediction="q", stretch=HOUR)]
    as_of_s = np.array([7140, 7200, 10_740, 10_800, 7200])
    series = np.array([1, 1, 1, 1, 0])

    def weights(feedback: list[Feedback], end_s: float) -> list[float]:
        return overlay([], feedback).weights((CART, WEB), series, as_of_s, end_s, plan).tolist()

    assert weights(two[:1], 0) == weights(two[:1], -50) == [1, 3, 3, 1, 1]
    assert weights(two[:1], 1000) == [1, 2, 2, 1, 1]
    assert weights(two, 1000) == [1, 3.5, 3.5, 1, 1]
    assert weights(two, 2000) == [1, 2.5, 2.5, 1, 1]


def test_what_began_in_an_expected_time_is_no_incident_and_the_time_teaches_nothing() -> None:
    within, before, other = an_incident(WEB, 7200), an_incident(WEB, 7100), an_incident(CART, 7200)
    laid = overlay([within, before, other], [said("expected", stretch=HOUR)], SCENE)
    assert laid.incidents == (before, other)
    times = np.array([3600, 7140, 7200, 10_740, 10_800])
    mine = np.ones(5, np.int64)
    assert laid.teachable((CART, WEB), mine, times).tolist() == [True, True, False, False, True]
    assert laid.watched_until((CART, WEB), mine, times).tolist() == [7200, 7200, np.inf, np.inf, np.inf]
    assert laid.teachable((CART, WEB), mine - 1, times).all()


def test_what_is_expected_weekly_is_expected_again() -> None:
    incidents = [an_incident(WEB, 7200 + week * 7 * 86_400) for week in range(4)]
    weekly = Feedback("f", "expected", "ann", at(0), stretch=HOUR, repeats="week", until=at(8 * 86_400))
    assert overlay(incidents, [weekly], SCENE).incidents == tuple(incidents[2:])
    thrice = [said("expected", n, incident=incident.id) for n, incident in enumerate(incidents[:3])]
    assert overlay(incidents, thrice[:2], SCENE).incidents == tuple(incidents[2:])
    assert overlay(incidents, thrice, SCENE).incidents == ()


@pytest.mark.parametrize(
    "wrong", [{"zone": "Mars/Olympus"}, {"zone": ".."}, {"cap": 0.5}, {"false_alarm": -1.0}, {"half_life_s": 0.0}]
)
def test_a_plan_out_of_its_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValue, match="must"):
        FeedbackPlan(**wrong)  # pyright: ignore[reportArgumentType]
