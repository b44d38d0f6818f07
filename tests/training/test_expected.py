"""The calendar keeps local time, and three weeks of the same make a habit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from features.series import SeriesKey
from models.feedback import Stretch
from training.expected import RECOGNISED_FOR, Planned, occurrences, recognised

DB = SeriesKey("default", "db", "*")
BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)  # half past three in Berlin


def planned(start: datetime, minutes: float = 30, series: SeriesKey = DB) -> Planned:
    return Planned(Stretch(series, start, start + timedelta(minutes=minutes)))


def local(stretch: Stretch) -> tuple[int, int, int]:
    start = stretch.start.astimezone(BERLIN)
    return start.weekday(), start.hour, start.minute


def test_what_is_expected_once_is_found_where_it_meets_the_time_asked_about() -> None:
    one = planned(SUNDAY)
    end = one.stretch.end
    assert occurrences([one], BERLIN, SUNDAY - timedelta(days=1), SUNDAY) == ()
    assert occurrences([one], BERLIN, end, end + timedelta(days=1)) == ()
    assert occurrences([one], BERLIN, SUNDAY, end) == (one.stretch,)


def test_what_repeats_keeps_its_local_time_when_the_clocks_change_and_ends() -> None:
    weekly = Planned(planned(SUNDAY).stretch, "week", SUNDAY + timedelta(weeks=6))
    found = occurrences([weekly], BERLIN, SUNDAY + timedelta(weeks=2), SUNDAY + timedelta(weeks=60))
    assert {local(stretch) for stretch in found} == {(6, 3, 30)}
    assert [stretch.start.hour for stretch in found] == [2, 2, 1, 1, 1]  # UTC; summer begins on the fifth Sunday
    assert found[0].start == SUNDAY + timedelta(weeks=2)


def test_what_the_clocks_jump_over_keeps_its_length() -> None:
    jump = datetime(2026, 3, 22, 1, 45, tzinfo=UTC)  # 02:45 in Berlin, which does not exist a week later
    found = occurrences([Planned(planned(jump, 30).stretch, "week")], BERLIN, jump, jump + timedelta(days=8))
    assert len(found) == 2
    assert all(stretch.end > stretch.start for stretch in found)


@given(st.integers(0, 366 * 24 * 4), st.integers(1, 1439), st.sampled_from(["day", "week"]))
@example(28_514, 45, "week")  # from 02:30 in summer to 02:15 in winter
@example(28_517, 30, "day")  # from 02:15 to 02:45, both in winter
def test_the_time_that_was_named_is_expected_as_it_was_named_also_in_the_hour_that_the_clocks_repeat(
    quarter: int, minutes: int, repeats: str
) -> None:
    said = planned(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter), minutes).stretch
    found = occurrences([Planned(said, repeats)], BERLIN, said.start, said.start + timedelta(days=15))
    assert found[0] == said
    assert len({stretch.start.astimezone(BERLIN).date() for stretch in found}) == len(found) >= (2 if repeats == "week" else 14)


def test_what_began_before_and_ended_after_the_clocks_were_set_back_comes_again_with_its_length() -> None:
    said = planned(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 45).stretch  # from 02:30 to 02:15 in Berlin
    found = occurrences([Planned(said, "week")], BERLIN, said.start, said.start + timedelta(days=8))
    again = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)
    assert found == (said, Stretch(DB, again, again + timedelta(minutes=45)))


@given(st.integers(0, 400), st.integers(1, 30), st.sampled_from(["day", "week"]))
def test_the_part_that_is_asked_about_decides_nothing_else(days: int, width: int, repeats: str) -> None:
    plan = [Planned(planned(SUNDAY, 600).stretch, repeats)]
    begin = SUNDAY + timedelta(days=days - 50)
    end = begin + timedelta(days=width)
    everything = occurrences(plan, BERLIN, SUNDAY - timedelta(days=60), SUNDAY + timedelta(days=500))
    assert occurrences(plan, BERLIN, begin, end) == tuple(s for s in everything if s.end > begin and s.start < end)


def test_three_weeks_of_the_same_hour_are_a_habit_from_the_earliest_start_to_the_latest_end() -> None:
    some = [planned(SUNDAY + timedelta(weeks=n, minutes=n * 10), 30) for n in (0, 1, 3)]
    assert recognised(some[:2], BERLIN) == ()
    (habit,) = recognised(some, BERLIN)
    assert habit.repeats == "week"
    assert (habit.stretch.start, habit.stretch.end) == (SUNDAY, SUNDAY + timedelta(minutes=60))
    assert habit.until == SUNDAY + timedelta(weeks=3) + RECOGNISED_FOR


def test_other_hours_other_series_and_the_same_week_are_no_habit() -> None:
    week = timedelta(weeks=1)
    assert recognised([planned(SUNDAY + n * (week + timedelta(hours=1))) for n in range(5)], BERLIN) == ()
    assert recognised([planned(SUNDAY + n * week, series=SeriesKey("default", f"db-{n}", "*")) for n in range(5)], BERLIN) == ()
    assert recognised([planned(SUNDAY + timedelta(minutes=n)) for n in range(5)], BERLIN) == ()
    assert recognised([planned(SUNDAY + n * week, 2 * 1440) for n in range(5)], BERLIN) == ()


def test_a_habit_is_one_of_local_time() -> None:
    across = [planned(datetime(2026, 3, 15 + 7 * n, 2 if n < 2 else 1, 30, tzinfo=UTC)) for n in range(3)]
    assert len(recognised(across, BERLIN)) == 1
    assert recognised(across, ZoneInfo("UTC")) == ()
