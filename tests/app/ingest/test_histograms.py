"""Histograms of request durations are read as points of the service that measured them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.histograms import spread
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from features.batch import BUCKETS, N_BUCKETS, N_CHANNELS, Batch, DurationPoint, channel
from features.durations import Meters, Served
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
        ({"rpc.method": "Add", "rpc.response.status_code": "UNAVAILABLE"}, "Add", True, False),
        ({"rpc.method": "Add", "rpc.response.status_code": "14"}, "Add", True, False),
        ({"rpc.method": "Add", "rpc.response.status_code": "NOT_FOUND", "error.type": "NOT_FOUND"}, "Add", False, False),
        ({"rpc.method": "Add", "rpc.response.status_code": "-32603", "error.type": "-32603"}, "Add", True, False),
        ({"http.request.method": "GET", "error.type": "java.net.SocketTimeoutException"}, "GET", True, False),
        ({"http.request.method": "GET", "error.type": "503"}, "GET", True, True),
        ({"http.request.method": "GET", "error.type": "404"}, "GET", False, False),
        ({"http.request.method": "GET", "error.type": "cancelled"}, "GET", True, False),
        ({"http.request.method": "GET", "http.response.status_code": 200, "error.type": "timeout"}, "GET", False, False),
        ({"http.request.method": "GET", "http.response.status_code": 500, "error.type": "timeout"}, "GET", True, True),
        ({}, "unnamed", False, False),
    ],
)
def test_attributes_name_the_operation_as_spans_do_and_tell_failures(
    told: Mapping[str, object], operation: str, failed: bool, server_error: bool
) -> None:
    point = only(a_histogram(told=told))
    assert (point.operation, point.failed, point.server_error) == (operation, failed, server_error)


def test_an_error_of_an_rpc_without_a_status_is_read_as_one() -> None:
    names = ("DEADLINE_EXCEEDED", "NOT_FOUND", "12", "404", "java.io.IOException")
    points = [
        only(a_histogram(told={"rpc.method": "A", "error.type": name}, name="rpc.server.call.duration")) for name in names
    ]
    assert [point.failed for point in points] == [True, False, True, False, True]


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


def test_streams_of_a_metric_of_a_resource_are_a_family() -> None:
    families = [only(a_histogram(told=told)).family for told in (GET, GET | {"http.response.status_code": 500})]
    assert families[0] == families[1]
    assert families[0] != only(a_histogram(name="http.server.duration")).family
    one, other = (metrics(a_histogram(), resource={"service.name": "cart", "service.instance.id": each}) for each in "ab")
    points = [decode(as_json(request), "metrics", "json").durations[0] for request in (one, other)]
    assert points[0].family != points[1].family


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
        {"count": "6", "bucketCounts": ["6", "0"], "explicitBounds": [5e-324]},
    ],
    ids=["a bucket is missing", "bounds fall", "a bound is no number", "buckets do not add up", "a bound is no duration"],
)
def test_histograms_that_contradict_themselves_are_counted_and_left_out(values: Json) -> None:
    batch = read(a_histogram(values, unit="ms"))
    assert (batch.durations, batch.n_records, batch.counters["histograms_invalid"]) == ((), 1, 1)


NEGATIVE = {"count": "5", "bucketCounts": ["-5", "10"], "explicitBounds": [0.1]}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("histogram", NEGATIVE),
        ("histogram", {"count": "-5", "bucketCounts": ["-5"]}),
        ("exponentialHistogram", {"count": "5", "zeroCount": "-5", "positive": {"bucketCounts": ["10"]}}),
        ("exponentialHistogram", {"count": "5", "zeroCount": "0", "positive": {"bucketCounts": ["-5", "10"]}}),
        ("exponentialHistogram", {"count": "5", "scale": 21, "positive": {"bucketCounts": ["5"]}}),
    ],
    ids=["a bucket", "the count", "what took no time", "an exponential bucket", "a scale"],
)
def test_negative_numbers_and_scales_that_are_none_are_counted_and_left_out(kind: str, values: Json) -> None:
    batch = decode(as_json(metrics(a_histogram(values, kind=kind))), "metrics", "json")
    assert (batch.durations, batch.n_records, batch.counters["histograms_invalid"]) == ((), 1, 1)


def test_what_took_no_time_needs_no_buckets() -> None:
    assert only(a_histogram({"count": "3", "zeroCount": "3"}, kind="exponentialHistogram")).histogram == (3.0,) + (0.0,) * 15


@pytest.mark.parametrize("buckets", [{}, {"bucketCounts": ["4"]}], ids=["none", "one for everything"])
def test_a_histogram_without_buckets_tells_count_and_sum(buckets: Json) -> None:
    point = only(a_histogram({"count": "4", "sum": 0.4, **buckets}))
    assert (point.count, point.seconds, point.histogram) == (4.0, 0.4, ())
    assert only(a_histogram({"count": "4", **buckets})).seconds == 0.0


def test_a_finer_scale_that_an_outlier_makes_coarse_adds_what_came() -> None:
    rng, counts = np.random.default_rng(7), []
    slow = rng.lognormal(np.log(0.03), 0.4, 10_000)
    for scale, durations in ((5, slow), (0, np.append(slow, [0.03] * 10 + [100.0]))):
        indexes = np.ceil(np.log2(durations) * 2**scale).astype(int) - 1
        positive = {"offset": int(indexes.min()), "bucketCounts": np.bincount(indexes - indexes.min()).tolist()}
        values = {"count": len(durations), "sum": durations.sum(), "scale": scale, "positive": positive}
        counts.append(only(a_histogram(values, kind="exponentialHistogram")))
    meters, found = Meters(), list[Served]()
    times = [{"start_ns": 30 * SECOND, "time_ns": minute * 60 * SECOND} for minute in (1, 2, 3)]
    for tick, (point, at) in enumerate(zip((counts[0], *counts), times, strict=True), start=1):
        meters.gather("default", [replace(point, **at)])
        found += meters.settle(tick)
    (served,) = found
    histogram = served.values[N_CHANNELS:]
    assert (served.values[channel("total")], float(histogram.sum())) == (11.0, pytest.approx(11.0))
    assert histogram.min() >= 0
    assert served.values[channel("duration_max_s")] == 2 * BUCKETS[-1]


def test_metrics_of_other_kinds_are_no_traffic() -> None:
    gauge = {"name": "http.server.request.duration", "gauge": {"dataPoints": [{"asDouble": 0.1}]}}
    assert read(gauge).durations == ()


def test_a_histogram_whose_bounds_are_all_zero_or_below_tells_what_took_no_time() -> None:
    histogram = only(a_histogram({"count": "5", "bucketCounts": ["2", "3"], "explicitBounds": [0.0]})).histogram
    assert sum(histogram) == pytest.approx(5.0)
    assert histogram[0] >= 2.0


@pytest.mark.parametrize("total", [1e308, "NaN", -3.0])
def test_a_sum_that_cannot_be_is_estimated_from_the_buckets(total: object) -> None:
    assert 0.1 < only(a_histogram({**EXPLICIT, "sum": total})).seconds < 2.0


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
