"""Contributions add up, and reasons hold the values behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.errors import InvalidValue
from features.extract import SCHEMA
from features.schema import Feature, FeatureSchema
from models.explain import contributions, reasons
from models.phrases import PHRASES

SMALL = FeatureSchema(
    1, tuple(Feature(name, group) for name, group in zip("abcd", ("one", "two", "one", "three"), strict=True))
)
ROWS = hnp.arrays(np.float32, (3, 4), elements=st.floats(-5, 5, width=32))


def curved(x: np.ndarray) -> np.ndarray:
    return np.sin(x[:, 0]) * x[:, 1] + x[:, 2] * x[:, 3]


@given(ROWS, hnp.arrays(np.float32, 4, elements=st.floats(-5, 5, width=32)))
def test_contributions_sum_to_the_distance_from_the_background(x: np.ndarray, background: np.ndarray) -> None:
    shares = contributions(curved, x, background, SMALL)
    assert np.allclose(shares.sum(axis=1), curved(x) - curved(background[None]), atol=1e-4)


def test_a_linear_model_is_divided_exactly_and_in_one_call() -> None:
    calls: list[int] = []

    def linear(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return x @ np.array([1.0, 2.0, 3.0, 0.0])

    shares = contributions(linear, np.ones((2, 4), np.float32), np.zeros(4, np.float32), SMALL)
    assert np.allclose(shares, [[4.0, 2.0, 0.0]] * 2)
    assert calls == [2 * 4 * 2]


def test_no_rows_have_no_contributions() -> None:
    assert contributions(curved, np.zeros((0, 4), np.float32), np.zeros(4, np.float32), SMALL).shape == (0, 3)


def test_reasons_are_the_largest_in_order_and_leave_out_nothing_that_counts() -> None:
    found = reasons(np.array([0.5, -2.0, 0.0]), np.array([1, 2, 3, 4], np.float32), SMALL)
    assert [(r.group, r.contribution) for r in found] == [("two", -2.0), ("one", 0.5)]
    assert found[1].text == "one: c=3, a=1"


def test_every_group_of_the_schema_has_words_for_any_row() -> None:
    shares = np.arange(1.0, len(SCHEMA.groups) + 1)
    for fill in (0.0, 1.0, 5.0):
        row = np.full(len(SCHEMA.features), fill, np.float32)
        found = reasons(shares, row, SCHEMA, top=len(SCHEMA.groups))
        assert {r.group for r in found} == set(PHRASES)
        assert not [r.text for r in found if r.text.startswith(f"{r.group}: ") and "=" in r.text], (
            "a phrase fell back to a listing"
        )


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidValue, match="columns"):
        contributions(curved, np.zeros((1, 3), np.float32), np.zeros(4, np.float32), SMALL)
    with pytest.raises(InvalidValue, match="shares and row"):
        reasons(np.zeros(2), np.zeros(4, np.float32), SMALL)
