"""Values that are cheap to make and otherwise like every other."""

from __future__ import annotations

from dataclasses import field, replace

import pytest

from features.values import hot_value


@hot_value()
class Point:
    x: float
    names: tuple[str, ...] = field(default_factory=tuple[str, ...])


@hot_value(eq=False)
class Shape:
    x: float


def test_values_are_equal_and_hash_by_content_and_can_be_made_anew_with_a_change() -> None:
    assert Point(1.0) == Point(1.0, ())
    assert hash(Point(1.0)) == hash(Point(1.0, ()))
    assert replace(Point(1.0, ("a",)), x=2.0) == Point(2.0, ("a",))


def test_values_without_equality_are_equal_to_themselves_alone() -> None:
    one = Shape(1.0)
    assert one == one  # noqa: PLR0124 - that is the question
    assert one != Shape(1.0)
    assert len({one, Shape(1.0)}) == 2


def test_a_value_takes_no_other_attribute() -> None:
    with pytest.raises(AttributeError):
        setattr(Point(1.0), "y", 2.0)  # noqa: B010 - the type checker refuses the plain form
