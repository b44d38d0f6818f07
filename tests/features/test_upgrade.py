"""State of the version before, converted: see tests/app/test_upgrade.py for a folder that it wrote."""

from __future__ import annotations

from dataclasses import fields

import pytest

from features.batch import DurationPoint
from features.durations import Meters
from features.upgrade import meters_of_2, with_family

NAMES = [field.name for field in fields(DurationPoint)]


def point(count: float, second: int, *, cumulative: bool = True) -> DurationPoint:
    return DurationPoint(
        "cart", "GET /", 7, 3, 5 if cumulative else 0, second * 10**9, cumulative, False, False, count, count, (count,)
    )


def row_of_2(of: DurationPoint) -> list[object]:
    """Return a stream as version 2 kept it."""
    kept = [name for name in NAMES if name not in {"service", "family", "histogram"}]
    return [*(getattr(of, name) for name in kept), list(of.histogram)]


def restored(*rows: list[object], full: bool = False) -> Meters:
    meters = Meters(60)
    meters.restore(meters_of_2([["default", "cart", -1 if full else 1, 2, full, list(rows)]]))
    return meters


def test_a_family_stands_where_a_point_has_it() -> None:
    columns = with_family([(name,) for name in NAMES if name != "family"])
    assert [name for (name,) in columns] == ["stream" if name == "family" else name for name in NAMES]


def test_the_next_point_of_a_counter_counts_what_came_since() -> None:
    meters = restored(row_of_2(point(5.0, 115)))
    meters.gather("default", [point(9.0, 175)])
    (served,) = meters.settle(3)
    assert served.values[0] == 4.0


def test_a_delta_that_was_counted_before_does_not_count_again() -> None:
    meters = restored(row_of_2(point(5.0, 115, cumulative=False)))
    meters.gather("default", [point(5.0, 115, cumulative=False), point(2.0, 175, cumulative=False)])
    assert [served.values[0] for served in meters.settle(3)] == [2.0]


def test_a_service_with_more_streams_than_are_kept_goes_on_being_counted_by_its_spans() -> None:
    meters = restored(row_of_2(point(5.0, 115)), full=True)
    meters.gather("default", [point(9.0, 175)])
    assert meters.settle(3) == []
    assert not meters


@pytest.mark.parametrize("tick", [5, 6])
def test_streams_that_fell_silent_are_forgotten_as_ever(tick: int) -> None:
    meters = restored(row_of_2(point(5.0, 115)))
    meters.settle(tick)
    assert bool(meters) == (tick <= 5)
