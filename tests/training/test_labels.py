"""The next incident of each row, and feedback laid over what the rule found."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.incident import Incident
from features.series import SeriesKey
from models.feedback import Feedback, Stretch
from training.labels import next_starts, overlay

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
    laid = overlay([], [said("prevented", prediction="p")], {"p": Stretch(WEB, at(7200), at(10_800))})
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
    laid = overlay([incident], [said("false_alarm", incident="gone"), said("prevented", 1, prediction="gone")], lambda _: None)
    assert laid.incidents == (incident,)
    assert laid.unteachable == ()
