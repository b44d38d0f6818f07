"""Numbers keep their unit and never pretend to be more than is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dashboard.words import DASH, age, amount, clock, duration, moment, percent, span

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@given(st.floats(0.0, 1.0))
def test_a_share_is_zero_or_all_only_when_it_is(share: float) -> None:
    assert (percent(share) == "0 %") == (share == 0.0)
    assert (percent(share) == "100 %") == (share == 1.0)


@pytest.mark.parametrize("value", [None, nan, inf])
def test_what_is_not_known_is_a_dash(value: float | None) -> None:
    assert {percent(value), amount(value, "B"), duration(value)} == {DASH}


def test_bytes_take_the_prefix_that_suits_them() -> None:
    assert [amount(value, "B") for value in (12.0, 3400.0, 5.6e6, 7.8e10)] == ["12 B", "3.4 kB", "5.6 MB", "78 GB"]


def test_what_lasts_counts_on_and_what_is_over_does_not() -> None:
    assert 'class="lasting"' in span(NOON, None)
    over = span(NOON, NOON + timedelta(minutes=35))
    assert "35 min" in over
    assert clock(NOON + timedelta(minutes=35)) in over
    assert moment(NOON.timestamp()) == NOON
    assert "2026-03-02T12:00:00+00:00" in age(NOON)
