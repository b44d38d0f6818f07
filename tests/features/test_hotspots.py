"""Parts of errors whose share grew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.hotspots import LEAST_RATIO, RECENT, hotspots_of, likelihood_ratio
from features.memory import Memory
from features.series import WHOLE
from tests.telemetry import T0, a_record

some = st.floats(0.0, 1e6)


@given(some, some, some, some)
def test_the_ratio_is_finite_and_says_nothing_of_shares_that_did_not_grow(a: float, b: float, c: float, d: float) -> None:
    part, rest, part_before, rest_before = (np.array([value]) for value in (a, b, c, d))
    found = likelihood_ratio(part, part + rest, part_before, part_before + rest_before)[0]
    assert np.isfinite(found)
    assert found >= 0.0
    if a + b == 0.0 or c + d == 0.0 or a * (c + d) <= c * (a + b) * (1 - 1e-9):
        assert found <= 1e-3 * max(a + b + c + d, 1.0)


@given(st.integers(1, 100), st.integers(1, 100), st.integers(2, 10))
def test_more_errors_of_the_same_shares_are_more_significant(part: int, rest: int, times: int) -> None:
    numbers = [np.array([float(n)]) for n in (part, part + rest, part, part + 3 * rest)]
    once, more = likelihood_ratio(*numbers), likelihood_ratio(*(times * n for n in numbers))
    assert np.allclose(more, times * once)


def memory_with(before: dict[str, int], now: dict[str, int], versions: dict[str, str] | None = None) -> Memory:
    """Return a Memory in which groups of errors came so often in the hour before, a minute each, and in the newest window."""
    memory, tick = Memory(), T0 + 60
    memory.begin(tick - 1)
    row = memory.row("a", "cart", WHOLE, 0)
    for window, groups in ((tick - 30, before), (tick - 2, now)):
        for name, count in groups.items():
            record = a_record("cart", window)
            if versions:
                record = replace(record, attributes={"service.version": versions[name]})
            for _ in range(count):
                memory.shares.add(row, window, record, name)
    memory.advance(tick)
    return memory


def test_a_group_of_errors_that_is_new_is_a_hotspot() -> None:
    spots = hotspots_of(memory_with({"old": 40}, {"old": 10, "new": 30}))
    assert [(spot.service, spot.dimension, spot.name, spot.state) for spot in spots] == [("cart", "fingerprint", "new", "new")]
    assert (spots[0].errors, spots[0].share, spots[0].share_before) == (30.0, 0.75, 0.0)
    assert spots[0].ratio >= LEAST_RATIO
    assert spots[0].since_s == (T0 + 58) * 60


def test_a_version_that_fails_more_than_the_other_is_a_hotspot() -> None:
    spots = hotspots_of(memory_with({"x": 50, "y": 50}, {"x": 10, "y": 60}, {"x": "6", "y": "7"}))
    assert ("version", "7", "grown") in {(spot.dimension, spot.name, spot.state) for spot in spots}


def test_errors_that_all_grew_alike_are_no_hotspot() -> None:
    assert hotspots_of(memory_with({"x": 20, "y": 20}, {"x": 200, "y": 200})) == []


def test_what_came_back_after_an_hour_has_returned() -> None:
    memory = memory_with({"x": 40, "y": 40}, {"x": 40})
    row = memory.row("a", "cart", WHOLE, 0)
    for window in range(T0 + 60, T0 + 60 + 65 + RECENT):
        memory.shares.add(row, window, a_record("cart", window), "x")
    for _ in range(40):
        memory.shares.add(row, T0 + 60 + 64 + RECENT, a_record("cart"), "y")
    memory.advance(T0 + 60 + 65 + RECENT)
    assert [(spot.name, spot.state) for spot in hotspots_of(memory)] == [("y", "returned")]
