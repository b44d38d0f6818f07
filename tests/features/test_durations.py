"""What services measure themselves becomes traffic, each request once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import durations
from features.batch import BUCKETS, N_BUCKETS, N_CHANNELS, DurationPoint, channel
from features.durations import Meters, Served

MINUTE = 60 * 10**9
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
) -> DurationPoint:
    histogram = tuple(count if i == 4 else 0.0 for i in range(N_BUCKETS))
    times = int(start * MINUTE), int(minute * MINUTE)
    return DurationPoint("cart", "GET /", stream, *times, cumulative, failed, failed, count, count / 100, histogram)


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


def test_a_new_stream_of_an_old_process_says_only_where_it_stands_and_one_of_a_new_process_counts() -> None:
    warm = [[point(100.9, 50)], [point(101.9, 60)]]
    old = settled(Meters(), *warm, [point(102.9, 60), point(102.9, 1000, stream=2)])
    new = settled(Meters(), *warm, [point(102.9, 60), point(102.9, 4, stream=2, start=102.1)])
    assert totals(old[-1]) == []
    assert totals(new[-1]) == [(102, 4.0)]


def test_a_point_sent_twice_counts_once() -> None:
    found = settled(Meters(), [point(100.9, 5)], [point(101.9, 6)], [point(102.9, 9)] * 3, [point(102.9, 9)])
    assert [totals(served) for served in found[2:]] == [[(102, 3.0)], []]


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
    assert meters.dropped == 4


def test_a_snapshot_goes_on_where_it_was_taken() -> None:
    one, other = Meters(), Meters()
    settled(one, [point(100.9, 50), point(100.9, 7, stream=2**64 - 1, failed=True)], [point(101.9, 60)])
    other.restore(json.loads(json.dumps(one.snapshot())))
    assert other.snapshot() == one.snapshot()
    for meters in (one, other):
        meters.gather("default", [point(102.9, 75), point(102.9, 9, stream=2**64 - 1, failed=True)])
    ours, theirs = one.settle(103), other.settle(103)
    assert totals(ours) == totals(theirs) == [(102, 15.0), (102, 2.0)]
