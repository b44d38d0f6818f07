"""The truth about a fault can be written, and checks itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.demo.faults import Fault, truth_json
from app.demo.simulate import Shop
from features.errors import InvalidValue

START = datetime(2026, 1, 5, tzinfo=UTC)


def a_shop(seed: int = 1, days: float = 1.0, faults_per_day: float = 24.0) -> Shop:
    return Shop(seed, days, faults_per_day, START)


def test_truth_is_written_as_json_with_aware_times() -> None:
    truth = a_shop().truth()
    lines = [json.loads(line) for line in truth_json(truth).splitlines()]
    assert len(lines) == len(truth) > 10
    assert datetime.fromisoformat(lines[0]["start"]) == truth[0].start
    assert lines[0]["affected"][0] == truth[0].service
    assert {"service", "kind", "onset", "start", "end", "has_warning", "operations"} <= set(lines[0])


def test_times_of_a_fault_out_of_order_are_refused() -> None:
    with pytest.raises(InvalidValue, match="onset <= start <= end"):
        Fault("cart", "partition", START, START, START - timedelta(1), False, True, 0.5, (), ())
