"""What is kept of metrics."""

from __future__ import annotations

from typing import Any

import pytest

from app.ingest.limits import Limits
from app.ingest.otlp import decode
from features.batch import Batch, Level
from tests.app.ingest.requests import a_point, as_json, metrics

SECOND = 10**9


def read(*found: dict[str, Any], limits: Limits | None = None) -> Batch:
    return decode(as_json(metrics(*found)), "metrics", "json", limits=limits or Limits())


def at(second: int, value: float) -> dict[str, Any]:
    return a_point(value, timeUnixNano=str(second * SECOND))


@pytest.mark.parametrize("kind", ["gauge", "sum"])
def test_the_latest_point_of_a_tick_is_its_level(kind: str) -> None:
    batch = read({"name": "heap", kind: {"dataPoints": [at(120, 9.0), at(150, 2.0), at(130, 7.0), at(190, 4.0)]}})
    assert batch.levels == (Level("cart", "heap", 150 * SECOND, 2.0), Level("cart", "heap", 190 * SECOND, 4.0))
    assert batch.n_records == 4


def test_of_attribute_sets_at_one_time_the_largest_is_the_level() -> None:
    batch = read({"name": "pool", "gauge": {"dataPoints": [at(120, 3.0), at(120, 5.0), at(120, 4.0)]}})
    assert [level.value for level in batch.levels] == [5.0]


def test_of_the_instances_of_a_service_the_largest_is_the_level() -> None:
    found = [{"name": "pool", "gauge": {"dataPoints": [at(*point)]}} for point in ((120, 3.0), (121, 8.0), (122, 4.0))]
    assert read(*found).levels == (Level("cart", "pool", 121 * SECOND, 8.0),)


@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram", "summary"])
def test_points_without_a_single_value_are_counted_and_make_no_level(kind: str) -> None:
    batch = read({"name": "latency", kind: {"dataPoints": [{"count": "3"}, {"count": 4}]}}, {"name": "empty"})
    assert (batch.n_records, batch.levels) == (2, ())


def test_integers_come_as_text_or_number() -> None:
    points = [{"timeUnixNano": n * SECOND, "asInt": value} for n, value in ((60, "7"), (120, 8))]
    assert [level.value for level in read({"name": "threads", "sum": {"dataPoints": points}}).levels] == [7.0, 8.0]


def test_points_that_say_nothing_are_counted_and_make_no_level() -> None:
    points = [a_point(flags=1), {"timeUnixNano": "1"}, {"asDouble": "NaN"}, {"asDouble": "-Infinity"}]
    batch = read({"name": "heap", "gauge": {"dataPoints": points}})
    assert (batch.n_records, batch.levels, batch.counters) == (4, (), {"levels_not_finite": 2})


def test_a_time_out_of_bounds_is_counted() -> None:
    batch = read({"name": "", "gauge": {"dataPoints": [at(-5, 1.0)]}})
    assert batch.levels == (Level("cart", "unnamed", -1, 1.0),)
    assert batch.counters == {"times_invalid": 1}


def test_a_histogram_of_requests_at_a_time_out_of_bounds_is_counted() -> None:
    point = {"timeUnixNano": "-1", "count": "1", "sum": 0.5, "bucketCounts": ["0", "1"], "explicitBounds": [0.1]}
    batch = read(
        {"name": "http.server.request.duration", "unit": "s", "histogram": {"aggregationTemporality": 1, "dataPoints": [point]}}
    )
    assert batch.counters == {"times_invalid": 1}
    assert [one.time_ns for one in batch.durations] == [-1]


def test_levels_beyond_the_rows_are_refused_and_none_is_changed_by_a_smaller_one() -> None:
    found = [{"name": name, "gauge": {"dataPoints": [at(120, value)]}} for name, value in (("a", 2.0), ("b", 1.0), ("a", 1.0))]
    batch = read(*found, limits=Limits(max_rows=1))
    assert (batch.n_records, batch.rejected, [level.value for level in batch.levels]) == (2, 1, [2.0])
