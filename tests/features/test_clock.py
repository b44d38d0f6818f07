"""Impossible times are replaced, possible ones stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.batch import Batch, DurationPoint
from features.clock import TIME_AS_SENT, Clock, place
from features.errors import InvalidValue
from tests.telemetry import T0, a_batch, a_record

RECEIVED_NS = (T0 * 60 + 17) * 10**9
DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("offset_ns", "possible"),
    [
        (0, True),
        (-DAY_NS, True),
        (-DAY_NS - 120 * 10**9, False),
        (120 * 10**9, True),
        (163 * 10**9, False),
        (-RECEIVED_NS, False),
    ],
)
def test_time_is_possible_for_a_day_back_and_two_windows_ahead(offset_ns: int, possible: bool) -> None:
    assert Clock().possible(RECEIVED_NS + offset_ns, RECEIVED_NS) is possible


@given(
    times=st.lists(
        st.one_of(st.integers(0, 2**63 - 1), st.integers(RECEIVED_NS - DAY_NS - 10**12, RECEIVED_NS + 10**12)), max_size=6
    ),
    tick_s=st.sampled_from([1, 7, 60, 3600]),
)
def test_placed_times_are_possible_and_errors_stay_with_the_group_that_counts_them(times: list[int], tick_s: int) -> None:
    clock = Clock(tick_s)
    windows = [clock.tick(time) for time in times]
    groups = [("web", "*", window, {"errors": 1.0}) for window in windows]
    batch = replace(a_batch(*groups, tick_s=tick_s), errors=tuple(replace(a_record(), time_ns=time) for time in times))
    placed, moved = place(batch, RECEIVED_NS, clock)
    assert (placed.group_time_s // tick_s).tolist() == [clock.tick(e.time_ns) for e in placed.errors]
    assert all(clock.possible(e.time_ns, RECEIVED_NS) for e in placed.errors)
    wrong = [not clock.possible(time, RECEIVED_NS) for time in times]
    assert moved == 2 * sum(wrong)
    for before, after, impossible in zip(batch.errors, placed.errors, wrong, strict=True):
        assert after.time_ns == (RECEIVED_NS if impossible else before.time_ns)
    assert place(placed, RECEIVED_NS, clock) == (placed, 0)


def test_impossible_level_gets_the_time_of_receipt_and_a_possible_one_stays() -> None:
    batch = a_batch(levels=[("web", "heap", 5, 1.0), ("web", "heap", T0, 2.0)])
    placed, moved = place(batch, RECEIVED_NS, Clock())
    assert [level.time_ns for level in placed.levels] == [RECEIVED_NS, T0 * 60 * 10**9]
    assert moved == 1


def test_a_duration_that_is_moved_does_not_say_when_it_began() -> None:
    week_ns = 7 * 86_400 * 10**9
    start_ns, time_ns = RECEIVED_NS - 10**9, RECEIVED_NS
    told = DurationPoint("web", "GET /", 1, 1, start_ns, time_ns, True, False, False, 1e6, 1.0, ())
    ahead = replace(told, start_ns=start_ns + week_ns, time_ns=time_ns + week_ns)
    placed, moved = place(Batch("metrics", durations=(ahead, told)), RECEIVED_NS, Clock())
    assert placed.durations == (replace(told, start_ns=0, time_ns=RECEIVED_NS), told)
    assert moved == 1


def test_possible_batch_is_returned_as_it_came() -> None:
    batch = a_batch(("web", "*", T0 + 2, {"total": 1.0}), ("web", "*", T0 - 1440, {"total": 1.0}))
    placed, moved = place(batch, RECEIVED_NS, Clock())
    assert placed is batch
    assert moved == 0


def test_group_three_windows_ahead_counts_in_the_window_of_its_receipt() -> None:
    placed, moved = place(a_batch(("web", "*", T0 + 3, {"total": 1.0})), RECEIVED_NS, Clock())
    assert placed.group_time_s.tolist() == [T0 * 60]
    assert moved == 1
    assert np.array_equal(placed.counts[:, 0], [1.0])


def test_tick_must_be_positive() -> None:
    with pytest.raises(InvalidValue, match="tick_s must be >= 1, got 0"):
        Clock(0)


@pytest.mark.parametrize("sent_ns", [0, -1, 5, RECEIVED_NS - 3 * DAY_NS, RECEIVED_NS + DAY_NS, 2**63 - 1])
def test_error_at_an_impossible_time_counts_when_it_was_received_and_says_what_was_sent(sent_ns: int) -> None:
    record = replace(a_record(), time_ns=sent_ns, attributes={"http.route": "/", TIME_AS_SENT: "forged"})
    group = ("web", "*", Clock().tick(sent_ns), {"errors": 1.0})
    placed, moved = place(replace(a_batch(group), errors=(record, replace(record, time_ns=RECEIVED_NS))), RECEIVED_NS, Clock())
    assert moved == 2
    assert placed.group_time_s.tolist() == [T0 * 60]
    assert [error.time_ns for error in placed.errors] == [RECEIVED_NS] * 2
    assert placed.errors[0].attributes == {TIME_AS_SENT: str(sent_ns), "http.route": "/"}
    assert next(iter(placed.errors[0].attributes)) == TIME_AS_SENT
    assert placed.errors[1].attributes == record.attributes, "a possible time is not touched"
    assert record.time_ns == sent_ns
