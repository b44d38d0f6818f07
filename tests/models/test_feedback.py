"""A verdict names exactly one thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.errors import InvalidValue
from features.series import SeriesKey
from models.feedback import VERDICTS, Feedback, Stretch

AT = datetime(2026, 1, 5, tzinfo=UTC)
STRETCH = Stretch(SeriesKey("default", "web", "*"), AT, AT + timedelta(minutes=5))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_can_be_given_about_a_stretch(verdict: str) -> None:
    assert Feedback("f", verdict, "ann", AT, stretch=STRETCH).verdict == verdict


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
