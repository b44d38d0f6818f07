"""Rows check themselves, and their labels say what was known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from features.schema import FeatureSchema
from features.series import SeriesKey
from tests.training_rows import simulated_rows
from training.rows import Rows

ROWS = simulated_rows(n_series=2, days=1.0)


def test_ineligible_and_undetected_rows_are_never_at_risk() -> None:
    y, at_risk = ROWS.targets()
    out = ~ROWS.eligible | ROWS.undetected
    assert out.any()
    assert not at_risk[out].any()
    assert not y[out].any()


@given(st.integers(0, 86_400))
def test_labels_as_known_at_a_time_do_not_change_with_what_came_later(after_s: int) -> None:
    until = int(ROWS.as_of_s[0]) + after_s
    y, at_risk = ROWS.targets(until)
    later = replace(ROWS, next_start_s=np.where(ROWS.next_start_s > until, np.inf, ROWS.next_start_s))
    other_y, other_risk = later.targets(until)
    assert (y == other_y).all()
    assert (at_risk == other_risk).all()


def test_taken_rows_are_those_rows() -> None:
    part = ROWS.take(np.arange(10, 20))
    assert len(part) == 10
    assert (part.x == ROWS.x[10:20]).all()
    assert part.keys == ROWS.keys


def test_weights_go_with_their_rows_and_are_at_least_one() -> None:
    weight = np.linspace(1.0, 5.0, len(ROWS))
    weighed = replace(ROWS, weight=weight).take(np.arange(10, 20))
    assert weighed.weight is not None
    assert weighed.weight.tolist() == weight[10:20].tolist()
    for wrong in (weight[1:], weight - 0.5):
        with pytest.raises(InvalidValue, match="weight must be"):
            replace(ROWS, weight=wrong)


def test_no_rows_are_rows_too() -> None:
    empty = ROWS.take(np.zeros(0, np.int64))
    assert len(empty) == 0
    assert empty.events() == 0


def test_what_contradicts_itself_is_refused() -> None:
    wild = ROWS.x.copy()
    wild[0, 0] = np.nan
    broken = {
        "finite": {"x": wild},
        "x must be": {"schema": FeatureSchema(1, ())},
        "eligible": {"eligible": ROWS.eligible[1:]},
        "index 1 keys": {"keys": (SeriesKey("default", "a", "*"),)},
        "end_s": {"end_s": 0},
        "next_start_s": {"next_start_s": ROWS.as_of_s.astype(float)},
    }
    for words, change in broken.items():
        with pytest.raises(InvalidValue, match=words):
            replace(ROWS, **change)
    assert isinstance(ROWS, Rows)
