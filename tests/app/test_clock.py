"""The wall clock is that of the system, and aware."""

from __future__ import annotations

from datetime import UTC, datetime

from app.clock import utc_now


def test_the_time_is_between_two_looks_at_the_clock() -> None:
    before = datetime.now(UTC)
    assert before <= utc_now() <= datetime.now(UTC)
