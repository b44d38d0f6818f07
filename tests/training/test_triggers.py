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
        ({"drifted": True}, "risen"),
        ({"champion_age_s": 90_000.0}, "25 h old"),
        ({"new_feedback": 12}, "12 new verdicts"),
    ],
)
def test_each_reason_is_said(change: dict[str, float | bool | None], words: str) -> None:
    reason = reason_to_train(replace(SETTLED, **change))  # pyright: ignore[reportArgumentType]
    assert reason is not None
    assert words in reason


@pytest.mark.parametrize(
    "situation",
    [
        SETTLED,
        replace(SETTLED, incidents=3, champion_age_s=None),
        replace(SETTLED, drifted=True, new_incidents=1),
        replace(SETTLED, champion_age_s=1e9, new_incidents=0),
        replace(SETTLED, champion_fits=False, last_attempt_s=60.0),
    ],
)
def test_there_is_no_reason_without_new_truth_or_right_after_an_attempt(situation: Situation) -> None:
    assert reason_to_train(situation) is None


def test_impossible_policies_are_refused() -> None:
    with pytest.raises(InvalidValue, match="at least"):
        Policy(first_incidents=0)
