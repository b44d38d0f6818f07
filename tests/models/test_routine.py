"""What comes every day at about the same time is routine; once is not, and neither is what goes much further."""

from __future__ import annotations

import numpy as np
import pytest

from models.routine import Routine

DAY = 86_400.0
SUNDAY = 3 * DAY  # the epoch was a Thursday


def visits(days: list[float], at_s: float, value: float = 30.0) -> list[bool]:
    """Return what is said of surprises at a time of some days."""
    routine = Routine()
    routine.columns.grow(1)
    return [bool(one(routine, SUNDAY + DAY * day + at_s, value)) for day in days]


def one(routine: Routine, time_s: float, value: float, expected: float = 1.0, *, surprising: bool = True) -> bool:
    return bool(routine.advance(np.array([value]), np.array([expected]), np.array([time_s]), np.array([surprising]))[0])


def test_a_surprise_of_every_night_is_routine_from_the_third_night_on() -> None:
    assert visits([0, 1, 2, 3, 4], 7_200.0) == [False, False, True, True, True]


def test_one_day_in_seven_is_no_routine_and_working_days_are() -> None:
    assert visits([0, 7, 14, 21], 7_200.0) == [False] * 4
    assert visits([1, 2, 3, 4, 5, 8, 9, 10], 7_200.0) == [False, False, True, True, True, True, True, True]


@pytest.mark.parametrize("at_s", [7_200.0, 7_200.0 - 60.0, 60.0, DAY - 60.0])
def test_a_quarter_of_an_hour_early_or_late_is_the_same_time(at_s: float) -> None:
    for moved in (-840.0, 0.0, 840.0):
        routine = Routine()
        routine.columns.grow(1)
        said = [one(routine, SUNDAY + DAY * day + at_s + (moved if day == 3 else 0.0), 30.0) for day in (1, 2, 3)]
        assert said == [False, False, True], moved


def test_another_time_of_the_day_is_no_routine() -> None:
    routine = Routine()
    routine.columns.grow(1)
    assert [one(routine, SUNDAY + DAY * day + 7_200.0, 30.0) for day in (0, 1, 2)] == [False, False, True]
    assert not one(routine, SUNDAY + DAY * 2 + 40_000.0, 30.0)
    assert one(routine, SUNDAY + DAY * 3 + 7_200.0, 40.0)
    assert not one(routine, SUNDAY + DAY * 3 + 7_260.0, 90.0)


def test_the_level_follows_what_was_reached_and_not_one_worst_day() -> None:
    routine = Routine()
    routine.columns.grow(1)
    for day, value in enumerate((30.0, 30.0, 300.0, 30.0, 30.0, 30.0)):
        assert one(routine, SUNDAY + DAY * day + 7_200.0, value) == (value < 50.0 and day >= 2)
    assert not one(routine, SUNDAY + DAY * 6 + 7_200.0, 120.0)


def test_what_was_not_surprising_makes_no_routine_and_two_days_of_silence_end_none() -> None:
    routine = Routine()
    routine.columns.grow(1)
    assert not any(one(routine, SUNDAY + DAY * day + 7_200.0, 30.0, surprising=False) for day in (0, 1, 2))
    assert [one(routine, SUNDAY + DAY * day + 7_200.0, 30.0) for day in (3, 4, 6)] == [False, False, True]
    assert not one(routine, SUNDAY + DAY * 40 + 7_200.0, 30.0)


def test_rows_are_told_apart_and_a_restored_state_goes_on() -> None:
    routine, twice = Routine(), Routine()
    routine.columns.grow(2)
    twice.columns.grow(3)
    rows = np.array([2, 0])
    for day in range(3):
        time_s = np.full(2, SUNDAY + DAY * day + 7_200.0)
        said = routine.advance(np.full(2, 30.0), np.ones(2), time_s, np.array([True, day == 0]))
        assert said.tolist() == [day == 2, False]
    twice.columns.restore(rows, routine.columns.snapshot(np.arange(2)))
    said = twice.advance(np.full(3, 30.0), np.ones(3), np.full(3, SUNDAY + DAY * 3 + 7_200.0), np.ones(3, np.bool_))
    assert said.tolist() == [False, False, True]
    assert routine.columns.nbytes_a_row <= 160
