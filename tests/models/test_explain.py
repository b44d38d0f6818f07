"""Reasons hold the values behind the shares of their groups."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import InvalidValue
from features.extract import SCHEMA
from features.schema import Feature, FeatureSchema
from models.explain import grouping, reasons
from models.phrases import PHRASES

SMALL = FeatureSchema(
    1, tuple(Feature(name, group) for name, group in zip("abcd", ("one", "two", "one", "three"), strict=True))
)


def test_columns_are_numbered_by_their_groups() -> None:
    assert grouping(SMALL).tolist() == [0, 1, 0, 2]


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
    with pytest.raises(InvalidValue, match="shares and row"):
        reasons(np.zeros(2), np.zeros(4, np.float32), SMALL)


def test_four_reasons_are_given_unless_more_are_asked_for() -> None:
    schema = FeatureSchema(1, tuple(Feature(name, name) for name in "abcdef"))
    shares, row = np.arange(1.0, 7.0), np.ones(6, np.float32)
    assert [reason.group for reason in reasons(shares, row, schema)] == ["f", "e", "d", "c"]
    assert len(reasons(shares, row, schema, top=5)) == 5
