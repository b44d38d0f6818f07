"""When to train, and when not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.errors import InvalidValue
from training.triggers import Policy, Situation, reason_to_train

SETTLED = Situation(incidents=50, new_incidents=8, champion_age_s=1000.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"champion_age_s": None}, "no model yet"),
        ({"champion_fits": False}, "schema"),
        (
            {"drifts": ("its loss has risen", "what it looks at most")},
            "its loss has risen; what it looks at most; and there are 8",
        ),
        ({"champion_age_s": 90_000.0}, "25 h old"),
        ({"new_feedback": 12}, "12 new verdicts"),
    ],
)
def test_each_reason_is_said(change: dict[str, float | bool | tuple[str, ...] | None], words: str) -> None:
    reason = reason_to_train(replace(SETTLED, **change))  # pyright: ignore[reportArgumentType]
    assert reason is not None
    assert words in reason


@pytest.mark.parametrize(
    "situation",
    [
        SETTLED,
        replace(SETTLED, incidents=3, champion_age_s=None),
        replace(SETTLED, drifts=("its loss has risen",), new_incidents=1),
        replace(SETTLED, champion_age_s=1e9, new_incidents=0),
        replace(SETTLED, champion_fits=False, last_attempt_s=60.0),
        replace(SETTLED, champion_fits=False, last_attempt_s=4 * 3600.0, fruitless=3),
        replace(SETTLED, champion_fits=False, cost_s=2000.0),
        replace(SETTLED, champion_age_s=1e9, challenged=True),
    ],
)
def test_there_is_no_reason_without_new_truth_or_right_after_an_attempt(situation: Situation) -> None:
    assert reason_to_train(situation) is None


@pytest.mark.parametrize(("fruitless", "gap_h"), [(0, 1), (1, 2), (3, 8), (9, 24), (5000, 24)])
def test_attempts_that_changed_nothing_come_more_and_more_seldom(fruitless: int, gap_h: int) -> None:
    waiting = replace(SETTLED, champion_fits=False, fruitless=fruitless)
    assert reason_to_train(replace(waiting, last_attempt_s=gap_h * 3600.0 - 1)) is None
    assert reason_to_train(replace(waiting, last_attempt_s=gap_h * 3600.0)) is not None


def test_a_first_model_is_worth_any_cost() -> None:
    assert reason_to_train(replace(SETTLED, champion_age_s=None, cost_s=1e6)) is not None


def test_impossible_policies_are_refused() -> None:
    with pytest.raises(InvalidValue, match="at least"):
        Policy(first_incidents=0)
