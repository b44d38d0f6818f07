"""Limits check themselves."""

from __future__ import annotations

import pytest

from app.ingest.limits import Limits
from features.errors import InvalidSetting


def test_a_body_that_could_never_be_in_flight_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"max_in_flight_bytes must be >= max_body_bytes \(100\), got 99"):
        Limits(max_body_bytes=100, max_in_flight_bytes=99)


@pytest.mark.parametrize("name", ["tick_s", "span_end_sample", "max_rows", "max_attribute_depth"])
def test_bounds_are_positive(name: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{name} must be >= 1, got 0"):
        Limits(**{name: 0})
