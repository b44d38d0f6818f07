"""A verdict names exactly one thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.errors import InvalidValue
from features.series import SeriesKey
from models.feedback import VERDICTS, Feedback, Selector, Stretch, in_force

AT = datetime(2026, 1, 5, tzinfo=UTC)
STRETCH = Stretch(SeriesKey("default", "web", "*"), AT, AT + timedelta(minutes=5))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_can_be_given_about_a_stretch(verdict: str) -> None:
    assert Feedback("f", verdict, "ann", AT, stretch=STRETCH).verdict == verdict


@pytest.mark.parametrize("year", [1, 1899, 3000, 9999])
def test_a_stretch_at_the_end_of_all_calendars_is_refused(year: int) -> None:
    with pytest.raises(InvalidValue, match="years 1900 to 2999"):
        Stretch(STRETCH.series, AT.replace(year=year), AT.replace(year=year) + timedelta(minutes=5))


def test_a_verdict_without_a_target_or_with_two_is_refused() -> None:
    with pytest.raises(InvalidValue, match="target"):
        Feedback("f", "confirmed", "ann", AT)
    with pytest.raises(InvalidValue, match="target"):
        Feedback("f", "confirmed", "ann", AT, prediction="p", incident="i")


def test_a_missed_incident_has_to_be_placed() -> None:
    with pytest.raises(InvalidValue, match="missed"):
        Feedback("f", "missed", "ann", AT, prediction="p")


def test_unknown_verdicts_names_and_naive_times_are_refused() -> None:
    with pytest.raises(InvalidValue, match="verdict"):
        Feedback("f", "maybe", "ann", AT, incident="i")
    with pytest.raises(InvalidValue, match="empty"):
        Feedback("f", "confirmed", "", AT, incident="i")
    with pytest.raises(InvalidValue, match="aware"):
        Feedback("f", "confirmed", "ann", AT.replace(tzinfo=None), incident="i")
    with pytest.raises(InvalidValue, match="after start"):
        Stretch(STRETCH.series, AT, AT)
    with pytest.raises(InvalidValue, match="aware"):
        Stretch(STRETCH.series, AT.replace(tzinfo=None), AT)


def test_a_selector_covers_what_it_names_and_no_other_tenant() -> None:
    web, pay = SeriesKey("default", "web", "*"), SeriesKey("default", "web", "POST /pay")
    assert [Selector("default", "web", None).covers(key) for key in (web, pay)] == [True, True]
    assert [Selector("default", None, "*").covers(key) for key in (web, pay)] == [True, False]
    assert not Selector("other").covers(web)
    assert Stretch(Selector("default"), AT, AT + timedelta(minutes=5)).covers(pay)
    assert not STRETCH.covers(pay)
    with pytest.raises(InvalidValue, match="empty"):
        Selector("default", "")


def test_what_was_taken_back_does_not_stand_and_the_last_word_on_a_target_does() -> None:
    first = Feedback("1", "confirmed", "ann", AT, incident="i")
    second = Feedback("2", "false_alarm", "ben", AT + timedelta(minutes=1), incident="i")
    undo = Feedback("3", "false_alarm", "ben", AT + timedelta(minutes=2), undoes="2")
    other = Feedback("4", "unknown", "ann", AT + timedelta(minutes=3), stretch=STRETCH)
    assert in_force([second, first]) == (second,)
    assert in_force([undo, other, second, first]) == (first, other)


def test_only_what_was_expected_at_some_time_comes_again() -> None:
    assert Feedback("f", "expected", "ann", AT, stretch=STRETCH, repeats="week").repeats == "week"
    for verdict, repeats in (("missed", "week"), ("expected", "year")):
        with pytest.raises(InvalidValue, match="repeats must be one of"):
            Feedback("f", verdict, "ann", AT, stretch=STRETCH, repeats=repeats)
    with pytest.raises(InvalidValue, match="repeats must be one of"):
        Feedback("f", "expected", "ann", AT, incident="i", repeats="day")
