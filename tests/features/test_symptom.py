"""Symptoms check what they are made of."""

from __future__ import annotations

import pytest

from features.errors import InvalidValue
from features.symptom import SIGNALS, Symptom


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_can_be_shown(signal: str) -> None:
    assert Symptom(signal, 60, 3.0).signal == signal


@pytest.mark.parametrize(
    ("signal", "strength", "said"), [("heat", 1.0, "'heat'"), ("errors", -1.0, "-1.0"), ("errors", float("nan"), "nan")]
)
def test_what_is_no_symptom_is_refused_by_value(signal: str, strength: float, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        Symptom(signal, 0, strength)
