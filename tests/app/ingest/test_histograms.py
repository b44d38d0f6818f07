"""Histograms of request durations are read as points of the service that measured them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.histograms import spread
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from features.batch import BUCKETS, N_BUCKETS, Batch, DurationPoint
from tests.app.ingest.requests import Json, as_json, as_protobuf, attributes, metrics

SECOND = 10**9
GET = {"http.request.method": "GET", "http.route": "/cart/{id}", "http.response.status_code": 200}
EXPLICIT = {"count": "6", "sum": 0.6, "bucketCounts": ["1", "2", "3", "0"], "explicitBounds": [0.005, 0.01, 0.5]}


def a_histogram(values: Json | None = None, told: Mapping[str, object] | None = None, **metric: Any) -> Json:
    kind = metric.pop("kind", "histogram")
    times = {"startTimeUnixNano": str(60 * SECOND), "timeUnixNano": str(120 * SECOND)}
    data = {**times, "attributes": attributes(GET if told is None else told), **(EXPLICIT if values is None else values)}
    temporality = metric.pop("temporality", 2)
    name = {"name": "http.server.request.duration", "unit": "s"} | metric
    return name | {kind: {"aggregationTemporality": temporality, "dataPoints": [data]}}


def read(*found: Json, limits: Limits | None = None) -> Batch:
    limits = limits or Limits()
    request = metrics(*found)
    batch = decode(as_json(request), "metrics", "json", limits=limits)
    twin = decode(as_protobuf(request, "metrics"), "metrics", "protobuf", limits=limits)
    assert (batch.durations, batch.n_records, batch.counters) == (twin.durations, twin.n_records, twin.counters)
    return batch


def only(*found: Json) -> DurationPoint:
    (point,) = read(*found).durations
    return point


def test_a_point_says_whose_requests_it_counts_from_when_until_when() -> None:
    point = only(a_histogram())
    assert (point.service, point.operation, point.count, point.seconds) == ("cart", "GET /cart/{id}", 6.0, 0.6)
    assert (point.start_ns, point.time_ns, point.cumulative) == (60 * SECOND, 120 * SECOND, True)
    assert (point.failed, point.server_error) == (False, False)
    assert sum(point.histogram) == pytest.approx(6.0)
    assert not only(a_histogram(temporality=1)).cumulative


@pytest.mark.parametrize(
    ("told", "operation", "failed", "server_error"),
    [
        ({"http.request.method": "POST", "http.response.status_code": 503}, "POST", True, True),
        ({"http.method": "GET", "http.route": "/", "http.status_code": 404}, "GET /", False, False),
        ({"rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": 13}, "shop.Cart/Add", True, False),
        ({"rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": 5}, "shop.Cart/Add", False, False),
        ({"rpc.method": "shop.Cart/Add"}, "shop.Cart/Add", False, False),
        ({}, "unnamed", False, False),
    ],
)
def test_attributes_name_the_operation_as_spans_do_and_tell_failures(
    told: Mapping[str, object], operation: str, failed: bool, server_error: bool
) -> None:
    point = only(a_histogram(told=told))
    assert (point.operation, point.failed, point.server_error) == (operation, failed, server_error)


@pytest.mark.parametrize(
    ("name", "unit", "seconds"),
    [
        ("http.server.request.duration", "s", 0.6),
        ("http.server.request.duration", "", 0.6),
        ("http.server.duration", "", 0.0006),
        ("http.server.duration", "ms", 0.0006),
        ("http.server.duration", "s", 0.6),
        ("rpc.server.duration", "ms", 0.0006),
        ("rpc.server.call.duration", "s", 0.6),
    ],
)
def test_names_and_units_give_seconds(name: str, unit: str, seconds: float) -> None:
    assert only(a_histogram(name=name, unit=unit)).seconds == pytest.approx(seconds)


def test_other_histograms_are_counted_and_no_traffic() -> None:
    batch = read(a_histogram(name="http.client.request.duration"), a_histogram(name="db.client.operation.duration"))
    assert (batch.durations, batch.n_records) == ((), 2)


def test_streams_differ_by_resource_metric_and_attributes_and_stay_the_same_between_requests() -> None:
    streams = [only(a_histogram(told=told)).stream for told in (GET, GET | {"http.response.status_code": 201})]
    assert streams[0] == only(a_histogram({**EXPLICIT, "count": "6"})).stream
    streams.append(only(a_histogram(name="http.server.duration")).stream)
    streams.append(only(a_histogram(temporality=1)).stream)
    assert len(set(streams)) == 4


def test_exponential_histograms_are_read_too() -> None:
    # Scale 0: bounds are powers of two; offset -8 begins at 2**-8 s.
    values = {"count": "7", "sum": 0.1, "scale": 0, "zeroCount": "1", "positive": {"offset": -8, "bucketCounts": ["2", "4"]}}
    histogram = only(a_histogram(values, kind="exponentialHistogram")).histogram
    assert sum(histogram) == pytest.approx(7.0)
    assert histogram[0] == 1.0
    low = next(i for i, bound in enumerate(BUCKETS) if bound > 2.0**-8)
    assert sum(histogram[low : low + 3]) == pytest.approx(6.0)


@pytest.mark.parametrize(
    "values",
    [
        {**EXPLICIT, "bucketCounts": ["1", "2", "3"]},
        {**EXPLICIT, "explicitBounds": [0.5, 0.01, 0.5]},
        {**EXPLICIT, "explicitBounds": ["NaN", 0.01, 0.5]},
        {**EXPLICIT, "count": "7"},
    ],
    ids=["a bucket is missing", "bounds fall", "a bound is no number", "buckets do not add up"],
)
def test_histograms_that_contradict_themselves_are_counted_and_left_out(values: Json) -> None:
    batch = read(a_histogram(values))
    assert (batch.durations, batch.n_records, batch.counters["histograms_invalid"]) == ((), 1, 1)


def test_a_histogram_without_buckets_tells_count_and_mean() -> None:
    point = only(a_histogram({"count": "4", "sum": 0.4}))
    assert (point.count, point.seconds) == (4.0, 0.4)
    assert point.histogram[next(i for i, bound in enumerate(BUCKETS) if bound > 0.1)] == pytest.approx(4.0)


def test_points_without_a_value_are_no_traffic() -> None:
    assert read(a_histogram({**EXPLICIT, "flags": 1})).durations == ()


def test_points_beyond_the_rows_of_a_request_are_counted_as_dropped() -> None:
    batch = read(*[a_histogram()] * 3, limits=Limits(max_rows=2))
    assert (len(batch.durations), batch.counters["durations_dropped"]) == (2, 1)


COUNTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=30)


@given(COUNTS, st.floats(-30, 10), st.floats(0.01, 3))
def test_spreading_loses_nothing_and_is_linear(counts: list[int], first: float, step: float) -> None:
    edges = [first + step * i for i in range(len(counts) + 1)]
    once, thrice = (spread(edges, [factor * count for count in counts]) for factor in (1.0, 3.0))
    assert len(once) == N_BUCKETS
    assert float(once.sum()) == pytest.approx(sum(counts))
    assert (once >= -1e-6).all()
    assert thrice == pytest.approx(3 * once, abs=1e-3)


def test_spreading_is_even_over_the_logarithm() -> None:
    two = spread([math.log2(BUCKETS[2]), math.log2(BUCKETS[4])], [6.0])
    assert two.tolist() == [3.0 if i in {3, 4} else 0.0 for i in range(N_BUCKETS)]
