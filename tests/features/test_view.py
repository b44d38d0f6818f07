"""What was known of all series at one tick, against sums made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from features.batch import Batch
from features.memory import Memory
from features.view import View
from tests.telemetry import T0, Minute, a_batch, play, traffic


def timed(window: int, total: float, bucket: int) -> Batch:
    """Make a Batch of entry spans whose durations lie in one bucket."""
    batch = a_batch(("web", "*", window, {"total": total}))
    histogram = np.zeros_like(batch.histogram)
    histogram[0, bucket] = total
    return replace(batch, histogram=histogram)


def view_of(*batches: Batch) -> View:
    memory = Memory()
    play(memory, [[Minute("a", (batch,))] for batch in batches])
    return View.of(memory)


def test_sums_and_counts_end_with_the_window_that_closed_last() -> None:
    view = view_of(*(traffic(T0 + i, float(i + 1), float(i)) for i in range(8)))
    assert view.counts("total").shape == (2, 60)
    assert view.counts("total")[1, -3:].tolist() == [6.0, 7.0, 8.0]
    assert view.sum("errors", 3).tolist() == [5.0 + 6.0 + 7.0] * 2
    assert view.sum("total", 60).tolist() == [36.0] * 2
    assert view.whole.tolist() == [0, 0]


def test_histogram_leaves_the_newest_windows_out() -> None:
    view = view_of(*(timed(T0 + i, 1.0 + i, 3 if i < 4 else 9) for i in range(6)))
    assert view.histogram(2)[0, 9] == 5.0 + 6.0
    assert view.histogram(4, skip=2)[0].tolist() == [0.0] * 3 + [10.0] + [0.0] * 12


def test_usual_is_the_mean_of_the_windows_that_were_learned() -> None:
    view = view_of(*(a_batch(("web", "*", T0 + i, {"total": 20.0, "warnings": 2.0})) for i in range(40)))
    assert view.usual("total")[0] == pytest.approx(20.0, rel=0.03)  # the empty window before the first is learned too
    assert view.usual("warnings")[0] == pytest.approx(2.0, rel=0.03)
    assert view.usual("errors")[0] == 0.0


def test_errors_are_expected_by_the_share_of_the_traffic_that_came() -> None:
    quiet = [a_batch(("web", "*", T0 + i, {"total": 100.0})) for i in range(60)]
    busy = [a_batch(("web", "*", T0 + 60 + i, {"total": 300.0, "errors": e})) for i, e in enumerate((0.0, 0.0, 4.0))]
    view = view_of(*quiet, *busy)
    usual = view.usual("total")[0]
    expected = 0.001 * 10.0 / (usual + 10.0) * 900.0
    assert view.usual_given_traffic("errors", 3)[0] == pytest.approx(expected, rel=1e-6)
    tail = 1.0 - sum(math.exp(-expected) * expected**k / math.factorial(k) for k in range(4))
    assert view.surprise("errors", 3)[0] == pytest.approx(-math.log10(tail), rel=1e-3)


def test_without_traffic_the_usual_number_is_expected() -> None:
    view = view_of(*(a_batch(("web", "*", T0 + i, {"logs": 9.0, "errors": 1.0})) for i in range(40)))
    assert view.usual("errors")[0] > 0.5
    assert view.usual_given_traffic("errors", 5)[0] == pytest.approx(5 * view.usual("errors")[0])


def test_latency_shift_is_in_factors_of_two_and_none_where_there_is_nothing_to_compare() -> None:
    view = view_of(*(timed(T0 + i, 50.0, 5 if i < 10 else 8) for i in range(15)))
    assert view.latency_shift(0.95, 5, 55)[0] == pytest.approx(3 * math.log(2.0))
    assert view.latency_shift(0.5, 5, 55)[0] == pytest.approx(3 * math.log(2.0))
    assert view_of(timed(T0, 50.0, 5)).latency_shift(0.95, 5, 55)[0] == 0.0
    assert view_of(a_batch(("web", "*", T0, {"logs": 1.0}))).latency_shift(0.95, 5, 55)[0] == 0.0
