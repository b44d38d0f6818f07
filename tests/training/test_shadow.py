"""What is done with a challenger and after a promotion."""

from __future__ import annotations

import pytest

from features.errors import InvalidValue
from models.registry import Role
from training.shadow import Patience, Step, next_step


@pytest.mark.parametrize(
    ("role", "hours", "verdict", "step"),
    [
        ("challenger", 0, "open", "wait"),
        ("challenger", 5, "open", "wait"),
        ("challenger", 6, "open", "promote"),
        ("challenger", 3, "above", "promote"),
        ("challenger", 99, "below", "reject"),
        ("former", 47, "open", "wait"),
        ("former", 47, "below", "wait"),
        ("former", 48, "open", "keep"),
        ("former", 13, "above", "rollback"),
        ("former", 99, "above", "rollback"),
    ],
)
def test_each_step_follows_from_the_role_the_time_and_the_verdict(role: Role, hours: int, verdict: str, step: Step) -> None:
    assert next_step(role, hours, 0.001, verdict)[0] == step


def test_without_a_shadow_a_challenger_serves_at_once() -> None:
    assert next_step("challenger", 0, 0.0, "open", Patience(shadow_h=0))[0] == "promote"


def test_reasons_say_how_much_and_which_way() -> None:
    assert next_step("former", 20, 0.0123, "above")[1] == (
        "the new champion is worse than the former one beyond doubt: log loss 0.01230 a row higher over 20 h"
    )
    assert "lower over 14 h" in next_step("challenger", 14, -0.5, "below")[1]


def test_impatience_below_nothing_is_refused() -> None:
    with pytest.raises(InvalidValue, match="at least 0, got -1 and 48"):
        Patience(shadow_h=-1)
