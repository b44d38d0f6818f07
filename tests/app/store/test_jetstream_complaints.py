"""What a connection complains of is in the log, once in a while."""

from __future__ import annotations

import asyncio

import pytest

from app.store.jetstream_complaints import Complaints


def test_what_comes_ten_times_a_second_is_logged_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [0.0]
    complaints = Complaints(lambda: now_s[0])
    for tenth in range(250):
        now_s[0] = tenth / 10
        asyncio.run(complaints.hear(OSError("away")))
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the cluster said: away",
        "the cluster said: away (99 more times within 10 s)",
        "the cluster said: away (99 more times within 10 s)",
    ]


def test_another_complaint_is_logged_at_once_and_a_refusal_tells_more_than_a_reset(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(lambda: 1.0)
    for exc in (OSError("reset"), ValueError("not allowed"), OSError("reset")):
        asyncio.run(complaints.hear(exc))
    assert [record.getMessage() for record in caplog.records] == ["the cluster said: reset", "the cluster said: not allowed"]
    assert str(complaints.telling) == "not allowed"
