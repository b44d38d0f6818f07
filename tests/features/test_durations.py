"""What services measure themselves becomes traffic, each request once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import durations
from features.batch import BUCKETS, N_BUCKETS, N_CHANNELS, DurationPoint, bucket_of, channel
from features.durations import Meters, Served

SECOND, MINUTE = 10**9, 60 * 10**9
TOTAL, FAILED, SERVED, SUM = channel("total"), channel("failed"), channel("served"), channel("duration_sum_s")
MAX = channel("duration_max_s")


def point(
    minute: float,
    count: float,
    *,
    start: float = 0.5,
    stream: int = 1,
    cumulative: bool = True,
    failed: bool = False,
    **told: Any,
) -> DurationPoint:
    histogram = tuple(count if i == 4 else 0.0 for i in range(N_BUCKETS))
    times = int(start * MINUTE), int(minute * MINUTE)
    found = DurationPoint("cart", "GET /", stream, 1, *times, cumulative, failed, failed, count, count / 100, histogram)
    return replace(found, **told)


def settled(meters: Meters, *ticks: Sequence[DurationPoint]) -> list[list[Served]]:
    found: list[list[Served]] = []
    for tick, points in enumerate(ticks, start=101):
        meters.gather("default", points)
        found.append(meters.settle(tick))
    return found


def totals(found: Sequence[Served]) -> list[tuple[int, float]]:
    return [(served.window, float(served.values[TOTAL])) for served in found]


def test_cumulative_points_count_by_what_they_add_from_the_window_after_the_second_export_on() -> None:
    found = settled(Meters(), [point(100.9, 50)], [point(101.9, 60)], [point(102.9, 75)], [point(103.9, 75)])
    assert [totals(served) for served in found] == [[], [], [(102, 15.0)], []]


def test_what_is_counted_carries_failures_durations_and_the_histogram() -> None:
    *_, found = settled(
        Meters(), [point(100.9, 5, failed=True)], [point(101.9, 6, failed=True)], [point(102.9, 9, failed=True)]
    )
    values = found[0].values
    assert (values[TOTAL], values[SERVED], values[FAILED], values[channel("server_errors")]) == (3.0, 3.0, 3.0, 3.0)
    assert values[SUM] == pytest.approx(0.03)
    assert values[N_CHANNELS:].tolist() == [3.0 if i == 4 else 0.0 for i in range(N_BUCKETS)]
    assert values[MAX] == BUCKETS[4]


def test_delta_points_count_whole_from_the_next_window_on() -> None:
    minutes = [[point(m + 0.9, 10, start=m - 0.1, cumulative=False)] for m in (100, 101, 102)]
    assert [totals(served) for served in settled(Meters(), *minutes)] == [[], [(101, 10.0)], [(102, 10.0)]]


def test_a_point_at_the_end_of_a_window_is_of_that_window() -> None:
    minutes = [[point(m + 1, 10, start=m, cumulative=False)] for m in (100, 101)]
    assert [totals(served) for served in settled(Meters(), *minutes)] == [[], [(101, 10.0)]]


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    by_start = settled(Meters(), *warm, [point(102.9, 70, start=102.2)])
    by_count = settled(Meters(), *warm, [point(102.9, 7)])
    assert totals(by_start[-1]) == [(102, 70.0)]
    assert totals(by_count[-1]) == [(102, 7.0)]


def test_a_process_that_was_idle_after_it_began_anew_counts_from_nothing() -> None:
    warm = [[point(m + 0.9, 50, stream=stream) for stream in (1, 2)] for m in (100, 101)]
    idle = [[point(m + 0.9, 50, stream=2)] for m in (102, 103, 104)]
    assert totals(settled(Meters(), *warm, *idle, [point(105.9, 7, start=102.1)])[-1]) == [(105, 7.0)]


def test_a_process_that_was_not_heard_before_says_only_where_it_stands_and_a_new_one_counts() -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    old = settled(Meters(), *warm, [point(102.9, 60), point(102.9, 1000, stream=2, family=2)])
    new = settled(Meters(), *warm, [point(102.9, 60), point(102.9, 4, stream=2, family=2, start=102.1)])
    assert totals(old[-1]) == []
    assert totals(new[-1]) == [(102, 4.0)]


def test_the_first_failures_of_a_process_that_was_heard_before_count() -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    *_, found = settled(Meters(), *warm, [point(102.9, 70), point(102.9, 3, stream=2, failed=True)])
    assert sorted((served.values[TOTAL], served.values[FAILED]) for served in found) == [(3.0, 3.0), (10.0, 0.0)]
    *_, within = settled(Meters(), *warm, [point(102.3, 70), point(102.6, 80), point(102.6, 3, stream=2, failed=True)])
    assert sum(float(served.values[FAILED]) for served in within) == 3.0


def test_all_streams_of_a_first_export_say_only_where_they_stand() -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    first = [point(102.9, 1000, stream=stream, family=2) for stream in range(2, 9)]
    assert totals(settled(Meters(), *warm, [point(102.9, 60), *first])[-1]) == []


@pytest.mark.parametrize("start", [0.0, 102.9, 103.5, 60 * 24 * 8], ids=["unknown", "that of a reset", "later", "a week later"])
def test_a_lifetime_of_unknown_length_is_not_put_into_one_window(start: float) -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    found = settled(Meters(), *warm, [point(102.9, 1e6, start=start, stream=2)], [point(103.9, 1e6 + 5, start=start, stream=2)])
    assert [totals(served) for served in found[2:]] == [[], [(103, 5.0)]]


def test_parts_of_an_export_that_were_moved_to_their_times_of_receipt_count_no_lifetime() -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    parts = [point(102.5 + s / 100, 1e6, start=0.0, stream=s, family=2) for s in (2, 3)]
    assert totals(settled(Meters(), *warm, [point(102.9, 60), *parts])[-1]) == []


def test_a_collector_that_began_anew_does_not_count_a_lifetime_again() -> None:
    warm = [[point(100.9, 1e6)], [point(101.9, 1e6 + 10)]]
    after = [[point(102.9, 1e6 + 30, start=102.9)], [point(103.9, 1e6 + 35, start=102.9)]]
    assert [totals(served) for served in settled(Meters(), *warm, *after)[2:]] == [[], [(103, 5.0)]]


def test_instances_that_share_an_identity_count_each_by_its_own_start() -> None:
    ticks = [[point(m + 0.5, 10.0 * m), point(m + 0.6, 1000.0 + m, start=0.7)] for m in (100, 101, 102)]
    assert totals(settled(Meters(), *ticks)[-1]) == [(102, 10.0), (102, 1.0)]


def test_buckets_that_change_their_layout_invent_no_requests() -> None:
    fine = [0.0] * 4 + [5000.0, 5000.0] + [0.0] * 10
    coarse = [0.0] * 3 + [1900.0, 3100.0, 3300.0, 1710.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    warm = [[point(m + 0.9, 10_000, histogram=fine)] for m in (100, 101)]
    ((served,),) = settled(Meters(), *warm, [point(102.9, 10_011, histogram=coarse)])[2:]
    histogram = served.values[N_CHANNELS:]
    assert (served.values[TOTAL], float(histogram.sum())) == (11.0, pytest.approx(11.0))
    assert histogram.min() >= 0.0
    assert served.values[MAX] == BUCKETS[10]


@pytest.mark.parametrize("then", [(), (1000.0,) + (0.0,) * 15], ids=["without buckets", "with buckets before"])
def test_requests_without_buckets_are_counted_where_the_mean_of_what_was_added_lies(then: Sequence[float]) -> None:
    warm = [[point(m + 0.9, 1000, seconds=1.0, histogram=then)] for m in (100, 101)]
    ((served,),) = settled(Meters(), *warm, [point(102.9, 1010, seconds=11.0, histogram=())])[2:]
    assert served.values[N_CHANNELS:].tolist() == [10.0 if i == bucket_of(SECOND) else 0.0 for i in range(N_BUCKETS)]
    assert served.values[SUM] == pytest.approx(10.0)


HISTOGRAMS = st.lists(st.integers(0, 10**9), min_size=N_BUCKETS, max_size=N_BUCKETS) | st.just([])


@given(HISTOGRAMS, HISTOGRAMS, st.integers(1, 10**6))
def test_the_histogram_holds_as_many_requests_as_were_added(then: list[int], now: list[int], added: int) -> None:
    count = float(sum(then) or 1000)
    warm = [[point(m + 0.9, count, histogram=then)] for m in (100, 101)]
    ((served,),) = settled(Meters(), *warm, [point(102.9, count + added, histogram=now)])[2:]
    assert float(served.values[N_CHANNELS:].sum()) == pytest.approx(added)
    assert served.values[N_CHANNELS:].min() >= 0.0


def test_what_rounding_leaves_behind_does_not_tell_the_longest_duration() -> None:
    warm = [[point(m + 0.9, 900, histogram=[300.1] * 3 + [0.0] * 13)] for m in (100, 101)]
    now = [300.1, 310.1, 300.1 + 3e-13] + [0.0] * 13
    ((served,),) = settled(Meters(), *warm, [point(102.9, 910, histogram=now)])[2:]
    assert served.values[MAX] == BUCKETS[1]
    deltas = [[point(m + 0.9, 10, start=m - 0.1, cumulative=False, histogram=[10.0, 2e-13] + [0.0] * 14)] for m in (100, 101)]
    assert settled(Meters(), *deltas)[-1][0].values[MAX] == BUCKETS[0]


def test_a_point_sent_twice_counts_once() -> None:
    found = settled(Meters(), [point(100.9, 5)], [point(101.9, 6)], [point(102.9, 9)] * 3, [point(102.9, 9)])
    assert [totals(served) for served in found[2:]] == [[(102, 3.0)], []]


def test_a_delta_that_comes_after_a_newer_one_counts_and_one_that_comes_again_does_not() -> None:
    meters = Meters()
    minutes = [point(m + 0.9, 10.0 + m, start=m - 0.1, cumulative=False) for m in (100, 101, 102, 103)]
    found = settled(meters, minutes[:1], [minutes[1]], [minutes[3]], [minutes[2], minutes[3]], [minutes[2]])
    assert [totals(served) for served in found] == [[], [(101, 111.0)], [(103, 113.0)], [(102, 112.0)], []]
    assert meters.limited == {"durations_repeated": 2}


def test_a_delta_older_than_what_is_remembered_is_left_out_and_counted() -> None:
    meters = Meters()
    deltas = [point(100 + i / 20, 1, start=100 + (i - 1) / 20, cumulative=False) for i in range(1, 21)]
    settled(meters, deltas[1:], deltas[:1])
    assert meters.limited == {"durations_repeated": 1}


def test_deltas_of_instances_that_share_an_identity_all_count() -> None:
    ticks = [[point(m + at, 10, start=m + at - 1, cumulative=False) for at in (0.3, 0.6)] for m in (100, 101, 102)]
    assert totals(settled(Meters(), *ticks)[-1]) == [(102, 10.0), (102, 10.0)]


@given(st.permutations([(101.95, 70.0), (102.2, 75.0), (102.5, 80.0), (102.9, 95.0)]))
def test_the_order_of_arrival_within_a_tick_does_not_matter(order: list[tuple[float, float]]) -> None:
    found = settled(Meters(), [point(100.9, 50)], [point(101.9, 60)], [point(*each) for each in order])
    assert totals(found[-1]) == [(102, 5.0), (102, 5.0), (102, 15.0)]  # what lies before the window of the switch is left out


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_every_request_after_the_switch_is_counted_exactly_once(added: list[int]) -> None:
    counts = np.cumsum([5, 5, *added])
    ticks = [[point(100.5 + i, float(count))] for i, count in enumerate(counts)]
    found = settled(Meters(), *ticks)
    assert sum(float(served.values[TOTAL]) for each in found for served in each) == sum(added)


def test_spans_of_servers_are_taken_out_from_the_switch_on_and_others_stay() -> None:
    meters = Meters()
    settled(meters, [point(100.9, 50)], [point(101.9, 60)])
    values = np.ones((3, N_CHANNELS + N_BUCKETS)) * 8
    values[:, SERVED] = [8.0, 6.0, 0.0]  # all of servers, three of four, none
    left = meters.unmeasured("default", ["cart"] * 3, np.array([102] * 3), values)
    assert left[:, TOTAL].tolist() == [0.0, 2.0, 8.0]
    assert left[:, N_CHANNELS].tolist() == [0.0, 2.0, 8.0]
    assert left[:, MAX].tolist() == [0.0, 8.0, 8.0]
    assert left[:, channel("errors")].tolist() == [8.0] * 3  # what failed is reported by spans and logs alone
    assert meters.unmeasured("default", ["cart"] * 3, np.array([101] * 3), values) is values
    assert meters.unmeasured("default", ["web"] * 3, np.array([102] * 3), values) is values
    assert meters.unmeasured("other", ["cart"] * 3, np.array([102] * 3), values) is values


def test_spans_count_again_when_the_histograms_stop() -> None:
    meters = Meters()
    settled(meters, [point(100.9, 50)], [point(101.9, 60)], [], [], [])
    assert meters
    meters.settle(106)
    assert not meters
    assert meters.snapshot() == []


def test_a_service_that_exports_rarely_is_counted_by_its_spans() -> None:
    meters = Meters()
    found = settled(meters, *([point(100.9 + m, 10.0 * m)] if m % 4 == 0 else [] for m in range(20)))
    assert [totals(served) for served in found] == [[]] * 20
    assert not meters


def test_a_service_with_more_streams_than_are_kept_is_counted_by_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "_MAX_STREAMS", 2)
    meters = Meters()
    found = settled(meters, *([point(100.9 + m, 10.0 * m, stream=s) for s in range(3)] for m in range(4)))
    assert [totals(served) for served in found] == [[]] * 4
    assert not meters
    assert meters.limited == {"durations_dropped": 4}


def test_streams_of_dead_instances_make_room_for_those_that_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "_MAX_STREAMS", 30)
    meters = Meters()
    found = settled(
        meters,
        *(
            [point(100.9 + m, 10.0 + m, start=100.5 + m // 2 * 2, stream=m // 2 * 10 + s, family=m // 2) for s in range(10)]
            for m in range(40)
        ),
    )
    assert all(len(served) == 10 for served in found[2:])
    assert not meters.limited


def test_a_service_that_had_too_many_streams_is_measured_again_when_they_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "_MAX_STREAMS", 2)
    meters = Meters()
    crowd = [[point(100.9 + m, 1000.0 + m, stream=s, family=s) for s in range(3)] for m in range(3)]
    alone = [[point(100.9 + m, 1000.0 + m, stream=2, family=2)] for m in range(3, 12)]
    found = settled(meters, *crowd, *alone)
    assert meters
    assert totals(found[-1]) == [(111, 1.0)]
    assert max(count for served in found for _, count in totals(served)) == 1.0  # no lifetime in one window


def test_a_stream_lives_as_long_as_others_of_its_process_speak() -> None:
    warm = [[point(m + 0.9, 50, stream=stream) for stream in (1, 2)] for m in (100, 101)]
    silent = [[point(m + 0.9, 50, stream=2)] for m in range(102, 110)]
    assert totals(settled(Meters(), *warm, *silent, [point(110.9, 54)])[-1]) == [(110, 4.0)]


def test_a_delta_stream_is_forgotten_when_it_falls_silent() -> None:
    meters = Meters()
    settled(meters, *([point(m + 0.9, 1, start=m - 0.1, stream=m, cumulative=False)] for m in range(100, 120)))
    ((*_, rows),) = meters.snapshot()
    assert len(rows) == 4


def test_a_snapshot_goes_on_where_it_was_taken() -> None:
    one, other = Meters(), Meters()
    delta = point(101.9, 4, start=100.9, stream=3, cumulative=False)
    settled(one, [point(100.9, 50), point(100.9, 7, stream=2**64 - 1, failed=True)], [point(101.9, 60), delta])
    other.restore(json.loads(json.dumps(one.snapshot())))
    assert other.snapshot() == one.snapshot()
    for meters in (one, other):
        meters.gather("default", [point(102.9, 75), point(102.9, 9, stream=2**64 - 1, failed=True), delta])
    ours, theirs = one.settle(103), other.settle(103)
    assert totals(ours) == totals(theirs) == [(102, 15.0), (102, 2.0)]
    assert one.limited == other.limited == {"durations_repeated": 1}
