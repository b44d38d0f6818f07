"""Records check themselves, and a verdict becomes the Feedback that labels are made with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.cache.records import FeedbackRecord, SelectorRecord, TrainingRun
from features.errors import InvalidValue
from features.series import SeriesKey
from models.feedback import Selector
from tests.api_builders import NOON

INTERVAL = FeedbackRecord(
    "f1", "a", NOON, "missed", service="cart", operation="*", start=NOON, end=NOON + timedelta(minutes=5), who="me", why="down"
)


def test_verdict_on_an_interval_becomes_feedback_with_a_stretch() -> None:
    feedback = INTERVAL.feedback()
    assert feedback.stretch is not None
    assert feedback.stretch.series == SeriesKey("a", "cart", "*")
    assert (feedback.stretch.start, feedback.stretch.end) == (NOON, NOON + timedelta(minutes=5))
    assert (feedback.verdict, feedback.who, feedback.why, feedback.at) == ("missed", "me", "down", NOON)


def test_verdict_on_an_incident_that_lasts_becomes_feedback_without_a_stretch() -> None:
    feedback = replace(INTERVAL, verdict="confirmed", incident_id="i1", end=None).feedback()
    assert (feedback.incident, feedback.stretch) == ("i1", None)


def test_verdict_on_a_selector_that_comes_again_and_its_withdrawal_become_feedback() -> None:
    weekly = replace(INTERVAL, verdict="expected", service=None, operation=None, selector=SelectorRecord(), repeats="week")
    feedback = weekly.feedback()
    assert feedback.stretch is not None
    assert (feedback.stretch.series, feedback.repeats) == (Selector("a"), "week")
    assert replace(weekly, id="f2", undoes="f1").feedback().undoes == "f1"


def test_unknown_verdict_is_refused() -> None:
    with pytest.raises(InvalidValue, match="got 'perhaps'"):
        FeedbackRecord("f1", "a", NOON, "perhaps")


def test_unknown_state_and_impossible_progress_are_refused() -> None:
    with pytest.raises(InvalidValue, match="got 'lost'"):
        TrainingRun("r1", "lost", NOON)
    with pytest.raises(InvalidValue, match=r"got 1\.5"):
        TrainingRun("r1", "running", NOON, progress=1.5)
