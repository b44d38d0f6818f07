"""Rows with feedback and without it: what was taken back leaves no trace, and nothing unseen is a negative."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.evidence import SOURCES
from features.extract import SCHEMA
from features.facts import CATEGORIES
from features.incident import Incident
from features.series import SeriesKey
from models.feedback import VERDICTS, Feedback, Selector, Stretch, in_force
from training.labelled import Part, Seen
from training.labels import FeedbackPlan, overlay
from training.rows import Rows

TICK = 300
FIRST = 1000
TICKS = 100
KEYS = tuple(SeriesKey("default", service, op) for service in ("cart", "web") for op in ("*", "GET /"))
PLAN = FeedbackPlan(false_alarm=3.0, cap=5.0)


@cache
def seen() -> Seen:
    parts = [
        Part(
            tick,
            np.arange(4),
            np.zeros((4, len(SCHEMA.features)), np.float32),
            np.ones(4, bool),
            np.zeros((2, len(SOURCES), len(CATEGORIES)), np.float32),
            np.array([0, 0, 1, 1]),
        )
        for tick in range(FIRST, FIRST + TICKS)
    ]
    return Seen.of(parts, KEYS, {}, TICK, (FIRST + TICKS) * TICK)


def at(tick: float) -> datetime:
    return datetime.fromtimestamp((FIRST + tick) * TICK, UTC)


INCIDENTS = tuple(
    Incident.at(KEYS[n % 4], (FIRST + s) * TICK, (FIRST + s + 1) * TICK, (FIRST + s + 3) * TICK)
    for n, s in enumerate((10, 25, 40, 60, 80))
)

places = st.sampled_from([*KEYS, Selector("default"), Selector("default", "web"), Selector("default", None, "*")])


@st.composite
def verdicts(draw: st.DrawFn, only: tuple[str, ...] = VERDICTS) -> Feedback:
    verdict = draw(st.sampled_from(only))
    begin = draw(st.integers(0, TICKS - 2))
    stretch = Stretch(draw(places), at(begin), at(begin + draw(st.integers(1, 20))))
    name, when = f"f{draw(st.integers(0, 10**9))}", at(draw(st.integers(-50, TICKS)))
    if verdict != "missed" and draw(st.booleans()):
        if draw(st.booleans()):
            return Feedback(name, verdict, "ann", when, incident=draw(st.sampled_from(INCIDENTS)).id)
        return Feedback(name, verdict, "ann", when, prediction=f"p{begin}", stretch=stretch)
    repeats = draw(st.sampled_from([None, "day"])) if verdict == "expected" else None
    return Feedback(name, verdict, "ann", when, stretch=stretch, repeats=repeats)


def rows(*feedback: Feedback) -> Rows:
    return seen().rows(overlay(INCIDENTS, feedback, seen().scene, PLAN.zone), PLAN)


def same(one: Rows, other: Rows) -> bool:
    names = ("next_start_s", "eligible", "undetected", "category", "observed_until_s", "weight")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@given(st.lists(verdicts(), max_size=4), st.lists(verdicts(), max_size=4))
def test_what_was_taken_back_leaves_exactly_the_labels_as_before(kept: list[Feedback], wrong: list[Feedback]) -> None:
    kept = [replace(one, id=f"kept-{n}") for n, one in enumerate(kept)]
    wrong = [replace(one, id=f"wrong-{n}") for n, one in enumerate(wrong)]
    undone = [Feedback(f"undo-{n}", one.verdict, "ben", at(TICKS), undoes=one.id) for n, one in enumerate(wrong)]
    assert same(rows(*kept, *wrong, *undone), rows(*kept))
    assert same(rows(*wrong, *undone), seen().rows(overlay(INCIDENTS), PLAN))


@given(st.lists(verdicts(("prevented", "unknown")), max_size=5), st.lists(verdicts(), max_size=3))
def test_prevented_and_unknown_never_add_a_negative(unseen: list[Feedback], others: list[Feedback]) -> None:
    unseen = [replace(one, id=f"unseen-{n}", at=at(TICKS + 1)) for n, one in enumerate(unseen)]
    others = [replace(one, id=f"other-{n}") for n, one in enumerate(others)]
    y, at_risk = rows(*others).targets()
    y_now, at_risk_now = rows(*others, *unseen).targets()
    added = at_risk_now & (y_now == 0) & ~(at_risk & (y == 0))
    targets = {one.target for one in unseen} & {one.target for one in others}
    assert targets or not added.any()  # a later word on the same target also takes the earlier one back
    for one in in_force(unseen):  # of two on one prediction the later says when it was
        if one.stretch is not None:
            assert not at_risk_now[_touched(one.stretch)].any()


@given(st.lists(verdicts(), max_size=12))
def test_weights_stay_between_one_and_the_cap_and_fall_on_negatives_alone(feedback: list[Feedback]) -> None:
    found = rows(*feedback)
    if found.weight is None:
        return
    assert found.weight.min() >= 1.0
    assert found.weight.max() <= PLAN.cap
    assert not (found.weight[found.next_start_s - found.as_of_s <= 3600] > 1.0).any()


def test_a_false_alarm_weighs_its_rows_and_changes_no_outcome() -> None:
    false_alarm = Feedback("f", "false_alarm", "ann", at(TICKS), prediction="p", stretch=Stretch(KEYS[1], at(45), at(57)))
    plain, weighed = rows(), rows(false_alarm)
    assert plain.weight is None
    assert weighed.weight is not None
    heavy = weighed.weight > 1.0
    assert set(weighed.series[heavy].tolist()) == {1}
    assert sorted((weighed.as_of_s[heavy] // TICK - FIRST).tolist()) == list(range(45, 57))
    assert np.array_equal(plain.targets()[0], weighed.targets()[0])
    assert np.array_equal(plain.targets()[1], weighed.targets()[1])


def test_rows_before_an_expected_time_are_watched_up_to_it_alone() -> None:
    expected = Feedback("f", "expected", "ann", at(0), stretch=Stretch(KEYS[1], at(50), at(55)))
    found = rows(expected)
    _, at_risk = found.targets()
    by_tick = {int(s) // TICK - FIRST: at_risk[i].tolist() for i, s in enumerate(found.as_of_s) if found.series[i] == 1}
    assert by_tick[49] == [True, False, False]
    assert by_tick[47] == [True, True, False]
    assert by_tick[38] == [True, True, True]
    assert not any(any(by_tick[tick]) for tick in range(50, 55))
    assert by_tick[55] == [True, True, True]


def _touched(stretch: Stretch) -> np.ndarray:
    named = np.array([stretch.covers(key) for key in KEYS])[seen().series]
    as_of_s = seen().as_of_s
    return named & (as_of_s + 3600 >= stretch.start.timestamp()) & (as_of_s < stretch.end.timestamp())
