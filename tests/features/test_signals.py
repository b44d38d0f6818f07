"""The features of a series' own windows, checked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from features import signals
from features.arrays import FloatArray
from features.batch import Batch
from features.extract import SCHEMA
from features.memory import Memory
from features.view import View
from tests.telemetry import T0, Minute, a_batch, features_of, play, traffic

GROUPS: dict[str, Callable[[View], list[FloatArray]]] = {
    "errors": signals.errors,
    "surprise": signals.surprises,
    "trend": signals.trends,
    "volume": signals.volume,
    "latency": signals.latency,
    "warnings": signals.warnings,
}


def played(*batches: Batch) -> Memory:
    memory = Memory()
    play(memory, [[Minute("a", (batch,))] for batch in batches])
    return memory


def web(*counts: Mapping[str, float]) -> dict[str, float]:
    """Return the features of a service that had these counts, window by window."""
    return features_of(played(*(a_batch(("web", "*", T0 + i, values)) for i, values in enumerate(counts))), "a/web/*")


@pytest.mark.parametrize("group", GROUPS)
def test_group_returns_exactly_the_columns_that_are_named_for_it(group: str) -> None:
    memory = played(*(traffic(T0 + i, 5.0, 1.0, service=s) for i, s in enumerate(("web", "cart", "web"))))
    columns = GROUPS[group](View.of(memory))
    assert [column.shape for column in columns] == [(4,)] * sum(feature.group == group for feature in SCHEMA.features)


def test_errors_are_counted_in_logs_and_failures_in_shares_with_a_prior() -> None:
    seen = web(*({"total": 10.0, "failed": 1.0, "errors": 2.0, "server_errors": 1.0} for _ in range(7)))
    assert seen["errors_log_1"] == pytest.approx(math.log(1 + 2))
    assert seen["errors_log_5"] == pytest.approx(math.log(1 + 10))
    assert seen["errors_log_60"] == pytest.approx(math.log(1 + 14))
    assert seen["failed_share_5"] == pytest.approx((5 + 0.005) / (50 + 5))
    assert seen["server_error_share_60"] == pytest.approx((7 + 0.005) / (70 + 5))


def test_one_failed_request_alone_is_a_small_share() -> None:
    assert web({"total": 1.0, "failed": 1.0})["failed_share_1"] == pytest.approx(1.005 / 6)


def test_errors_surprise_by_their_poisson_tail() -> None:
    seen = web(*({"total": 100.0, "errors": 4.0 if i == 62 else 0.0} for i in range(63)))
    mean = 0.01 / 110 * 500  # one in a thousand of ten imagined requests, over a usual hundred a window
    tail = 1.0 - sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(4))
    assert seen["error_surprise_5"] == pytest.approx(-math.log10(tail), rel=5e-3)
    assert seen["error_surprise_1"] > seen["error_surprise_5"] > seen["error_surprise_15"] > 0
    assert seen["failed_surprise_5"] == 0.0
    assert seen["errors_deviation"] > 1.0


def test_growing_errors_have_a_slope_and_falling_ones_a_negative_one() -> None:
    up, down = (web(*({"errors": float(e)} for e in errors)) for errors in (range(60), range(60, 0, -1)))
    assert up["errors_slope_60"] == pytest.approx(1.0 / (29.5 + 0.5))
    assert up["errors_slope_15"] == pytest.approx(1.0 / 30.0)
    assert up["errors_acceleration"] == pytest.approx(0.0, abs=1e-6)
    assert down["errors_slope_60"] == pytest.approx(-1.0 / (30.5 + 0.5))
    assert up["share_slope_30"] == pytest.approx(0.0, abs=1e-12)  # no requests, no share


def test_traffic_is_compared_with_the_hour_and_with_what_is_usual() -> None:
    seen = web(*({"total": 10.0 if i < 55 else 40.0} for i in range(60)))
    assert seen["traffic_log_5"] == pytest.approx(math.log(41))
    assert seen["traffic_change_5"] == pytest.approx(math.log(41 / 13.5))
    assert seen["traffic_against_usual"] > 1.0
    assert seen["silent_log"] == 0.0


def test_silence_is_counted_in_windows_up_to_an_hour() -> None:
    assert web({"total": 9.0}, *({} for _ in range(4)))["silent_log"] == pytest.approx(math.log1p(4))
    assert web({"logs": 1.0})["silent_log"] == pytest.approx(math.log1p(60))


def test_latency_shifts_are_logs_of_factors() -> None:
    def timed(i: int, bucket: int) -> Batch:
        batch = a_batch(("web", "*", T0 + i, {"total": 50.0, "duration_sum_s": 5.0, "duration_max_s": 0.5}))
        histogram = np.zeros_like(batch.histogram)
        histogram[0, bucket] = 50.0
        return replace(batch, histogram=histogram)

    seen = features_of(played(*(timed(i, 5 if i < 115 else 8) for i in range(120))), "a/web/*")
    assert seen["p95_shift_5"] == pytest.approx(3 * math.log(2))
    assert seen["p50_shift_5"] == pytest.approx(3 * math.log(2))
    assert seen["p95_log_5"] - seen["p50_log_5"] == pytest.approx(0.45 * math.log(2), rel=1e-4)  # within one bucket
    # A third of the last 15 windows is slow, so their p95 lies 85 % up the slow bucket.
    assert seen["p95_shift_360"] == pytest.approx((3 + 0.85 - 0.95) * math.log(2), rel=1e-4)
    assert seen["max_log_5"] == pytest.approx(math.log(0.501), rel=1e-5)
    assert seen["mean_slope_30"] == pytest.approx(0.0, abs=1e-5)


def test_new_service_has_no_latency_shift() -> None:
    seen = web({"total": 9.0})
    assert [seen[name] for name in ("p95_shift_5", "p95_shift_15", "p95_shift_360")] == [0.0, 0.0, 0.0]


def test_warnings_and_handled_exceptions_are_compared_with_the_hour() -> None:
    seen = web(*({"warnings": 1.0 if i < 50 else 4.0, "handled": 2.0} for i in range(60)))
    assert seen["warnings_log_15"] == pytest.approx(math.log1p(5 + 40))
    assert seen["handled_log_5"] == pytest.approx(math.log1p(10))
    assert seen["warnings_change"] == pytest.approx(math.log(4.1 / 1.1))
    assert seen["handled_change"] == pytest.approx(0.0, abs=1e-6)
    assert seen["warnings_slope_30"] > 0
    assert seen["handled_slope_30"] == pytest.approx(0.0, abs=1e-6)
    assert seen["warning_surprise_15"] > 1.0
