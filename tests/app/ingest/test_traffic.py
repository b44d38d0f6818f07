"""Groups, against a plain count."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.limits import Limits
from app.ingest.traffic import CALLEE, ENTRY, FAILED, N_FLAGS, REFUSED, SERVED, SERVER_ERROR, SpanColumns, Traffic
from features.batch import CHANNELS, bucket_of, channel

DURATION = st.integers(0, 2**62) | st.integers(0, 10**10)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 200), DURATION), max_size=20))
def test_durations_fall_into_the_buckets_that_batch_names(spans: list[tuple[str, int, int]]) -> None:
    traffic = Traffic(Limits(), Counter())
    groups = [traffic.group("cart", name, second * 10**9) for name, second, _ in spans]
    place, durations = np.array(groups, np.int64) * N_FLAGS + ENTRY, np.array([span[2] for span in spans], np.int64)
    columns = SpanColumns(place, np.ones(len(spans)), np.arange(len(spans)), durations)
    series, group_series, starts = traffic.series()
    counts, histogram = traffic.counts(columns), traffic.histogram(columns)
    for group, (row, start) in enumerate(zip(group_series.tolist(), starts.tolist(), strict=True)):
        mine = [duration for name, second, duration in spans if (name, second // 60 * 60) == (series[row][1], start)]
        buckets = Counter(bucket_of(duration) for duration in mine)
        assert [int(n) for n in histogram[group]] == [buckets[bucket] for bucket in range(16)]
        assert counts[group, channel("total")] == len(mine)
        assert counts[group, channel("duration_max_s")] == max(mine) * 1e-9
    assert histogram.sum() == len(spans)


def test_groups_are_bounded_and_known_ones_stay_open() -> None:
    traffic = Traffic(Limits(max_rows=2), Counter())
    groups = [traffic.group("cart", name, 0) for name in "abcab"]
    assert groups == [0, 1, REFUSED, 0, 1]
    assert traffic.group("cart", None, 0) == REFUSED


def test_operations_are_bounded_by_service_and_window_or_not() -> None:
    counters: Counter[str] = Counter()
    traffic = Traffic(Limits(max_operations=1), counters)
    for second in (0, 60):
        for service in ("cart", "shop"):
            for name in ("a", "b"):
                traffic.group(service, name, second * 10**9)
    assert set(traffic.series()[0]) == {(service, name) for service in ("cart", "shop") for name in ("a", "_other")}
    assert counters == {"operations_folded": 4}


@pytest.mark.parametrize(
    ("flags", "counted"),
    [
        (0, {"inner"}),
        (FAILED, {"inner", "errors"}),
        (ENTRY, {"total"}),
        (ENTRY | CALLEE, {"total"}),
        (ENTRY | CALLEE | SERVED, {"total", "served"}),
        (ENTRY | FAILED, {"total", "failed", "errors"}),
        (ENTRY | CALLEE | SERVED | FAILED | SERVER_ERROR, {"total", "served", "failed", "errors", "server_errors"}),
    ],
)
def test_what_a_span_was_says_in_which_channels_it_counts(flags: int, counted: set[str]) -> None:
    traffic = Traffic(Limits(), Counter())
    group = traffic.group("cart", "a", 0)
    columns = SpanColumns(np.array([group * N_FLAGS + flags]), np.array([2.5]), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert {
        name: count for name, count in zip(CHANNELS, traffic.counts(columns)[0].tolist(), strict=True) if count
    } == dict.fromkeys(counted, 2.5)
